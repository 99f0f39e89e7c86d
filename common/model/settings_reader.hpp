// Turns a family's settings (text) into values, with errors that name the key, the value and what was expected. "auto"
// is a value of every setting: what the preset says, which for some is again a rule ("auto").
// Used while a model is made; not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/model/registry.hpp"

namespace chorus::model {

class SettingsReader {
 public:
  // Unknown keys are the first error. `known` holds the presets. The arguments must outlive the reader.
  SettingsReader(std::string_view family, std::span<const SettingDescription> known, const Settings& given);

  // REQUIRES: `name` is known. The bounds are inclusive; a wrong value gives the error and `least`.
  [[nodiscard]] std::uint64_t integer(std::string_view name, std::uint64_t least, std::uint64_t most);
  [[nodiscard]] double number(std::string_view name, double least, double most);
  // The same, or "auto": nothing. The family then finds the number itself.
  [[nodiscard]] std::optional<double> number_or_auto(std::string_view name, double least, double most);
  [[nodiscard]] std::optional<std::uint64_t> integer_or_auto(std::string_view name, std::uint64_t least,
                                                             std::uint64_t most);
  // One of `choices`.
  [[nodiscard]] std::string_view choice(std::string_view name, std::span<const std::string_view> choices);

  // Every setting as it was understood, in canonical form ("15", not "15.0"), or the first error: invalid_argument.
  [[nodiscard]] Result<Settings> finish() &&;

 private:
  [[nodiscard]] std::string_view text(std::string_view name) const;
  void reject(std::string_view name, std::string_view expected);

  std::string_view family_;
  std::span<const SettingDescription> known_;
  const Settings& given_;
  Settings values_;
  std::optional<Error> error_;
};

}  // namespace chorus::model
