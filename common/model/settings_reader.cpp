#include "common/model/settings_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"

namespace chorus::model {
namespace {

constexpr std::string_view kAuto = "auto";

template <typename T>
std::optional<T> parse(std::string_view text) {
  T value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

SettingsReader::SettingsReader(std::string_view family, std::span<const SettingDescription> known,
                               const Settings& given)
    : family_(family), known_(known), given_(given) {
  for (const auto& [name, value] : given_) {
    if (std::ranges::find(known_, name, &SettingDescription::name) != known_.end()) continue;
    std::string names;
    for (const SettingDescription& setting : known_) {
      names.append(names.empty() ? "" : ", ").append(setting.name);
    }
    error_ = Error(ErrorCode::invalid_argument,
                   fmt::format("the model '{}' has no setting '{}'; it has: {}", family_, name, names));
    break;
  }
}

std::string_view SettingsReader::text(std::string_view name) const {
  if (const auto given = given_.find(name); given != given_.end() && given->second != kAuto) return given->second;
  const auto known = std::ranges::find(known_, name, &SettingDescription::name);
  CHORUS_ENSURE(known != known_.end(), "a family reads the settings that it describes");
  return known->value;
}

void SettingsReader::reject(std::string_view name, std::string_view expected) {
  if (error_) return;
  error_ = Error(ErrorCode::invalid_argument, fmt::format("the setting '{}' of the model '{}' is '{}'; expected {}",
                                                          name, family_, text(name), expected));
}

std::uint64_t SettingsReader::integer(std::string_view name, std::uint64_t least, std::uint64_t most) {
  const auto value = parse<std::uint64_t>(text(name));
  if (!value || *value < least || *value > most) {
    reject(name, fmt::format("a whole number from {} to {}, or auto", least, most));
    return least;
  }
  values_[std::string(name)] = fmt::format("{}", *value);
  return *value;
}

double SettingsReader::number(std::string_view name, double least, double most) {
  const auto value = parse<double>(text(name));
  if (!value || !std::isfinite(*value) || *value < least || *value > most) {
    reject(name, fmt::format("a number from {} to {}, or auto", least, most));
    return least;
  }
  values_[std::string(name)] = fmt::format("{}", *value);
  return *value;
}

std::optional<double> SettingsReader::number_or_auto(std::string_view name, double least, double most) {
  if (text(name) != kAuto) return number(name, least, most);
  values_[std::string(name)] = kAuto;
  return std::nullopt;
}

std::optional<std::uint64_t> SettingsReader::integer_or_auto(std::string_view name, std::uint64_t least,
                                                             std::uint64_t most) {
  if (text(name) != kAuto) return integer(name, least, most);
  values_[std::string(name)] = kAuto;
  return std::nullopt;
}

std::string_view SettingsReader::choice(std::string_view name, std::span<const std::string_view> choices) {
  const std::string_view value = text(name);
  if (std::ranges::find(choices, value) == choices.end()) {
    reject(name, fmt::format("{}{}", choices.size() == 1 ? "" : "one of: ", fmt::join(choices, ", ")));
    return choices.front();
  }
  values_[std::string(name)] = value;
  return value;
}

Result<Settings> SettingsReader::finish() && {
  if (error_) return fail(std::move(*error_));
  CHORUS_ENSURE(values_.size() == known_.size(), "a family reads every setting that it describes");
  return std::move(values_);
}

}  // namespace chorus::model
