#include "coordinator/admin/observatory.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/base/check.hpp"
#include "coordinator/admin/version_difference.hpp"

namespace chorus::coordinator {

namespace {

using Json = nlohmann::ordered_json;

double seconds_of(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

void keep(std::deque<RoundLine>& lines, RoundLine line) {
  lines.push_back(std::move(line));
  if (lines.size() > Observatory::kMostLines) lines.pop_front();
}

struct Observe {
  Picture& picture;
  std::int64_t now;

  void operator()(const WaitingForDevices& event) const { picture.devices_needed = event.needed; }
  void operator()(const RoundOpened& event) const {
    picture.devices_needed = 0;
    picture.open_round = event.round.value();
    picture.open_cohorts = event.cohorts;
    picture.open_members = event.members;
  }
  void operator()(const CohortAborted& event) const {
    ++picture.cohorts_aborted[std::string(to_string(event.reason.code()))];
  }
  void operator()(const MembersDeclined& event) const {
    picture.declined[std::string(to_string(event.reason))] += event.members;
  }
  void operator()(const MemberConvicted&) const { ++picture.convicted; }
  void operator()(const RoundClosed& event) const {
    picture.open_round = 0;
    ++(event.purpose == plan::Purpose::measure ? picture.rounds_measured : picture.rounds_published);
    picture.members += event.members;
    picture.survivors += event.survivors;
    const double took = seconds_of(event.took);
    picture.seconds += took;
    for (std::size_t b = 0; b < Picture::kBuckets.size(); ++b) {
      if (took <= Picture::kBuckets[b]) ++picture.took[b];
    }
    keep(picture.rounds, {.round = event.round.value(),
                          .purpose = std::string(plan::to_string(event.purpose)),
                          .when = now,
                          .seconds = took,
                          .cohorts = event.cohorts,
                          .cohorts_aborted = event.cohorts_aborted,
                          .members = event.members,
                          .funnel = event.funnel,
                          .survivors = event.survivors,
                          .from = picture.version,
                          .reason = {},
                          .quality = event.quality});
    // The version's own line: what comes next replaces it.
    if (!picture.versions.empty() && picture.versions.back().version == picture.version && event.quality) {
      picture.versions.back().quality = event.quality;
    }
  }
  void operator()(const RoundAborted& event) const {
    picture.open_round = 0;
    ++picture.rounds_aborted;
    picture.members += event.members;
    keep(picture.rounds, {.round = event.round.value(),
                          .purpose = std::string(plan::to_string(event.purpose)),
                          .when = now,
                          .seconds = seconds_of(event.took),
                          .members = event.members,
                          .funnel = event.funnel,
                          .from = picture.version,
                          .reason = event.reason.to_string(),
                          .quality = {}});
  }
  void operator()(const VersionPublished& event) const {
    picture.items = event.items;
    picture.versions.push_back({.version = event.version.value(),
                                .when = now,
                                .training_rounds = event.training_rounds,
                                .items = event.items,
                                .bytes = event.bytes,
                                .privacy = event.privacy});
    if (picture.versions.size() > Observatory::kMostLines) picture.versions.pop_front();
  }
  void operator()(const JobFinished&) const {}
  void operator()(const BudgetSpent&) const {}
  void operator()(const CatalogueRefused&) const {}
};

Json quality_json(const std::optional<model::Quality>& quality) {
  if (!quality) return nullptr;
  Json json{{"held_out_ratings", quality->held_out_ratings}, {"devices", quality->devices}};
  if (quality->held_out_ratings > 0 && quality->ranked_devices == 0) json["rmse"] = quality->held_out_rmse;
  if (quality->ranked_devices > 0) {
    json["hit_at_10"] = quality->hit_at_10;
    json["ndcg_at_10"] = quality->ndcg_at_10;
  }
  return json;
}

Json privacy_json(const std::optional<privacy::PrivacyReport>& report) {
  return report ? Json::parse(privacy::to_json(*report)) : Json(nullptr);
}

// A label's value: backslash, quote and line break are escaped.
std::string label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? 'n' : c;
    if (c == '\n') out.insert(out.size() - 1, 1, '\\');
  }
  return out;
}

class PrometheusText {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void value(double number, std::string_view labels = {}, std::string_view suffix = {}) {
    const std::string shown = std::isinf(number) ? (number > 0 ? "+Inf" : "-Inf") : fmt::format("{}", number);
    text_ += labels.empty() ? fmt::format("{}{} {}\n", name_, suffix, shown)
                            : fmt::format("{}{}{{{}}} {}\n", name_, suffix, labels, shown);
  }
  void whole(std::uint64_t number, std::string_view labels = {}, std::string_view suffix = {}) {
    text_ += labels.empty() ? fmt::format("{}{} {}\n", name_, suffix, number)
                            : fmt::format("{}{}{{{}}} {}\n", name_, suffix, labels, number);
  }
  [[nodiscard]] std::string take() && { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

}  // namespace

Observatory::Observatory(const protocol::JobDescription& job, const Version& version,
                         const dataset::Catalogue& catalogue, std::int64_t now) {
  picture_.job = job.name;
  picture_.family = job.family;
  picture_.goal = job.round_goal;
  picture_.started = now;
  publish(version, catalogue);
  picture_.versions.push_back({.version = version.header.version.value(),
                               .when = now,
                               .training_rounds = version.header.training_rounds,
                               .items = picture_.items,
                               .bytes = version.header.size,
                               .privacy = version.header.privacy});
}

void Observatory::recall(const std::vector<RoundRecord>& rounds, const std::vector<protocol::ModelHeader>& versions) {
  std::map<std::uint64_t, std::int64_t> ended;                // by round
  std::map<std::uint64_t, std::optional<model::Quality>> of;  // by version
  for (const RoundRecord& record : rounds) {
    RoundLine line{.round = record.round.value(),
                   .purpose = record.purpose,
                   .when = std::int64_t{record.ended.time_since_epoch().count()},
                   .seconds = seconds_of(record.took),
                   .cohorts = static_cast<std::uint32_t>(record.cohorts.size()),
                   .funnel = {.keys = record.keys, .masked = record.masked, .unmasked = record.unmasked},
                   .from = record.from.value(),
                   .reason = record.reason,
                   .quality = record.quality};
    for (const RoundRecord::Cohort& cohort : record.cohorts) {
      line.members += cohort.members;
      line.survivors += cohort.survivors;
      if (cohort.survivors == 0) ++line.cohorts_aborted;
    }
    ended[line.round] = line.when;
    if (line.quality) of[line.from] = line.quality;
    keep(picture_.rounds, std::move(line));
  }
  // Only those of the present catalogue: a header does not say how many items an earlier one had.
  VersionLine latest = std::move(picture_.versions.back());
  picture_.versions.clear();
  for (const protocol::ModelHeader& header : versions) {
    if (header.catalogue != versions.back().catalogue) continue;
    const auto round = ended.find(header.round.value());
    picture_.versions.push_back({.version = header.version.value(),
                                 .when = round == ended.end() ? latest.when : round->second,
                                 .training_rounds = header.training_rounds,
                                 .items = latest.items,
                                 .bytes = header.size,
                                 .privacy = header.privacy,
                                 .quality = of[header.version.value()]});
  }
  if (picture_.versions.empty()) picture_.versions.push_back(std::move(latest));
}

void Observatory::observe(const Log& event, std::int64_t now) {
  std::visit(Observe{picture_, now}, event);
}

void Observatory::publish(const Version& version, const dataset::Catalogue& catalogue) {
  picture_.version = version.header.version.value();
  picture_.training_rounds = version.header.training_rounds;
  picture_.items = static_cast<std::uint32_t>(catalogue.size());
  picture_.models.push_back({.version = picture_.version, .tensors = version.tensors});
  if (picture_.models.size() > kMostModels) picture_.models.pop_front();
  if (picture_.catalogue == nullptr || picture_.catalogue->version() != catalogue.version()) {
    picture_.catalogue = std::make_shared<const dataset::Catalogue>(catalogue);
  }
}

Picture Observatory::picture(DaemonView daemon) const {
  Picture picture = picture_;
  picture.daemon = std::move(daemon);
  return picture;
}

std::string to_json(const Picture& picture) {
  Json rounds = Json::array();
  for (const RoundLine& line : picture.rounds) {
    rounds.push_back({{"round", line.round},
                      {"purpose", line.purpose},
                      {"when", line.when},
                      {"seconds", line.seconds},
                      {"cohorts", line.cohorts},
                      {"cohorts_aborted", line.cohorts_aborted},
                      {"members", line.members},
                      {"keys", line.funnel.keys},
                      {"masked", line.funnel.masked},
                      {"survivors", line.survivors},
                      {"unmasked", line.funnel.unmasked},
                      {"from", line.from},
                      {"reason", line.reason.empty() ? Json(nullptr) : Json(line.reason)},
                      {"quality", quality_json(line.quality)}});
  }
  Json versions = Json::array();
  for (const VersionLine& line : picture.versions) {
    const bool kept = std::any_of(picture.models.begin(), picture.models.end(),
                                  [&](const KeptModel& model) { return model.version == line.version; });
    versions.push_back({{"version", line.version},
                        {"when", line.when},
                        {"training_rounds", line.training_rounds},
                        {"items", line.items},
                        {"bytes", line.bytes},
                        {"kept", kept},
                        {"quality", quality_json(line.quality)},
                        {"privacy", privacy_json(line.privacy)}});
  }
  const auto counts = [](const std::map<std::string, std::uint64_t>& by_reason) {
    Json json = Json::object();
    for (const auto& [reason, count] : by_reason) json[reason] = count;
    return json;
  };
  const DaemonView& daemon = picture.daemon;
  return Json{
      {"job", {{"name", picture.job}, {"family", picture.family}, {"goal", picture.goal}}},
      {"phase", daemon.phase},
      {"paused", daemon.paused},
      {"stopping", daemon.stopping},
      {"started", picture.started},
      {"version", picture.version},
      {"training_rounds", picture.training_rounds},
      {"items", picture.items},
      {"devices",
       {{"connected", daemon.connections}, {"ready", daemon.devices_ready}, {"needed", picture.devices_needed}}},
      {"connections_refused", daemon.connections_refused},
      {"open_round",
       picture.open_round == 0
           ? Json(nullptr)
           : Json{{"round", picture.open_round}, {"cohorts", picture.open_cohorts}, {"members", picture.open_members}}},
      {"rounds_published", picture.rounds_published},
      {"rounds_measured", picture.rounds_measured},
      {"rounds_aborted", picture.rounds_aborted},
      {"members", picture.members},
      {"survivors", picture.survivors},
      {"convicted", picture.convicted},
      {"declined", counts(picture.declined)},
      {"cohorts_aborted", counts(picture.cohorts_aborted)},
      {"resident_bytes", daemon.resident_bytes},
      {"store_bytes", daemon.store_bytes},
      {"rounds", std::move(rounds)},
      {"versions", std::move(versions)}}
      .dump();
}

std::shared_ptr<const Bytes> kept_tensors(const Picture& picture, std::uint64_t version) {
  for (const KeptModel& model : picture.models) {
    if (model.version == version) return model.tensors;
  }
  return nullptr;
}

Result<std::string> difference_json(const Picture& picture, std::uint64_t from, std::uint64_t to) {
  const auto earlier = kept_tensors(picture, from);
  const auto later = kept_tensors(picture, to);
  if (earlier == nullptr || later == nullptr) {
    return fail(ErrorCode::not_found, fmt::format("version {} is not kept; the latest {} since the start are",
                                                  earlier == nullptr ? from : to, Observatory::kMostModels));
  }
  const auto line_of = [&](std::uint64_t version) {
    return std::find_if(picture.versions.begin(), picture.versions.end(),
                        [&](const VersionLine& line) { return line.version == version; });
  };
  const auto line_from = line_of(from);
  const auto line_to = line_of(to);
  CHORUS_ENSURE(line_from != picture.versions.end() && line_to != picture.versions.end(),
                "more lines than models are kept");
  CHORUS_TRY(const auto difference, difference_of(*earlier, *later, line_to->items, *picture.catalogue));
  Json tensors = Json::array();
  for (const TensorChange& tensor : difference.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"shape", {tensor.rows, tensor.columns}},
                       {"before", tensor.before},
                       {"change", tensor.change},
                       {"largest", tensor.largest}});
  }
  Json items = Json::array();
  for (const ItemChange& item : difference.items) items.push_back({{"title", item.title}, {"change", item.change}});
  return Json{{"from", from},
              {"to", to},
              {"before", difference.before},
              {"change", difference.change},
              {"quality_from", quality_json(line_from->quality)},
              {"quality_to", quality_json(line_to->quality)},
              {"tensors", std::move(tensors)},
              {"items", std::move(items)}}
      .dump();
}

