// A coordinator's documents for driving a Participant: it signs what it is told to sign, lies included. The secure sum
// of a round is in tests/client/round/cohort.hpp.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/crypto/hash.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/revocation_list.hpp"
#include "common/protocol/documents.hpp"
#include "common/protocol/job_description.hpp"
#include "common/protocol/messages.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::client::testing {

inline constexpr std::uint32_t kItems = 40;

inline dataset::Catalogue make_test_catalogue(std::uint32_t items = kItems, std::uint32_t version = 1) {
  std::vector<dataset::CatalogueItem> all;
  for (std::uint32_t i = 0; i < items; ++i) {
    all.push_back({.id = "item-" + std::to_string(i), .title = "Title " + std::to_string(i), .genres = {}, .year = 0});
  }
  return *dataset::Catalogue::create(std::move(all), version);
}

inline constexpr WallTime kToday{std::chrono::seconds(1'700'000'000)};

inline identity::DeviceId device_id(std::uint8_t number) {
  return {.bytes = {number, 9}};
}

// An enrolment authority: identities and revocation lists as a test wants them.
class Authority {
 public:
  explicit Authority(std::uint64_t seed = 7)
      : random_(seed),
        key_(crypto::SigningKey::generate(random_)),
        certificate_(
            identity::make_authority_certificate(key_, identity::random_serial(random_), {kToday - 1h, kToday + 240h})
                .value()) {}

  const identity::Certificate& certificate() const { return certificate_; }
  const crypto::SigningKey& key() const { return key_; }
  identity::IdentityStatement enrol(const identity::DeviceId& id, const crypto::PublicKey& key,
                                    WallTime enrolled_at = kToday - 1h) const {
    identity::IdentityStatement statement;
    statement.id = id;
    statement.key = key;
    statement.enrolled_at = enrolled_at;
    statement.expires_at = kToday + 240h;
    return identity::sign(statement, key_);
  }
  identity::RevocationList revocations(std::uint64_t number, std::vector<identity::RevokedDevice> devices = {},
                                       WallTime from = kToday - 1h, WallTime until = kToday + 24h) const {
    std::vector<identity::RevokedCertificate> entries;
    for (const auto& device : devices) {
      entries.push_back(
          {.serial = {1, static_cast<std::uint8_t>(entries.size())}, .revoked_at = from, .device = device});
    }
    return identity::make_revocation_list(entries, number, from, until, {certificate_, key_}).value();
  }

 private:
  sim::SeededRandom random_;
  crypto::SigningKey key_;
  identity::Certificate certificate_;
};

class FakeCoordinator {
 public:
  explicit FakeCoordinator(std::uint64_t seed = 1, std::uint32_t items = kItems)
      : random_(seed), key_(crypto::SigningKey::generate(random_)), catalogue_(make_test_catalogue(items)) {
    job_.name = "films";
    job_.family = "mf";
    job_.settings = {{"rank", "3"}};
    job_.max_contributors = 8;
    // Every setting, defaults too.
    job_.settings = (*job_.make_model(items))->settings();
    model_ = std::move(*job_.make_model(items));
    state_ = model_->initial();
    publish(ModelVersion(1), 0);
  }

  const crypto::PublicKey& key() const { return key_.public_key(); }
  const protocol::JobDescription& job() const { return job_; }
  const model::Model& model() const { return *model_; }
  const dataset::Catalogue& catalogue() const { return catalogue_; }
  const protocol::ModelHeader& header() const { return header_; }
  const model::ServerState& state() const { return state_; }
  model::ServerState& state() { return state_; }

  // Signs the present state as this version.
  void publish(ModelVersion version, std::uint64_t training_rounds) {
    state_.shared.find("scale")->values[2] = static_cast<float>(training_rounds);
    tensors_ = state_.shared.encode();
    header_ = {.job = job_.id(),
               .version = version,
               .round = RoundId(version.value()),
               .training_rounds = training_rounds,
               .model_id = {},
               .catalogue = crypto::sha256(catalogue_.encode()),
               .size = tensors_.size(),
               .tensors = crypto::sha256(tensors_)};
    header_.model_id =
        protocol::model_id(job_, model_->solver_version(), model_->layout(plan::Purpose::train, training_rounds),
                           header_.catalogue, header_.tensors);
  }

  protocol::CatalogueHeader catalogue_header() const {
    const Bytes bytes = catalogue_.encode();
    return {.job = job_.id(),
            .version = catalogue_.version(),
            .items = static_cast<std::uint32_t>(catalogue_.size()),
            .size = bytes.size(),
            .digest = crypto::sha256(bytes)};
  }
  template <typename Document>
  protocol::Signed sign(std::string_view label, const Document& document) const {
    return protocol::sign_document(label, document.encode(), key_);
  }
  protocol::Welcome welcome() const {
    return {.job = sign(protocol::kJobLabel, job_),
            .catalogue = sign(protocol::kCatalogueLabel, catalogue_header()),
            .model = sign(protocol::kModelLabel, header_),
            .finished = false};
  }
  protocol::Published published() const { return {sign(protocol::kModelLabel, header_)}; }

  // The answer to a Fetch, in pieces of `piece` bytes.
  std::vector<protocol::Message> blobs(const protocol::Fetch& fetch, std::size_t piece = 1000) const {
    const Bytes bytes = fetch.kind == protocol::BlobKind::catalogue ? catalogue_.encode() : tensors_;
    std::vector<protocol::Message> out;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(at);
      const auto size = static_cast<std::ptrdiff_t>(std::min(piece, bytes.size() - at));
      out.emplace_back(protocol::Blob{.kind = fetch.kind,
                                      .version = fetch.version,
                                      .offset = at,
                                      .total = bytes.size(),
                                      .data = Bytes(from, from + size)});
    }
    return out;
  }

  plan::RoundPlanFields plan_fields(std::uint64_t round, plan::Purpose purpose = plan::Purpose::train) {
    return {.job = job_.id(),
            .session = random_.array<32>(),
            .round = RoundId(round),
            .cohort = CohortId(0),
            .purpose = purpose,
            .model_version = header_.version,
            .model_id = header_.model_id,
            .catalogue = header_.catalogue,
            .revocations = crypto::sha256(revocations),
            .least_members = 4,
            .most_members = 8,
            .dropout = {1, 4}};
  }
  static plan::Floors floors() {
    return {.least_survivors = 1,
            .most_members = 64,
            .most_dropout = {1, 2},
            .most_coordinates = 1 << 20,
            .longest_phase = std::chrono::minutes(10)};
  }
  // What a lying coordinator could still encode.
  static plan::Floors no_floors() {
    return {.least_survivors = 1,
            .most_members = 0xffff,
            .most_dropout = {99, 100},
            .least_corrupt = {0, 1},
            .least_noise = 0,
            .most_coordinates = plan::UpdateLayout::kMaxCoordinates,
            .longest_phase = std::chrono::hours(1)};
  }
  protocol::Manifest manifest(const plan::RoundPlanFields& fields,
                              std::optional<plan::UpdateLayout> layout = {}) const {
    auto plan = plan::RoundPlan::create(
        fields, layout ? *layout : model_->layout(fields.purpose, header_.training_rounds), no_floors());
    EXPECT_TRUE(plan) << plan.error().to_string();
    return {.plan = protocol::sign_document(protocol::kManifestLabel, plan->encode(), key_),
            .revocations = revocations};
  }
  protocol::Result result(const plan::RoundPlanFields& fields, protocol::Outcome outcome, ModelVersion version) const {
    const protocol::RoundResult result{.session = fields.session,
                                       .round = fields.round,
                                       .cohort = fields.cohort,
                                       .outcome = outcome,
                                       .members = 5,
                                       .survivors = outcome == protocol::Outcome::aborted ? 0U : 4U,
                                       .version = version,
                                       .reason = outcome == protocol::Outcome::aborted ? "too few" : ""};
    return {sign(protocol::kResultLabel, result)};
  }

  crypto::SigningKey& signing_key() { return key_; }
  Bytes& tensors() { return tensors_; }
  protocol::ModelHeader& header() { return header_; }
  void set_catalogue(dataset::Catalogue catalogue) { catalogue_ = std::move(catalogue); }

  Authority authority;
  Bytes revocations = authority.revocations(2).der();  // what goes with the plans

 private:
  sim::SeededRandom random_;
  crypto::SigningKey key_;
  dataset::Catalogue catalogue_;
  protocol::JobDescription job_;
  std::unique_ptr<model::Model> model_;
  model::ServerState state_;
  Bytes tensors_;
  protocol::ModelHeader header_;
};

}  // namespace chorus::client::testing
