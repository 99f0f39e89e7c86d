// What a job is, for everybody who takes part in it: the model family and its settings, the data contract, the cohort
// bound. Its hash is the job's id. The catalogue grows and is signed apart (common/protocol/documents.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/dataset/data_contract.hpp"
#include "common/model/model.hpp"

namespace chorus::protocol {

struct JobDescription {
  std::string name;          // 1 to 64 characters of [a-z0-9-]
  std::string family;        // "mf"
  model::Settings settings;  // every setting, defaults too
  dataset::DataContract contract;
  std::uint32_t max_contributors = 0;  // of one cohort: sizes the layout's headroom
  std::uint64_t round_goal = 0;        // training rounds after which the job is finished; 0: runs on

  [[nodiscard]] Bytes encode() const;  // canonical, "CHORUS/1/job"
  // Errors: malformed, unsupported_version, invalid_argument.
  [[nodiscard]] static Result<JobDescription> decode(ByteView bytes);
  [[nodiscard]] Digest id() const;  // SHA-256 of encode()
  // The configured model for a catalogue of `items` items. Errors: those of model::make_model.
  [[nodiscard]] Result<std::unique_ptr<model::Model>> make_model(std::uint32_t items) const;

  friend bool operator==(const JobDescription&, const JobDescription&) = default;
};

// Model id = H over length-prefixed: family, solver version, every setting, contract, catalogue digest, layout of a
// training round, tensors' digest (design: secure aggregation, section 2, step 0).
[[nodiscard]] Digest model_id(const JobDescription& job, std::uint32_t solver_version, const plan::UpdateLayout& layout,
                              const Digest& catalogue, const Digest& tensors);

}  // namespace chorus::protocol
