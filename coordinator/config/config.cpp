// toml++'s exceptions stop in this file.
#include "coordinator/config/config.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "common/model/registry.hpp"
#include "common/privacy/gaussian_accountant.hpp"
#include "coordinator/config/table.hpp"

namespace chorus::coordinator {

namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;

Result<std::string> read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file)) {
    return fail(ErrorCode::not_found, "cannot read this file", file.string());
  }
  std::string text(kMaxFile + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxFile) return fail(ErrorCode::too_large, "a settings file has at most 1 MiB", file.string());
  return text;
}

Result<toml::table> parse_toml(std::string_view text, const std::filesystem::path& file) {
  try {
    return toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::malformed, std::string(error.description()),
                fmt::format("{}:{}", file.string(), error.source().begin.line));
  }
}

// Relative to the file, not to the folder that the program happens to run in.
std::filesystem::path beside(const std::filesystem::path& file, const std::string& path) {
  return (file.parent_path() / path).lexically_normal();
}

void read_log(Table& log, CoordinatorSettings& settings) {
  if (const auto level = log.string("level"); level && !log::parse_level(*level, settings.log_level)) {
    log.reject("level", fmt::format("expected debug, info, warning, error or off, found \"{}\"", *level));
  }
  if (const auto format = log.string("format")) {
    if (*format != "text" && *format != "json") {
      log.reject("format", fmt::format("expected text or json, found \"{}\"", *format));
    }
    settings.log_format = *format == "json" ? log::Format::json : log::Format::text;
  }
}

// More than nothing and at most an hour.
void read_timeout(Table& table, std::string_view key, Duration& out) {
  table.parsed(key, out, parse_duration);
  if (out <= Duration::zero() || out > 1h) table.reject(key, "expected more than 0 and at most 1h");
}

