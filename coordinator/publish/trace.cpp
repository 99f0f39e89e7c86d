#include "coordinator/publish/trace.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace chorus::coordinator {

namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> id_texts(const std::vector<identity::DeviceId>& ids) {
  std::vector<std::string> texts;
  texts.reserve(ids.size());
  for (const auto& id : ids) texts.push_back(identity::to_string(id));
  return texts;
}

Json to_json(const TraceHeader& header) {
  Json settings = Json::object();
  for (const auto& [key, value] : header.settings) settings[key] = value;
  return {{"trace", kTraceVersion},
          {"job", to_hex(header.job)},
          {"name", header.name},
          {"family", header.family},
          {"settings", std::move(settings)},
          {"contract",
           {{"feedback", dataset::to_string(header.contract.feedback)},
            {"minimum", header.contract.minimum},
            {"maximum", header.contract.maximum},
            {"step", header.contract.step},
            {"max_items_per_user", header.contract.max_items_per_user}}},
          {"items", header.items},
          {"max_contributors", header.max_contributors},
          {"model", to_hex(header.model)}};
}

Json to_json(const TraceRound& round) {
  Json cohorts = Json::array();
  for (const auto& cohort : round.cohorts) {
    cohorts.push_back({{"members", id_texts(cohort.members)}, {"survivors", id_texts(cohort.survivors)}});
  }
  Json json = {{"round", round.round.value()}, {"purpose", plan::to_string(round.purpose)},
               {"from", round.from.value()},   {"to", round.to.value()},
               {"model", to_hex(round.model)}, {"cohorts", std::move(cohorts)}};
  if (round.quality) {
    json["quality"] = {{"held_out_ratings", round.quality->held_out_ratings},
                       {"training_ratings", round.quality->training_ratings},
                       {"devices", round.quality->devices},
                       {"held_out_rmse", round.quality->held_out_rmse},
                       {"training_rmse", round.quality->training_rmse}};
  }
  if (round.released) {
    json["released"] = {{"contributors", round.released->contributors}, {"sum", round.released->coordinates}};
  }
  if (round.rule.combination != Combination::mean) {
    json["rule"] = {
        {"name", to_string(round.rule.combination)}, {"trim", round.rule.trim}, {"most_norm", round.rule.most_norm}};
  }
  return json;
}

Json to_json(const TraceGrow& grow) {
  return {{"grow", grow.items}, {"from", grow.from.value()}, {"to", grow.to.value()}, {"model", to_hex(grow.model)}};
}

Result<Digest> digest(const Json& json) {
  Digest out{};
  CHORUS_TRY_DO(from_hex_into(json.get<std::string>(), out));
  return out;
}

Result<std::vector<identity::DeviceId>> ids(const Json& json) {
  std::vector<identity::DeviceId> out;
  out.reserve(json.size());
  for (const auto& text : json) {
    CHORUS_TRY(const auto id, identity::parse_device_id(text.get<std::string>()));
    out.push_back(id);
  }
  return out;
}

Result<plan::Purpose> purpose(const std::string& text) {
  for (const auto candidate : {plan::Purpose::survey, plan::Purpose::train, plan::Purpose::measure}) {
    if (plan::to_string(candidate) == text) return candidate;
  }
  return fail(ErrorCode::malformed, fmt::format("unknown purpose '{}'", text));
}

