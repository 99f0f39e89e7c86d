#include "coordinator/admin/observatory.hpp"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

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

  void operator()(const WaitingForDevices&) const {}
  void operator()(const RoundOpened& event) const {
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
                          .survivors = event.survivors,
                          .reason = {},
                          .quality = event.quality});
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

Observatory::Observatory(const protocol::JobDescription& job, const Version& version, std::uint32_t items,
                         std::int64_t now) {
  picture_.job = job.name;
  picture_.family = job.family;
  picture_.goal = job.round_goal;
  picture_.started = now;
  picture_.items = items;
  publish(version);
  picture_.versions.push_back({.version = version.header.version.value(),
                               .when = now,
                               .training_rounds = version.header.training_rounds,
                               .items = items,
                               .bytes = version.header.size,
                               .privacy = version.header.privacy});
}

void Observatory::observe(const Log& event, std::int64_t now) {
  std::visit(Observe{picture_, now}, event);
}

void Observatory::publish(const Version& version) {
  picture_.version = version.header.version.value();
  picture_.training_rounds = version.header.training_rounds;
  picture_.model = version.tensors;
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
                      {"survivors", line.survivors},
                      {"reason", line.reason.empty() ? Json(nullptr) : Json(line.reason)},
                      {"quality", quality_json(line.quality)}});
  }
  Json versions = Json::array();
  for (const VersionLine& line : picture.versions) {
    versions.push_back({{"version", line.version},
                        {"when", line.when},
                        {"training_rounds", line.training_rounds},
                        {"items", line.items},
                        {"bytes", line.bytes},
                        {"privacy", privacy_json(line.privacy)}});
  }
  const auto counts = [](const std::map<std::string, std::uint64_t>& by_reason) {
    Json json = Json::object();
    for (const auto& [reason, count] : by_reason) json[reason] = count;
    return json;
  };
  const DaemonView& daemon = picture.daemon;
  return Json{{"job", {{"name", picture.job}, {"family", picture.family}, {"goal", picture.goal}}},
              {"phase", daemon.phase},
              {"paused", daemon.paused},
              {"stopping", daemon.stopping},
              {"started", picture.started},
              {"version", picture.version},
              {"training_rounds", picture.training_rounds},
              {"items", picture.items},
              {"devices", {{"connected", daemon.connections}, {"ready", daemon.devices_ready}}},
              {"connections_refused", daemon.connections_refused},
              {"open_round", picture.open_round == 0 ? Json(nullptr)
                                                     : Json{{"round", picture.open_round},
                                                            {"cohorts", picture.open_cohorts},
                                                            {"members", picture.open_members}}},
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

std::string to_prometheus(const Picture& picture) {
  const DaemonView& daemon = picture.daemon;
  PrometheusText out;
  const auto gauge = [&](std::string_view name, std::string_view help, double number) {
    out.family(name, "gauge", help);
    out.value(number);
  };
  const auto counter = [&](std::string_view name, std::string_view help, std::uint64_t number) {
    out.family(name, "counter", help);
    out.whole(number);
  };
  const auto by_reason = [&](std::string_view name, std::string_view help,
                             const std::map<std::string, std::uint64_t>& counts) {
    out.family(name, "counter", help);
    for (const auto& [reason, count] : counts) out.whole(count, fmt::format("reason=\"{}\"", label(reason)));
  };
  out.family("chorus_job_info", "gauge", "The job, always 1.");
  out.whole(1, fmt::format("job=\"{}\",family=\"{}\"", label(picture.job), label(picture.family)));
  out.family("chorus_phase", "gauge", "1 for the phase that the coordinator is in.");
  for (const std::string_view phase :
       {"gathering", "reserving", "collecting", "building", "storing", "growing", "finished", "stopped"}) {
    out.whole(phase == daemon.phase ? 1 : 0, fmt::format("phase=\"{}\"", phase));
  }
  gauge("chorus_paused", "1 while no round opens because an operator said so.", daemon.paused ? 1 : 0);
  out.family("chorus_rounds_total", "counter", "Rounds that ended, by how.");
  out.whole(picture.rounds_published, "outcome=\"published\"");
  out.whole(picture.rounds_measured, "outcome=\"measured\"");
  out.whole(picture.rounds_aborted, "outcome=\"aborted\"");
  out.family("chorus_round_seconds", "histogram", "From a round's opening to its outcome, of those that gave a sum.");
  const std::uint64_t closed = picture.rounds_published + picture.rounds_measured;
  for (std::size_t b = 0; b < Picture::kBuckets.size(); ++b) {
    out.whole(picture.took[b], fmt::format("le=\"{}\"", Picture::kBuckets[b]), "_bucket");
  }
  out.whole(closed, "le=\"+Inf\"", "_bucket");
  out.value(picture.seconds, {}, "_sum");
  out.whole(closed, {}, "_count");
  counter("chorus_members_total", "Devices invited to rounds.", picture.members);
  counter("chorus_survivors_total", "Devices whose updates are in a sum.", picture.survivors);
  by_reason("chorus_declined_total", "Devices that would not take part in a round, by what they said.",
            picture.declined);
  by_reason("chorus_cohorts_aborted_total", "Cohorts without a sum, by reason.", picture.cohorts_aborted);
  counter("chorus_convicted_total", "Devices that a proof convicts of a lie or a fault.", picture.convicted);
  counter("chorus_connections_refused_total", "Connections and peers that were refused.", daemon.connections_refused);
  gauge("chorus_connections", "Devices that are connected.", static_cast<double>(daemon.connections));
  gauge("chorus_devices_ready", "Devices that wait for a round.", static_cast<double>(daemon.devices_ready));
  gauge("chorus_model_version", "The latest version.", static_cast<double>(picture.version));
  gauge("chorus_training_rounds", "Training rounds behind the latest version.",
        static_cast<double>(picture.training_rounds));
  gauge("chorus_items", "Items of the catalogue.", picture.items);
  for (auto line = picture.rounds.rbegin(); line != picture.rounds.rend(); ++line) {
    if (!line->quality) continue;
    if (line->quality->ranked_devices > 0) {
      gauge("chorus_ndcg_at_10", "NDCG@10 on held-out events, of the version the last round began with.",
            line->quality->ndcg_at_10);
    } else if (line->quality->held_out_ratings > 0) {
      gauge("chorus_held_out_rmse", "RMSE on held-out ratings, of the version the last round began with.",
            line->quality->held_out_rmse);
    }
    break;
  }
  if (!picture.versions.empty() && picture.versions.back().privacy) {
    const privacy::PrivacyReport& report = *picture.versions.back().privacy;
    out.family("chorus_epsilon", "gauge", "What the job has cost a user; infinite without noise.");
    out.value(report.coordinator.exact, "against=\"coordinator\"");
    out.value(report.readers.exact, "against=\"readers\"");
    gauge("chorus_delta", "The chance at which epsilon may fail.", report.delta);
  }
  gauge("chorus_store_bytes", "Size of the state folder's database.", static_cast<double>(daemon.store_bytes));
  gauge("process_resident_memory_bytes", "Resident memory.", static_cast<double>(daemon.resident_bytes));
  gauge("process_start_time_seconds", "When the coordinator started.", static_cast<double>(picture.started));
  return std::move(out).take();
}

}  // namespace chorus::coordinator