void read_limits(Table& limits, Limits& out) {
  limits.integer<std::uint32_t>("connections", out.connections, 1, 10'000'000);
  limits.integer<std::uint32_t>("handshakes", out.handshakes, 1, 100'000);
  limits.integer<std::uint32_t>("handshakes_per_address", out.handshakes_per_address, 1, 1'000'000);
  limits.integer<std::uint32_t>("connections_per_address", out.connections_per_address, 1, 10'000'000);
  limits.boolean("limit_loopback", out.limit_loopback);
  read_timeout(limits, "handshake_timeout", out.handshake_timeout);
  read_timeout(limits, "hello_timeout", out.hello_timeout);
  read_timeout(limits, "idle_timeout", out.idle_timeout);
  read_timeout(limits, "frame_timeout", out.frame_timeout);
  read_timeout(limits, "write_timeout", out.write_timeout);
  limits.integer<std::uint32_t>("queue", out.queue, 8, 100'000);
}

void read_data(Table& data, dataset::DataContract& contract) {
  if (const auto feedback = data.string("feedback")) {
    if (*feedback != "ratings" && *feedback != "events") {
      data.reject("feedback", fmt::format("expected ratings or events, found \"{}\"", *feedback));
    }
    contract.feedback = *feedback == "events" ? dataset::Feedback::events : dataset::Feedback::ratings;
  }
  data.number("minimum", contract.minimum);
  data.number("maximum", contract.maximum);
  data.number("step", contract.step);
  data.integer<std::uint32_t>("max_items_per_user", contract.max_items_per_user, 1, dataset::kMaxItemsPerUserCeiling);
  if (const auto valid = contract.validate(); !valid) data.reject(valid.error().where(), valid.error().sentence());
}

void read_cohort(Table& cohort, FederationSettings& settings, const plan::Floors& floors) {
  cohort.parsed("dropout", settings.dropout, parse_ratio);
  const auto& most = floors.most_dropout;
  if (std::uint64_t{settings.dropout.numerator} * most.denominator >
      std::uint64_t{most.numerator} * settings.dropout.denominator) {
    cohort.reject("dropout", fmt::format("at most {}/{} of a cohort may fail", most.numerator, most.denominator),
                  ErrorCode::parameter_above_ceiling);
    return;
  }
  cohort.parsed("corrupt", settings.corrupt, parse_ratio);
  const auto& least = floors.least_corrupt;
  if (std::uint64_t{settings.corrupt.numerator} * least.denominator <
      std::uint64_t{least.numerator} * settings.corrupt.denominator) {
    cohort.reject("corrupt",
                  fmt::format("a secure sum withstands a share of at least {}/{}", least.numerator, least.denominator),
                  ErrorCode::parameter_below_floor);
    return;
  }
  Duration age = settings.least_identity_age;
  cohort.parsed("least_identity_age", age, parse_duration);
  settings.least_identity_age = std::chrono::duration_cast<std::chrono::seconds>(age);
  const std::uint32_t floor = plan::least_cohort(floors, settings.dropout);
  settings.cohort_minimum = floor;
  cohort.integer<std::uint32_t>("minimum", settings.cohort_minimum, 1, floors.most_members);
  if (settings.cohort_minimum < floor) {
    cohort.reject("minimum",
                  fmt::format("at a dropout of {}/{} it is at least {}, so that {} devices are in every sum",
                              settings.dropout.numerator, settings.dropout.denominator, floor, floors.least_survivors),
                  ErrorCode::parameter_below_floor);
  }
  cohort.integer<std::uint32_t>("size", settings.cohort_size, 1, floors.most_members);
  if (settings.cohort_size < settings.cohort_minimum) {
    cohort.reject("size", fmt::format("expected at least the cohort's minimum, {}", settings.cohort_minimum));
  }
}

void read_round(Table& round, FederationSettings& settings, const plan::Floors& floors) {
  round.parsed("gather", settings.gather, parse_duration);
  for (std::size_t i = 0; i < plan::kSumPhases; ++i) {
    const std::string key = fmt::format("{}_deadline", plan::to_string(static_cast<plan::SumPhase>(i)));
    Duration& deadline = settings.deadlines[i];
    round.parsed(key, deadline, parse_duration);
    if (deadline <= Duration::zero() || deadline > floors.longest_phase) {
      round.reject(key, fmt::format("expected more than 0 and at most {}s",
                                    std::chrono::duration_cast<std::chrono::seconds>(floors.longest_phase).count()));
    }
  }
  for (std::size_t i = 0; i < plan::kSumPhases; ++i) {
    const std::string key = fmt::format("{}_patience", plan::to_string(static_cast<plan::SumPhase>(i)));
    round.parsed(key, settings.patience[i], parse_duration);
    if (settings.patience[i] > settings.deadlines[i]) round.reject(key, "expected no more than the phase's deadline");
  }
  round.parsed("over_selection", settings.over_selection, parse_ratio);
  const plan::Ratio& over = settings.over_selection;
  const plan::Ratio& dropout = settings.dropout;
  if (over.numerator < over.denominator || std::uint64_t{over.numerator} * (dropout.denominator - dropout.numerator) >
                                               std::uint64_t{over.denominator} * dropout.denominator) {
    round.reject("over_selection",
                 fmt::format("expected from 1/1 to {}/{}, which is 1 / (1 - dropout): noise is sized for those invited",
                             dropout.denominator, dropout.denominator - dropout.numerator));
  }
  round.parsed("separation", settings.separation, parse_duration);
  round.parsed("reconnect_grace", settings.reconnect_grace, parse_duration);
  round.integer<std::uint32_t>("devices", settings.devices, 0);
  if (settings.devices != 0 && settings.devices < settings.cohort_minimum) {
    round.reject("devices", fmt::format("expected 0 or at least the cohort's minimum, {}", settings.cohort_minimum));
  } else if (settings.devices != 0 && settings.devices < settings.least_devices()) {
    round.reject("devices",
                 fmt::format("expected 0 or at least {}: the rule {} of [aggregation] needs the sums of {} cohorts, of "
                             "at least {} devices each",
                             settings.least_devices(), to_string(settings.rule.combination),
                             settings.rule.least_cohorts(), settings.cohort_minimum));
  }
  round.boolean("measure", settings.measure);
  round.integer<std::uint32_t>("most_waiting", settings.pace.most_waiting, 0);
  if (settings.pace.most_waiting != 0 &&
      settings.pace.most_waiting < std::max(settings.devices, settings.cohort_minimum)) {
    round.reject("most_waiting", "expected 0, or as many as a round needs");
  }
  round.parsed("come_back", settings.pace.earliest, parse_duration);
  if (settings.pace.earliest < 1s || settings.pace.earliest > 1h) {
    round.reject("come_back", "expected from 1s to 1h");
  }
}

// What becomes of the cohorts' sums. `table` knows the family and its settings already.
void read_aggregation(Table& table, JobSettings& settings) {
  CombinationRule& rule = settings.federation.rule;
  table.parsed("rule", rule.combination, combination_named);
  table.positive("trim", rule.trim);
  table.positive("most_norm", rule.most_norm);
  if (table.has("trim") && rule.combination != Combination::trimmed_mean) {
    table.reject("trim", "is a setting of the rule trimmed-mean");
  }
  if (table.has("most_norm") && rule.combination == Combination::mean) {
    table.reject("most_norm", "is a setting of every rule but mean");
  }
  if (auto valid = check_rule(rule); !valid) table.reject(valid.error().where(), valid.error().sentence());
  const model::ModelShape shape{.items = 1, .contract = settings.contract, .max_contributors = 1};
  const auto model = model::make_model(settings.family, settings.model, shape);
  if (!model) return;  // check_model() has said why
  if (auto fits = check_rule(rule, **model); !fits) table.reject("rule", fits.error().sentence());
}

// Differential privacy: ε and δ become the model's own setting μ, and the budget that rounds are charged to.
void read_privacy(Table& table, JobSettings& settings) {
  privacy::Budget goal = settings.federation.budget;
  table.positive("epsilon", goal.epsilon);
  table.positive("delta", goal.delta);
  if (goal.delta >= 1) table.reject("delta", "expected a chance below 1");
  const auto against = table.string("against");
  if (against && *against != "readers" && *against != "coordinator") {
    table.reject("against", fmt::format("expected readers or coordinator, found \"{}\"", *against));
  }
  settings.federation.budget.delta = goal.delta;
  table.positive("device_epsilon", settings.federation.budget.epsilon);
  if (!table.has("epsilon")) {
    if (against) table.reject("against", "says whom epsilon is against, which is missing");
    return;
  }
  const model::ModelShape shape{.items = 1, .contract = settings.contract, .max_contributors = 1};
  if (!model::make_model(settings.family, {{"update", "dp"}}, shape)) {
    table.reject("epsilon", fmt::format("the model family {} has no differential privacy", settings.family));
    return;
  }
  const auto mu = privacy::gaussian_mu(goal);
  if (!mu) {
    table.reject("epsilon", mu.error().sentence());
    return;
  }
  // As [model] would say it; a setting that the family does not have is refused there.
  const auto set = [&](const char* key, std::string value) {
    const auto [place, added] = settings.model.emplace(key, value);
    if (!added && place->second != value) {
      table.reject("epsilon", fmt::format("[model] {} says {}: leave it out, [privacy] sets it", key, place->second));
    }
  };
  set("update", "dp");
  set("mu", fmt::format("{}", *mu));
  if (against) set("against", *against);
  if (against == "coordinator") settings.model.emplace("cohort", fmt::format("{}", settings.federation.cohort_size));
}

// The model itself knows its settings; it is asked here, so that an error has its line.
Status check_model(const Table& table, const JobSettings& settings) {
  const model::ModelShape shape{.items = 1, .contract = settings.contract, .max_contributors = 1};
  const auto whole = model::make_model(settings.family, settings.model, shape);
  if (whole) return {};
  std::string place = table.place("family");
  for (const auto& [key, value] : settings.model) {
    if (!model::make_model(settings.family, {{key, value}}, shape)) place = table.place(key);
  }
  return fail(whole.error().code(), fmt::format("[model] {}", whole.error().to_string()), place);
}

bool is_job_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace

Result<CoordinatorSettings> parse_coordinator_settings(std::string_view text, const std::filesystem::path& file) {
  CHORUS_TRY(const toml::table root, parse_toml(text, file));
  CoordinatorSettings settings;
  Table top(&root, {}, file);
  const auto listen = top.strings("listen");
  if (listen.empty()) top.reject("listen", "is missing");
  for (const auto& address : listen) {
    if (auto parsed = parse_listen_address(address)) {
      settings.listen.push_back(std::move(*parsed));
    } else {
      top.reject("listen", parsed.error().sentence());
    }
  }
  if (const auto state = top.required_string("state")) settings.state = beside(file, *state);
  if (const auto folder = top.required_string("certificates")) settings.certificates = beside(file, *folder);
  Table log(top.table("log"), "log", file);
  Table admin(top.table("admin"), "admin", file);
  Table limits(top.table("limits"), "limits", file);
  Table shutdown(top.table("shutdown"), "shutdown", file);
  CHORUS_TRY_DO(top.finish());
  read_log(log, settings);
  CHORUS_TRY_DO(log.finish());
  if (const auto address = admin.string("listen")) {
    auto parsed = parse_listen_address(*address);
    if (!parsed) admin.reject("listen", parsed.error().sentence());
    if (parsed) settings.admin = std::move(*parsed);
  }
  CHORUS_TRY_DO(admin.finish());
  read_limits(limits, settings.limits);
  CHORUS_TRY_DO(limits.finish());
  shutdown.parsed("grace", settings.shutdown_grace, parse_duration);
  CHORUS_TRY_DO(shutdown.finish());
  return settings;
}

Result<JobSettings> parse_job_settings(std::string_view text, const std::filesystem::path& file,
                                       const plan::Floors& floors) {
  CHORUS_TRY(const toml::table root, parse_toml(text, file));
  JobSettings settings;
  Table top(&root, {}, file);
  if (const auto name = top.required_string("name")) {
    if (!is_job_name(*name)) top.reject("name", "expected 1 to 64 characters of a-z, 0-9 and \"-\"");
    settings.name = *name;
  }
  if (root.contains("rounds")) {
    std::uint32_t rounds = 0;
    top.integer<std::uint32_t>("rounds", rounds, 0, 1'000'000'000);
    settings.rounds = rounds;
  } else {
    std::uint32_t unused = 0;
    top.integer<std::uint32_t>("rounds", unused, 0);  // known, though absent
  }
  if (const auto when = top.string("when_finished")) {
    if (*when != "serve" && *when != "exit") {
      top.reject("when_finished", fmt::format("expected serve or exit, found \"{}\"", *when));
    }
    settings.federation.exit_when_finished = *when == "exit";
  }
  if (const auto catalogue = top.required_string("catalogue")) settings.catalogue = beside(file, *catalogue);
  Table data(top.table("data"), "data", file);
  Table model(top.table("model"), "model", file);
  Table cohort(top.table("cohort"), "cohort", file);
  Table round(top.table("round"), "round", file);
  Table privacy(top.table("privacy"), "privacy", file);
  Table aggregation(top.table("aggregation"), "aggregation", file);
  CHORUS_TRY_DO(top.finish());
  read_data(data, settings.contract);
  CHORUS_TRY_DO(data.finish());
  settings.family = "mf";
  if (const auto family = model.string("family")) settings.family = *family;
  for (auto& [key, value] : model.others()) settings.model.emplace(std::move(key), std::move(value));
  CHORUS_TRY_DO(model.finish());
  read_cohort(cohort, settings.federation, floors);
  CHORUS_TRY_DO(cohort.finish());
  read_privacy(privacy, settings);
  CHORUS_TRY_DO(privacy.finish());
  CHORUS_TRY_DO(check_model(model, settings));
  read_aggregation(aggregation, settings);
  CHORUS_TRY_DO(aggregation.finish());
  read_round(round, settings.federation, floors);
  CHORUS_TRY_DO(round.finish());
  return settings;
}

Result<CoordinatorSettings> read_coordinator_file(const std::filesystem::path& file) {
  CHORUS_TRY(const std::string text, read_text(file));
  return parse_coordinator_settings(text, file);
}

Result<JobSettings> read_job_file(const std::filesystem::path& file, const plan::Floors& floors) {
  CHORUS_TRY(const std::string text, read_text(file));
  return parse_job_settings(text, file, floors);
}

Result<protocol::JobDescription> describe_job(const JobSettings& settings, std::uint32_t items) {
  CHORUS_TRY(const auto configured,
             model::make_model(
                 settings.family, settings.model,
                 {.items = items, .contract = settings.contract, .max_contributors = settings.federation.cohort_size}));
  return protocol::JobDescription{.name = settings.name,
                                  .family = settings.family,
                                  .settings = configured->settings(),
                                  .contract = settings.contract,
                                  .max_contributors = settings.federation.cohort_size,
                                  .round_goal = settings.rounds.value_or(configured->preset_rounds())};
}

}  // namespace chorus::coordinator
