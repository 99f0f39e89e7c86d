// What a job is, for everybody who takes part in it: the model family and its settings, the data contract, the cohort
// bound. Its hash is the job's id. The catalogue grows and is signed apart (common/protocol/documents.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/dataset/data_contract.hpp"
#include "common/model/model.hpp"

namespace chorus::protocol {

inline constexpr std::size_t kMaxJobName = 64;
inline constexpr std::size_t kMaxFamilyName = 32;
inline constexpr std::size_t kMaxSettings = 64;
inline constexpr std::size_t kMaxSettingName = 48;
inline constexpr std::size_t kMaxSettingValue = 128;

// 1 to kMaxJobName characters of [a-z0-9-].
[[nodiscard]] bool is_job_name(std::string_view name) noexcept;

struct JobDescription {
  std::string name;          // is_job_name
  std::string family;        // "mf"; 1 to kMaxFamilyName characters of [a-z0-9_]
  model::Settings settings;  // every setting, defaults too; names of [a-z0-9_.], values of printable ASCII
  dataset::DataContract contract;
  std::uint32_t max_contributors = 0;  // of one cohort: sizes the layout's headroom
  std::uint64_t round_goal = 0;        // training rounds after which the job is finished; 0: runs on

  // Errors: invalid_argument; where() is the field.
  [[nodiscard]] Status validate() const;
  // Canonical: kJobLabel, version, the fields in the order above. REQUIRES: validate() succeeded.
  [[nodiscard]] Bytes encode() const;
  // Errors: malformed, unsupported_version, invalid_argument.
  [[nodiscard]] static chorus::Result<JobDescription> decode(ByteView bytes);
  [[nodiscard]] Digest id() const;  // SHA-256 of encode()
  // The configured model for a catalogue of `items` items. Errors: those of model::make_model.
  // `catalogue`: what server steps may learn of the items; devices need none.
  [[nodiscard]] chorus::Result<std::unique_ptr<model::Model>> make_model(
      std::uint32_t items, std::shared_ptr<const dataset::Catalogue> catalogue = nullptr) const;

  friend bool operator==(const JobDescription&, const JobDescription&) = default;
};

// Model id = H over length-prefixed: family, solver version, every setting, contract, catalogue digest, layout of a
// training round, tensors' digest (design: secure aggregation, section 2, step 0).
[[nodiscard]] Digest model_id(const JobDescription& job, std::uint32_t solver_version, const plan::UpdateLayout& layout,
                              const Digest& catalogue, const Digest& tensors);

}  // namespace chorus::protocol
