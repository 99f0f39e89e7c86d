#include "common/protocol/job_description.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "common/protocol/documents.hpp"

namespace chorus::protocol {

namespace {

constexpr std::uint16_t kVersion = 1;
// Two prefixed strings.
constexpr std::size_t kSmallestSetting = 8;

bool is_lower_or_digit(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

template <typename Allowed>
bool is_name(std::string_view name, std::size_t max, Allowed allowed) noexcept {
  return !name.empty() && name.size() <= max && std::ranges::all_of(name, allowed);
}

Status check_setting(std::string_view name, std::string_view value) {
  if (!is_name(name, kMaxSettingName, [](char c) { return is_lower_or_digit(c) || c == '_' || c == '.'; })) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("a setting's name is 1 to {} characters of [a-z0-9_.]", kMaxSettingName), "settings");
  }
  if (value.size() > kMaxSettingValue || !std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~'; })) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("a setting's value is at most {} printable characters", kMaxSettingValue),
                fmt::format("settings.{}", name));
  }
  return {};
}

void encode_settings(ByteWriter& writer, const model::Settings& settings) {
  writer.u32(static_cast<std::uint32_t>(settings.size()));
  for (const auto& [name, value] : settings) {
    writer.string(name);
    writer.string(value);
  }
}

// Names in strictly increasing order, so that equal settings have one encoding.
model::Settings decode_settings(ByteReader& reader) {
  model::Settings settings;
  const std::size_t count = reader.count(kMaxSettings, kSmallestSetting);
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
    std::string name = reader.string(kMaxSettingName);
    std::string value = reader.string(kMaxSettingValue);
    if (!settings.empty() && settings.rbegin()->first >= name) {
      reader.reject(fmt::format("setting {} is out of order", i));
    }
    settings.emplace_hint(settings.end(), std::move(name), std::move(value));
  }
  return settings;
}

}  // namespace

bool is_job_name(std::string_view name) noexcept {
  return is_name(name, kMaxJobName, [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

Status JobDescription::validate() const {
  if (!is_job_name(name)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("a job's name is 1 to {} characters of [a-z0-9-]", kMaxJobName), "name");
  }
  if (!is_name(family, kMaxFamilyName, [](char c) { return is_lower_or_digit(c) || c == '_'; })) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("a model family's name is 1 to {} characters of [a-z0-9_]", kMaxFamilyName), "family");
  }
  if (settings.size() > kMaxSettings) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} settings, more than {}", settings.size(), kMaxSettings),
                "settings");
  }
  for (const auto& [setting, value] : settings) CHORUS_TRY_DO(check_setting(setting, value));
  if (const auto valid = contract.validate(); !valid) return fail(valid.error().at("contract"));
  if (max_contributors == 0) {
    return fail(ErrorCode::invalid_argument, "a cohort has at least one contributor", "max_contributors");
  }
  return {};
}

Bytes JobDescription::encode() const {
  CHORUS_ENSURE(validate().has_value(), "only a valid job is encoded");
  ByteWriter writer;
  writer.string(kJobLabel);
  writer.u16(kVersion);
  writer.string(name);
  writer.string(family);
  encode_settings(writer, settings);
  contract.encode(writer);
  writer.u32(max_contributors);
  writer.u64(round_goal);
  return std::move(writer).take();
}

chorus::Result<JobDescription> JobDescription::decode(ByteView bytes) {
  ByteReader reader(bytes);
  if (!std::ranges::equal(reader.bytes(kJobLabel.size()), as_bytes(kJobLabel))) {
    return fail(ErrorCode::malformed, fmt::format("expected a document that begins with '{}'", kJobLabel));
  }
  if (const std::uint16_t version = reader.u16(); !reader.failed() && version != kVersion) {
    return fail(ErrorCode::unsupported_version,
                fmt::format("expected version {} of the job description, found {}", kVersion, version));
  }
  JobDescription job;
  job.name = reader.string(kMaxJobName);
  job.family = reader.string(kMaxFamilyName);
  job.settings = decode_settings(reader);
  if (reader.failed()) return fail(reader.finish("the job description").error());
  CHORUS_TRY(job.contract, dataset::DataContract::decode(reader));
  job.max_contributors = reader.u32();
  job.round_goal = reader.u64();
  CHORUS_TRY_DO(reader.finish("the job description"));
  CHORUS_TRY_DO(job.validate());
  return job;
}

Digest JobDescription::id() const {
  return crypto::sha256(encode());
}

Digest model_id(const JobDescription& job, std::uint32_t solver_version, const plan::UpdateLayout& layout,
                const Digest& catalogue, const Digest& tensors) {
  ByteWriter settings;
  encode_settings(settings, job.settings);
  ByteWriter contract;
  job.contract.encode(contract);
  ByteWriter shape;
  layout.encode(shape);

  ByteWriter writer;
  writer.string("CHORUS/1/model-id");
  writer.string(job.family);
  writer.u32(solver_version);
  writer.bytes(settings.view());
  writer.bytes(contract.view());
  writer.bytes(catalogue);
  writer.bytes(shape.view());
  writer.bytes(tensors);
  return crypto::sha256(writer.view());
}

}  // namespace chorus::protocol