Result<TraceRecord> parse_header(const Json& json) {
  if (json.at("trace").get<std::uint32_t>() != kTraceVersion) {
    return fail(ErrorCode::unsupported_version, fmt::format("trace version {}", json.at("trace").dump()));
  }
  TraceHeader header;
  CHORUS_TRY(header.job, digest(json.at("job")));
  CHORUS_TRY(header.model, digest(json.at("model")));
  header.name = json.at("name").get<std::string>();
  header.family = json.at("family").get<std::string>();
  for (const auto& [key, value] : json.at("settings").items()) header.settings[key] = value.get<std::string>();
  const Json& contract = json.at("contract");
  const auto feedback = contract.at("feedback").get<std::string>();
  if (feedback != "ratings" && feedback != "events") {
    return fail(ErrorCode::malformed, fmt::format("unknown feedback '{}'", feedback));
  }
  header.contract = {.feedback = feedback == "ratings" ? dataset::Feedback::ratings : dataset::Feedback::events,
                     .minimum = contract.at("minimum").get<float>(),
                     .maximum = contract.at("maximum").get<float>(),
                     .step = contract.at("step").get<float>(),
                     .max_items_per_user = contract.at("max_items_per_user").get<std::uint32_t>()};
  header.items = json.at("items").get<std::uint32_t>();
  header.max_contributors = json.at("max_contributors").get<std::uint32_t>();
  return header;
}

Result<TraceRecord> parse_round(const Json& json) {
  TraceRound round;
  round.round = RoundId(json.at("round").get<std::uint64_t>());
  CHORUS_TRY(round.purpose, purpose(json.at("purpose").get<std::string>()));
  round.from = ModelVersion(json.at("from").get<std::uint64_t>());
  round.to = ModelVersion(json.at("to").get<std::uint64_t>());
  CHORUS_TRY(round.model, digest(json.at("model")));
  for (const auto& cohort : json.at("cohorts")) {
    TraceCohort members;
    CHORUS_TRY(members.members, ids(cohort.at("members")));
    CHORUS_TRY(members.survivors, ids(cohort.at("survivors")));
    round.cohorts.push_back(std::move(members));
  }
  if (const auto quality = json.find("quality"); quality != json.end()) {
    round.quality = {.held_out_ratings = quality->at("held_out_ratings").get<std::uint64_t>(),
                     .training_ratings = quality->at("training_ratings").get<std::uint64_t>(),
                     .devices = quality->at("devices").get<std::uint64_t>(),
                     .held_out_rmse = quality->at("held_out_rmse").get<double>(),
                     .training_rmse = quality->at("training_rmse").get<double>()};
  }
  if (const auto released = json.find("released"); released != json.end()) {
    round.released = TraceSum{.contributors = released->at("contributors").get<std::uint64_t>(),
                              .coordinates = released->at("sum").get<std::vector<std::int64_t>>()};
  }
  if (const auto rule = json.find("rule"); rule != json.end()) {
    CHORUS_TRY(round.rule.combination, combination_named(rule->at("name").get<std::string>()));
    round.rule.trim = rule->at("trim").get<double>();
    round.rule.most_norm = rule->at("most_norm").get<double>();
    if (auto valid = check_rule(round.rule); !valid) return fail(ErrorCode::malformed, valid.error().to_string());
  }
  return round;
}

Result<TraceRecord> parse_grow(const Json& json) {
  TraceGrow grow{.items = json.at("grow").get<std::uint32_t>(),
                 .from = ModelVersion(json.at("from").get<std::uint64_t>()),
                 .to = ModelVersion(json.at("to").get<std::uint64_t>())};
  CHORUS_TRY(grow.model, digest(json.at("model")));
  return grow;
}

}  // namespace

std::string to_json_line(const TraceRecord& record) {
  return std::visit([](const auto& value) { return to_json(value).dump(); }, record);
}

Result<TraceRecord> parse_trace_line(std::string_view line) {
  try {
    const Json json = Json::parse(line);
    if (json.contains("trace")) return parse_header(json);
    if (json.contains("round")) return parse_round(json);
    if (json.contains("grow")) return parse_grow(json);
    return fail(ErrorCode::malformed, "expected an object with 'trace', 'round' or 'grow'");
  } catch (const Json::exception& error) {
    return fail(ErrorCode::malformed, fmt::format("not a record of a trace: {}", error.what()));
  }
}

}  // namespace chorus::coordinator
