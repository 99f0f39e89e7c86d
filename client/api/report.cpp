// What a client tells of itself: recommendations and its state, from the store alone.
#include <fmt/format.h>

#include "client/api/device.hpp"
#include "client/recommend/reasons.hpp"
#include "client/train/device_data.hpp"
#include "common/protocol/job_description.hpp"

namespace chorus::api {
namespace {

RecommendedItem describe(const client::Recommendation& next, const client::Recommender& recommender,
                         const client::Reasons& reasons) {
  const auto& catalogue = recommender.catalogue();
  const auto& item = catalogue[ItemIndex(next.item)];
  RecommendedItem out{.item = item.id,
                      .title = dataset::display_title(item),
                      .score = next.explanation.score,
                      .rated_by = next.rated_by,
                      .reasons = {},
                      .why = reasons.sentence(next)};
  using Kind = model::ScorePart::Kind;
  for (const model::ScorePart& part : next.explanation.parts) {
    double& sum = part.kind == Kind::base      ? out.base
                  : part.kind == Kind::item    ? out.own
                  : part.kind == Kind::history ? out.history
                                               : out.prior;
    sum += part.amount;
  }
  for (const client::Reason& reason : reasons.of(next)) {
    const auto& rated = catalogue[ItemIndex(reason.item)];
    out.reasons.push_back({.item = rated.id,
                           .title = dataset::display_title(rated),
                           .rating = double{reason.rating},
                           .amount = reason.amount});
  }
  return out;
}

PastRound outward(const client::Participation& line) {
  return {.round = line.round.value(),
          .purpose = std::string(plan::to_string(line.purpose)),
          .ending = std::string(client::to_string(line.ending)),
          .reason = line.reason,
          .when = std::int64_t{line.when.time_since_epoch().count()},
          .model_version = line.model_version.value(),
          .members = line.members,
          .survivors = line.survivors,
          .bytes_up = line.bytes_up,
          .bytes_down = line.bytes_down};
}

Status tell_job(client::Store& store, ClientStatus& status) {
  CHORUS_TRY(const auto signed_job, store.job());
  if (!signed_job) return {};
  CHORUS_TRY(const auto job, protocol::JobDescription::decode(signed_job->document));
  status.job = job.name;
  status.minimum = double{job.contract.minimum};
  status.maximum = double{job.contract.maximum};
  status.step = double{job.contract.step};
  CHORUS_TRY(const auto key, store.coordinator_key());
  if (key) {
    for (const std::uint8_t byte : *key) status.coordinator_key += fmt::format("{:02x}", byte);
  }
  CHORUS_TRY(const auto catalogue, catalogue_of(store));
  if (catalogue) {
    status.catalogue_items = catalogue->size();
    CHORUS_TRY(const auto ratings, store.ratings());
    const auto data = client::make_device_data(ratings, *catalogue, catalogue->size(), job.contract);
    status.unknown = data.unknown;
    status.off_scale = data.outside_contract;
  }
  CHORUS_TRY(const auto signed_header, store.model_header());
  if (signed_header) {
    CHORUS_TRY(const auto header, protocol::ModelHeader::decode(signed_header->document));
    status.model_version = header.version.value();
    status.training_rounds = header.training_rounds;
    if (header.privacy) {
      const privacy::PrivacyReport& report = *header.privacy;
      status.privacy = {.delta = report.delta,
                        .epsilon_coordinator = report.coordinator.exact,
                        .epsilon_readers = report.readers.exact,
                        .rounds = report.rounds,
                        .rounds_left = report.rounds_left,
                        .noise_multiplier = report.noise_multiplier,
                        .honest = report.assumed_honest,
                        .words = privacy::to_words(report)};
    }
  }
  return {};
}

}  // namespace

Result<Recommendations> recommend(client::Store& store, std::size_t count) {
  CHORUS_TRY(const auto recommender, client::Recommender::of(store));
  const client::Reasons reasons(recommender);
  Recommendations out{.basis = std::string(client::to_string(recommender.basis())), .items = {}};
  for (const auto& next : recommender.best(count)) out.items.push_back(describe(next, recommender, reasons));
  return out;
}

Result<ClientStatus> status(client::Store& store, std::size_t rounds) {
  ClientStatus status;
  CHORUS_TRY(const auto counts, store.count_ratings());
  status.ratings = counts.training;
  status.held_out = counts.held_out;
  CHORUS_TRY_DO(tell_job(store, status));
  CHORUS_TRY(const auto contact, store.last_contact());
  if (contact) {
    status.last_contact = std::int64_t{contact->when.time_since_epoch().count()};
    status.last_outcome = contact->outcome;
    status.devices_ready = contact->devices_ready;
    status.devices_needed = contact->devices_needed;
  }
  CHORUS_TRY(const auto history, store.history(rounds));
  for (const auto& line : history) status.history.push_back(outward(line));
  return status;
}

}  // namespace chorus::api
