// Makes model versions: the initial one, one from a round's sum, one for a longer catalogue. The model's numbers, its
// header and its signature come from here alone, in the daemon, the simulation and a replay.
#pragma once

#include <memory>
#include <optional>

#include "common/crypto/signature.hpp"
#include "common/model/model.hpp"
#include "common/protocol/documents.hpp"
#include "common/protocol/job_description.hpp"
#include "coordinator/publish/catalogue_publication.hpp"
#include "coordinator/publish/robust.hpp"

namespace chorus::coordinator {

// A model version. Immutable and cheap to copy.
struct Version {
  protocol::ModelHeader header;
  protocol::Signed document;  // the header
  std::shared_ptr<const model::ServerState> state;
  std::shared_ptr<const Bytes> tensors;  // state->shared.encode()
};

// What came out of a round's sum.
struct StepOutcome {
  std::optional<Version> version;         // absent for a measuring round
  std::optional<model::Quality> quality;  // of the version that the round started from; absent for a survey
  std::size_t left_out = 0;               // cohorts that the rule left out whole
};

// One job with one state of its catalogue. Immutable; thread-safe.
class Publisher {
 public:
  // Errors: those of model::make_model; invalid_argument (an empty catalogue).
  [[nodiscard]] static Result<std::shared_ptr<const Publisher>> create(protocol::JobDescription job,
                                                                       dataset::Catalogue catalogue,
                                                                       std::shared_ptr<const crypto::SigningKey> key);

  [[nodiscard]] const protocol::JobDescription& job() const noexcept { return job_; }
  [[nodiscard]] const Digest& job_id() const noexcept { return job_id_; }
  [[nodiscard]] const protocol::Signed& job_document() const noexcept { return job_document_; }
  [[nodiscard]] const CataloguePublication& catalogue() const noexcept { return catalogue_; }
  [[nodiscard]] const model::Model& model() const noexcept { return *model_; }
  [[nodiscard]] const crypto::SigningKey& key() const noexcept { return *key_; }
  [[nodiscard]] const std::shared_ptr<const crypto::SigningKey>& shared_key() const noexcept { return key_; }

  // Version 0.
  [[nodiscard]] Version initial() const;
  // Applies the sums of round `round`, which started from `from`; `report` goes with the version. Errors: non_finite,
  // and those of CollectedSums::combine.
  [[nodiscard]] Result<StepOutcome> step(const Version& from, plan::Purpose purpose, RoundId round,
                                         const CollectedSums& collected, const privacy::PrivacyReport& report) const;
  // `from` has the rows of an older, shorter catalogue: the next version has this one's.
  [[nodiscard]] Version grow(const Version& from) const;
  // A version as it was stored: signed anew, since the certificate may have been renewed with another key.
  // Errors: corrupt (the tensors or their model id are not those of the header), those of Model::check_shared.
  [[nodiscard]] Result<Version> restore(const protocol::ModelHeader& header, Bytes tensors, ByteView hidden) const;

 private:
  Publisher() = default;
  [[nodiscard]] Version make_version(protocol::ModelHeader header, model::ServerState state) const;

  protocol::JobDescription job_;
  Digest job_id_{};
  protocol::Signed job_document_;
  CataloguePublication catalogue_;
  std::unique_ptr<model::Model> model_;
  std::shared_ptr<const crypto::SigningKey> key_;
};

}  // namespace chorus::coordinator