std::string job_list_json(const Pictures& pictures) {
  Json jobs = Json::array();
  for (const Picture& picture : pictures.jobs) {
    jobs.push_back({{"name", picture.job},
                    {"family", picture.family},
                    {"goal", picture.goal},
                    {"phase", picture.daemon.phase},
                    {"paused", picture.daemon.paused},
                    {"version", picture.version},
                    {"training_rounds", picture.training_rounds},
                    {"devices", {{"connected", picture.daemon.connections}, {"ready", picture.daemon.devices_ready}}}});
  }
  return jobs.dump();
}

std::string to_json(const std::vector<AuditEntry>& audit) {
  Json entries = Json::array();
  for (const AuditEntry& entry : audit) {
    entries.push_back({{"when", std::int64_t{entry.when.time_since_epoch().count()}},
                       {"who", entry.who},
                       {"action", entry.action},
                       {"job", entry.job.empty() ? Json(nullptr) : Json(entry.job)},
                       {"detail", entry.detail}});
  }
  return entries.dump();
}

std::string to_prometheus(const Pictures& pictures) {
  PrometheusText out;
  // A family's help stands once, before its values of all jobs.
  const auto of_jobs = [&](std::string_view name, std::string_view type, std::string_view help, const auto& values) {
    out.family(name, type, help);
    for (const Picture& picture : pictures.jobs) values(picture, fmt::format("job=\"{}\"", label(picture.job)));
  };
  const auto gauge = [&](std::string_view name, std::string_view help, auto number) {
    of_jobs(name, "gauge", help,
            [&](const Picture& picture, const std::string& job) { out.value(double(number(picture)), job); });
  };
  const auto counter = [&](std::string_view name, std::string_view help, auto number) {
    of_jobs(name, "counter", help,
            [&](const Picture& picture, const std::string& job) { out.whole(number(picture), job); });
  };
  const auto by_reason = [&](std::string_view name, std::string_view help, auto counts) {
    of_jobs(name, "counter", help, [&](const Picture& picture, const std::string& job) {
      for (const auto& [reason, count] : counts(picture)) {
        out.whole(count, fmt::format("{},reason=\"{}\"", job, label(reason)));
      }
    });
  };
  of_jobs("chorus_job_info", "gauge", "A job, always 1.", [&](const Picture& picture, const std::string& job) {
    out.whole(1, fmt::format("{},family=\"{}\"", job, label(picture.family)));
  });
  of_jobs("chorus_phase", "gauge", "1 for the phase that the job is in.",
          [&](const Picture& picture, const std::string& job) {
            for (const std::string_view phase :
                 {"gathering", "reserving", "collecting", "building", "storing", "growing", "finished", "stopped"}) {
              out.whole(phase == picture.daemon.phase ? 1 : 0, fmt::format("{},phase=\"{}\"", job, phase));
            }
          });
  gauge("chorus_paused", "1 while no round opens because an operator said so.",
        [](const Picture& picture) { return picture.daemon.paused ? 1 : 0; });
  of_jobs("chorus_rounds_total", "counter", "Rounds that ended, by how.",
          [&](const Picture& picture, const std::string& job) {
            out.whole(picture.rounds_published, job + ",outcome=\"published\"");
            out.whole(picture.rounds_measured, job + ",outcome=\"measured\"");
            out.whole(picture.rounds_aborted, job + ",outcome=\"aborted\"");
          });
  of_jobs("chorus_round_seconds", "histogram", "From a round's opening to its outcome, of those that gave a sum.",
          [&](const Picture& picture, const std::string& job) {
            const std::uint64_t closed = picture.rounds_published + picture.rounds_measured;
            for (std::size_t b = 0; b < Picture::kBuckets.size(); ++b) {
              out.whole(picture.took[b], fmt::format("{},le=\"{}\"", job, Picture::kBuckets[b]), "_bucket");
            }
            out.whole(closed, job + ",le=\"+Inf\"", "_bucket");
            out.value(picture.seconds, job, "_sum");
            out.whole(closed, job, "_count");
          });
  counter("chorus_members_total", "Devices invited to rounds.", [](const Picture& picture) { return picture.members; });
  counter("chorus_survivors_total", "Devices whose updates are in a sum.",
          [](const Picture& picture) { return picture.survivors; });
  by_reason("chorus_declined_total", "Devices that would not take part in a round, by what they said.",
            [](const Picture& picture) { return picture.declined; });
  by_reason("chorus_cohorts_aborted_total", "Cohorts without a sum, by reason.",
            [](const Picture& picture) { return picture.cohorts_aborted; });
  counter("chorus_convicted_total", "Devices that a proof convicts of a lie or a fault.",
          [](const Picture& picture) { return picture.convicted; });
  gauge("chorus_connections", "Devices that are connected.",
        [](const Picture& picture) { return picture.daemon.connections; });
  gauge("chorus_devices_ready", "Devices that wait for a round.",
        [](const Picture& picture) { return picture.daemon.devices_ready; });
  gauge("chorus_model_version", "The latest version.", [](const Picture& picture) { return picture.version; });
  gauge("chorus_training_rounds", "Training rounds behind the latest version.",
        [](const Picture& picture) { return picture.training_rounds; });
  gauge("chorus_items", "Items of the catalogue.", [](const Picture& picture) { return picture.items; });
  const auto latest_quality = [](const Picture& picture) -> std::optional<model::Quality> {
    for (auto line = picture.rounds.rbegin(); line != picture.rounds.rend(); ++line) {
      if (line->quality) return line->quality;
    }
    return std::nullopt;
  };
  of_jobs("chorus_ndcg_at_10", "gauge", "NDCG@10 on held-out events, of the version the last round began with.",
          [&](const Picture& picture, const std::string& job) {
            const auto quality = latest_quality(picture);
            if (quality && quality->ranked_devices > 0) out.value(quality->ndcg_at_10, job);
          });
  of_jobs("chorus_held_out_rmse", "gauge", "RMSE on held-out ratings, of the version the last round began with.",
          [&](const Picture& picture, const std::string& job) {
            const auto quality = latest_quality(picture);
            if (quality && quality->ranked_devices == 0 && quality->held_out_ratings > 0) {
              out.value(quality->held_out_rmse, job);
            }
          });
  const auto report = [](const Picture& picture) {
    return picture.versions.empty() ? std::optional<privacy::PrivacyReport>() : picture.versions.back().privacy;
  };
  of_jobs("chorus_epsilon", "gauge", "What the job has cost a user; infinite without noise.",
          [&](const Picture& picture, const std::string& job) {
            if (const auto now = report(picture)) {
              out.value(now->coordinator.exact, job + ",against=\"coordinator\"");
              out.value(now->readers.exact, job + ",against=\"readers\"");
            }
          });
  of_jobs("chorus_delta", "gauge", "The chance at which epsilon may fail.",
          [&](const Picture& picture, const std::string& job) {
            if (const auto now = report(picture)) out.value(now->delta, job);
          });
  const auto of_daemon = [&](std::string_view name, std::string_view type, std::string_view help, std::uint64_t value) {
    out.family(name, type, help);
    out.whole(value);
  };
  const DaemonView& daemon = pictures.daemon;
  of_daemon("chorus_connections_refused_total", "counter", "Connections and peers that were refused.",
            daemon.connections_refused);
  out.family("chorus_bytes_total", "counter", "Bytes exchanged with devices, without what TLS adds.");
  out.whole(daemon.bytes_in, "direction=\"in\"");
  out.whole(daemon.bytes_out, "direction=\"out\"");
  of_daemon("chorus_store_bytes", "gauge", "Size of the state folder's database.", daemon.store_bytes);
  of_daemon("process_resident_memory_bytes", "gauge", "Resident memory.", daemon.resident_bytes);
  of_daemon("process_start_time_seconds", "gauge", "When the coordinator started.",
            static_cast<std::uint64_t>(daemon.started));
  return std::move(out).take();
}

}  // namespace chorus::coordinator
