#include "coordinator/publish/publisher.hpp"

#include <fmt/format.h>

#include "common/crypto/hash.hpp"

namespace chorus::coordinator {

Result<std::shared_ptr<const Publisher>> Publisher::create(protocol::JobDescription job, dataset::Catalogue catalogue,
                                                           std::shared_ptr<const crypto::SigningKey> key) {
  if (catalogue.empty()) return fail(ErrorCode::invalid_argument, "the catalogue has no items");
  std::shared_ptr<Publisher> publisher(new Publisher());
  CHORUS_TRY(publisher->model_, job.make_model(static_cast<std::uint32_t>(catalogue.size()),
                                               std::make_shared<const dataset::Catalogue>(catalogue)));
  publisher->job_ = std::move(job);
  publisher->job_id_ = publisher->job_.id();
  publisher->job_document_ = protocol::sign_document(protocol::kJobLabel, publisher->job_.encode(), *key);
  publisher->catalogue_ = publish_catalogue(std::move(catalogue), publisher->job_id_, *key);
  publisher->key_ = std::move(key);
  return publisher;
}

Version Publisher::initial() const {
  return make_version(protocol::ModelHeader{.version = ModelVersion(0), .round = RoundId(0)}, model_->initial());
}

Result<StepOutcome> Publisher::step(const Version& from, plan::Purpose purpose, RoundId round,
                                    const CollectedSums& collected, const privacy::PrivacyReport& report) const {
  CHORUS_TRY(const CombinedSum combined, collected.combine());
  const std::vector<std::vector<double>>& sums = combined.sums;

  StepOutcome outcome{.version = {}, .quality = {}, .left_out = combined.left_out.size()};
  if (purpose != plan::Purpose::survey) outcome.quality = model_->quality(purpose, sums);
  if (purpose == plan::Purpose::measure) return outcome;

  model::ServerState state = *from.state;
  CHORUS_TRY_DO(model_->step(purpose, state, sums, combined.contributors));
  protocol::ModelHeader header = from.header;
  header.version = ModelVersion(from.header.version.value() + 1);
  header.round = round;
  header.privacy = report;
  if (purpose == plan::Purpose::train) ++header.training_rounds;
  outcome.version = make_version(header, std::move(state));
  return outcome;
}

Version Publisher::grow(const Version& from) const {
  model::ServerState state = *from.state;
  model_->grow(state);
  protocol::ModelHeader header = from.header;
  header.version = ModelVersion(from.header.version.value() + 1);
  return make_version(header, std::move(state));
}

Result<Version> Publisher::restore(const protocol::ModelHeader& header, Bytes tensors, ByteView hidden) const {
  const std::string where = fmt::format("model version {}", header.version.value());
  model::ServerState state;
  auto decoded = model::TensorSet::decode(tensors);
  if (!decoded) return fail(ErrorCode::corrupt, decoded.error().to_string(), where);
  state.shared = std::move(*decoded);
  auto decoded_hidden = model::ServerState::decode_hidden(hidden);
  if (!decoded_hidden) return fail(ErrorCode::corrupt, decoded_hidden.error().to_string(), where);
  state.hidden = std::move(*decoded_hidden);
  if (auto fits = model_->check_shared(state.shared); !fits) return fail(fits.error().at(where));
  Version version = make_version(header, std::move(state));
  if (version.header.tensors != header.tensors) {
    return fail(ErrorCode::corrupt, "the stored parameters do not have the header's digest", where);
  }
  if (version.header.model_id != header.model_id) {
    return fail(ErrorCode::wrong_model,
                "the stored model has another id under this version of the program, job or catalogue", where);
  }
  return version;
}

Version Publisher::make_version(protocol::ModelHeader header, model::ServerState state) const {
  Version version;
  version.tensors = std::make_shared<const Bytes>(state.shared.encode());
  version.state = std::make_shared<const model::ServerState>(std::move(state));
  header.job = job_id_;
  header.catalogue = catalogue_.header.digest;
  header.size = version.tensors->size();
  header.tensors = crypto::sha256(*version.tensors);
  header.model_id =
      protocol::model_id(job_, model_->solver_version(), model_->layout(plan::Purpose::train, header.training_rounds),
                         header.catalogue, header.tensors);
  version.document = protocol::sign_document(protocol::kModelLabel, header.encode(), *key_);
  version.header = header;
  return version;
}

}  // namespace chorus::coordinator
