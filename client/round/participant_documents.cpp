// What a device checks of the documents and the bytes that a coordinator gives it, and how it fetches them.
#include <utility>

#include <fmt/format.h>

#include "client/round/participant.hpp"
#include "common/crypto/hash.hpp"
#include "common/dataset/catalogue.hpp"

namespace chorus::client {

Status Participant::adopt(const protocol::Signed& job) {
  CHORUS_TRY_DO(check_signed(protocol::kJobLabel, job, setup_.coordinator));
  CHORUS_TRY(job_, protocol::JobDescription::decode(job.document));
  if (!setup_.job.empty() && job_->name != setup_.job) {
    return fail(ErrorCode::wrong_job,
                fmt::format("the coordinator offers the job '{}', not '{}'", job_->name, setup_.job));
  }
  job_id_ = job_->id();
  CHORUS_TRY(const auto held, setup_.store.job());
  first_contact_ = !held;
  if (held && held->document != job.document) {
    return fail(ErrorCode::wrong_job,
                fmt::format("the coordinator's job '{}' is not the one that this device joined; to join it, leave the "
                            "old one first",
                            job_->name));
  }
  CHORUS_TRY(const auto catalogue, setup_.store.catalogue_header());
  if (catalogue) {
    CHORUS_TRY(catalogue_, protocol::CatalogueHeader::decode(catalogue->document));
  }
  if (catalogue_) {
    CHORUS_TRY(model_, job_->make_model(catalogue_->items));
  }
  CHORUS_TRY(const auto model, setup_.store.model_header());
  if (model) {
    CHORUS_TRY(held_, protocol::ModelHeader::decode(model->document));
  }
  return {};
}

Status Participant::offer_catalogue(const protocol::Signed& signed_header) {
  CHORUS_TRY_DO(check_signed(protocol::kCatalogueLabel, signed_header, setup_.coordinator));
  CHORUS_TRY(const auto header, protocol::CatalogueHeader::decode(signed_header.document));
  if (header.job != job_id_) return fail(ErrorCode::wrong_job, "the catalogue belongs to another job");
  CHORUS_TRY_DO(setup_.policy.check_size(header));
  if (!catalogue_ || header.version > catalogue_->version) {
    wanted_catalogue_ = CatalogueOffer{signed_header, header};
    return {};
  }
  if (header == *catalogue_) return {};
  return fail(ErrorCode::wrong_job,
              fmt::format("the coordinator's catalogue version {} is not the version {} that this device holds, and "
                          "not a later one",
                          header.version, catalogue_->version));
}

Status Participant::offer_model(const protocol::Signed& signed_header) {
  CHORUS_TRY_DO(check_signed(protocol::kModelLabel, signed_header, setup_.coordinator));
  CHORUS_TRY(const auto header, protocol::ModelHeader::decode(signed_header.document));
  if (header.job != job_id_) return fail(ErrorCode::wrong_job, "the model belongs to another job");
  CHORUS_TRY_DO(setup_.policy.check_size(header));
  const protocol::ModelHeader* latest = wanted_ ? &wanted_->header : held_ ? &*held_ : nullptr;
  if (latest != nullptr && header.version <= latest->version) {
    if (header == *latest) return {};
    return fail(ErrorCode::wrong_model,
                fmt::format("the coordinator offers a model version {} that is older than, or another one than, the "
                            "version {} that this device knows",
                            header.version.value(), latest->version.value()));
  }
  const Digest& catalogue = wanted_catalogue_ ? wanted_catalogue_->header.digest : catalogue_->digest;
  if (header.catalogue != catalogue) {
    // Welcome alone brings a catalogue: the next one will.
    return fail(ErrorCode::aborted, fmt::format("model version {} belongs to another catalogue than the one announced; "
                                                "connecting again",
                                                header.version.value()));
  }
  wanted_ = ModelOffer{signed_header, header};
  return {};
}

void Participant::fetch(std::variant<CatalogueOffer, ModelOffer> offer, Now now) {
  const auto* model = std::get_if<ModelOffer>(&offer);
  send(protocol::Fetch{.kind = model ? protocol::BlobKind::model : protocol::BlobKind::catalogue,
                       .version = model ? model->header.version.value()
                                        : std::uint64_t{std::get<CatalogueOffer>(offer).header.version}});
  download_ = Download{.offer = std::move(offer), .received = {}, .deadline = now.moment + kBlobTimeout};
}

Status Participant::on(const protocol::Blob& blob, Now now) {
  if (!download_) return fail(ErrorCode::out_of_phase, "the coordinator sent a piece of something not asked for");
  const auto* model = std::get_if<ModelOffer>(&download_->offer);
  const auto kind = model ? protocol::BlobKind::model : protocol::BlobKind::catalogue;
  const std::string_view name = model ? "model" : "catalogue";
  const std::uint64_t version =
      model ? model->header.version.value() : std::uint64_t{std::get<CatalogueOffer>(download_->offer).header.version};
  const std::uint64_t size = model ? model->header.size : std::get<CatalogueOffer>(download_->offer).header.size;
  if (blob.kind != kind || blob.version != version) {
    return fail(ErrorCode::malformed,
                fmt::format("the coordinator sent a piece of something else than {} version {}", name, version));
  }
  Bytes& received = download_->received;
  if (blob.total != size || blob.offset != received.size() || blob.data.empty() ||
      blob.data.size() > size - received.size()) {
    return fail(ErrorCode::malformed,
                fmt::format("a piece of {} bytes at {} of {} does not continue {} version {}: {} of {} bytes are here",
                            blob.data.size(), blob.offset, blob.total, name, version, received.size(), size));
  }
  // Grows with what came, never by what was announced.
  received.insert(received.end(), blob.data.begin(), blob.data.end());
  bytes_down_ += blob.data.size();
  download_->deadline = now.moment + kBlobTimeout;
  report(event::Downloading{.kind = kind, .received = received.size(), .total = size});
  return received.size() == size ? accept_download(now) : Status{};
}

Status Participant::check_catalogue(const CatalogueOffer& offer, ByteView bytes) const {
  if (crypto::sha256(bytes) != offer.header.digest) {
    return fail(ErrorCode::bad_signature, "the catalogue is not the one that its signed header names");
  }
  CHORUS_TRY(const auto catalogue, dataset::Catalogue::decode(bytes));
  if (catalogue.version() != offer.header.version || catalogue.size() != offer.header.items) {
    return fail(ErrorCode::malformed, "the catalogue's version or size is not what its header says");
  }
  CHORUS_TRY(const auto older_bytes, setup_.store.catalogue());
  if (!older_bytes) return {};
  CHORUS_TRY(const auto older, dataset::Catalogue::decode(older_bytes->bytes));
  if (catalogue.is_extension_of(older)) return {};
  return fail(ErrorCode::wrong_job,
              fmt::format("catalogue version {} moves or changes items of version {}; it may only add some",
                          catalogue.version(), older.version()));
}

Status Participant::check_model(const ModelOffer& offer, ByteView bytes) const {
  const std::uint64_t version = offer.header.version.value();
  if (crypto::sha256(bytes) != offer.header.tensors) {
    return fail(ErrorCode::bad_signature,
                fmt::format("model version {} is not the one that its signed header names", version));
  }
  CHORUS_TRY(const auto shared, model::TensorSet::decode(bytes, Policy::kMostModelBytes));
  CHORUS_TRY_DO(model_->check_shared(shared));
  if (model_->training_rounds(shared) != offer.header.training_rounds) {
    return fail(ErrorCode::wrong_model,
                fmt::format("model version {} has {} training rounds behind it, its header says {}", version,
                            model_->training_rounds(shared), offer.header.training_rounds));
  }
  // The id is not the coordinator's to choose: it says what exactly is computed with what.
  const Digest id = protocol::model_id(*job_, model_->solver_version(),
                                       model_->layout(plan::Purpose::train, offer.header.training_rounds),
                                       catalogue_->digest, offer.header.tensors);
  if (id == offer.header.model_id) return {};
  return fail(ErrorCode::wrong_model,
              fmt::format("the id of model version {} is not that of its tensors, settings and catalogue (or this "
                          "device's solver is another version than the coordinator's)",
                          version));
}

Status Participant::accept_download(Now now) {
  const Download done = std::move(*std::exchange(download_, std::nullopt));
  if (const auto* offer = std::get_if<CatalogueOffer>(&done.offer)) {
    CHORUS_TRY_DO(check_catalogue(*offer, done.received));
    CHORUS_TRY(model_, job_->make_model(offer->header.items));
    CHORUS_TRY_DO(setup_.store.put_catalogue({.header = offer->signed_document, .bytes = done.received}));
    catalogue_ = offer->header;
    wanted_catalogue_.reset();
    return settle(now);
  }
  const auto& offer = std::get<ModelOffer>(done.offer);
  CHORUS_TRY_DO(check_model(offer, done.received));
  CHORUS_TRY_DO(
      setup_.store.put_model({.header = offer.signed_document, .items = catalogue_->items, .tensors = done.received}));
  held_ = offer.header;
  if (wanted_ && wanted_->header == offer.header) wanted_.reset();
  report(event::ModelAccepted{.version = held_->version, .training_rounds = held_->training_rounds});

  const auto* preparing = std::get_if<Preparing>(&phase_);
  if (preparing == nullptr) return settle(now);
  if (held_->version == preparing->plan.fields().model_version) return prepare(now);
  // It was an older version that was under way when the plan came.
  if (wanted_) fetch(*wanted_, now);
  return {};
}

}  // namespace chorus::client
