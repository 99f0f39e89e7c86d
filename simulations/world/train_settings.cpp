#include "simulations/world/train_settings.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "common/privacy/gaussian_accountant.hpp"

namespace chorus::sim {
namespace {

constexpr std::uint32_t kMostMembers = 512;

struct NamedAggregation {
  std::string_view name;
  Aggregation aggregation;
};
constexpr NamedAggregation kAggregations[] = {
    {"float", Aggregation::floating}, {"plain", Aggregation::plain}, {"masked", Aggregation::masked}};

constexpr std::string_view kServerSettings[] = {"optimizer", "rate", "momentum"};
// Of a family's private update.
constexpr std::string_view kPrivacySettings[] = {"epsilon", "delta", "against", "clip", "passes"};
// Of what becomes of the cohorts' sums, and of devices that lie.
constexpr std::string_view kAggregationSettings[] = {"rule", "trim", "most_norm", "rejects"};
constexpr std::string_view kPoisonSettings[] = {"attack", "factor", "reach", "cohorts", "share", "target"};
constexpr double kUsualEpsilon = 10;
constexpr double kUsualDelta = 1e-6;

const model::Family* find_family(std::string_view name) {
  const auto found = std::ranges::find(model::families(), name, &model::Family::name);
  return found == model::families().end() ? nullptr : &*found;
}

bool has_setting(const model::Family& family, std::string_view name) {
  return std::ranges::find(family.settings, name, &model::SettingDescription::name) != family.settings.end();
}

std::string known_keys(const model::Family& family) {
  std::string keys;
  for (const model::SettingDescription& setting : family.settings) keys += fmt::format("model.{}, ", setting.name);
  for (const std::string_view name : kServerSettings) {
    if (has_setting(family, name)) keys += fmt::format("server.{}, ", name);
  }
  if (has_setting(family, "update")) {
    for (const std::string_view name : kPrivacySettings) keys += fmt::format("privacy.{}, ", name);
  }
  keys += "cohort.size, cohort.order";
  for (const std::string_view name : kAggregationSettings) keys += fmt::format(", aggregation.{}", name);
  for (const std::string_view name : kPoisonSettings) keys += fmt::format(", poison.{}", name);
  return keys;
}

template <typename T>
std::optional<T> parse(std::string_view text) {
  T value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<double> number_of(std::string_view value, double least, double most) {
  const auto number = parse<double>(value);
  if (number && *number >= least && *number <= most) return *number;
  return fail(ErrorCode::invalid_argument, fmt::format("expected a number from {} to {}", least, most));
}

// "aggregation.NAME=VALUE".
Status set_aggregation(TrainSettings& settings, std::string_view name, std::string_view value) {
  if (name == "rule") {
    CHORUS_TRY(settings.rule.combination, coordinator::combination_named(value));
  } else if (name == "rejects") {
    if (value != "on" && value != "off") return fail(ErrorCode::invalid_argument, "expected on or off");
    settings.rejects = value == "on";
  } else {
    CHORUS_TRY((name == "trim" ? settings.rule.trim : settings.rule.most_norm), number_of(value, 0, 1e6));
    if (auto valid = coordinator::check_rule(settings.rule); !valid) {
      return fail(valid.error().code(), valid.error().sentence());
    }
  }
  return {};
}

// "poison.NAME=VALUE".
Status set_poison(PoisonOptions& poison, std::string_view name, std::string_view value) {
  if (name == "attack") {
    CHORUS_TRY(poison.attack, attack_named(value));
  } else if (name == "reach") {
    CHORUS_TRY(poison.reach, reach_named(value));
  } else if (name == "factor") {
    CHORUS_TRY(poison.factor, number_of(value, 0, 1e9));
  } else if (name == "cohorts") {
    CHORUS_TRY(poison.cohorts, number_of(value, 0, 1));
  } else if (name == "share") {
    CHORUS_TRY(poison.share, number_of(value, 0, 1));
  } else {
    const auto item = parse<std::uint32_t>(value);
    if (!item) return fail(ErrorCode::invalid_argument, "expected the index of an item");
    poison.target = *item;
  }
  return {};
}

// What cannot go together. Errors: invalid_argument; where() is the option.
Status check_treatment(const TrainSettings& settings) {
  const bool plain = settings.rule.combination == coordinator::Combination::mean && !settings.poison;
  if (plain) return {};
  const std::string where = settings.poison ? "--set poison" : "--set aggregation.rule";
  if (settings.aggregation == Aggregation::floating) {
    return fail(ErrorCode::invalid_argument, "sums of floats have no cohorts: only with --aggregation plain or masked",
                where);
  }
  const auto update = settings.model.find("update");
  if (settings.poison && update != settings.model.end() && update->second == "dp") {
    return fail(ErrorCode::invalid_argument, "devices lie to models without differential privacy alone", where);
  }
  return {};
}

}  // namespace

Result<TrainSettings> TrainSettings::create(std::string_view family, std::span<const std::string> assignments,
                                            std::string_view aggregation, double participation) {
  const auto refuse = [](std::string sentence, std::string where) {
    return fail(ErrorCode::invalid_argument, std::move(sentence), std::move(where));
  };
  TrainSettings settings;
  settings.family = family;
  const model::Family* known = find_family(family);
  if (known == nullptr) {
    std::string names;
    for (const model::Family& each : model::families()) names += (names.empty() ? "" : ", ") + std::string(each.name);
    return refuse(fmt::format("there is no model '{}'; known: {}", family, names), "--model");
  }
  const auto* const named = std::ranges::find(kAggregations, aggregation, &NamedAggregation::name);
  if (named == std::end(kAggregations)) {
    return refuse(fmt::format("there is no aggregation '{}'; known: float, plain, masked", aggregation),
                  "--aggregation");
  }
  settings.aggregation = named->aggregation;
  if (!(participation > 0 && participation <= 1)) {
    return refuse(fmt::format("{} is not a share above 0 and up to 1", participation), "--participation");
  }
  settings.participation = participation;
  for (const std::string& assignment : assignments) {
    const std::string where = fmt::format("--set {}", assignment);
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos) return refuse("expected KEY=VALUE", where);
    const std::string_view key = std::string_view(assignment).substr(0, equals);
    const std::string_view value = std::string_view(assignment).substr(equals + 1);
    const auto inner = [&key](std::string_view prefix) {
      return key.starts_with(prefix) ? key.substr(prefix.size()) : std::string_view();
    };
    if (const std::string_view name = inner("model."); has_setting(*known, name)) {
      settings.model.insert_or_assign(std::string(name), std::string(value));
    } else if (const std::string_view rule = inner("server.");
               std::ranges::find(kServerSettings, rule) != std::end(kServerSettings) && has_setting(*known, rule)) {
      settings.model.insert_or_assign(std::string(rule), std::string(value));
    } else if (const std::string_view budget = inner("privacy.");
               std::ranges::find(kPrivacySettings, budget) != std::end(kPrivacySettings) &&
               has_setting(*known, "update")) {
      settings.model.insert_or_assign("update", "dp");
      if (budget == "epsilon") {
        const auto epsilon = parse<double>(value);
        if (!epsilon || !(*epsilon > 0)) return refuse("expected a number above 0, or inf for no noise", where);
        settings.epsilon = *epsilon;
      } else if (budget == "delta") {
        const auto delta = parse<double>(value);
        if (!delta || !(*delta > 0 && *delta < 1)) return refuse("expected a number above 0 and below 1", where);
        settings.delta = *delta;
      } else {
        settings.model.insert_or_assign(std::string(budget), std::string(value));
      }
    } else if (key == "model.features" && has_setting(*known, "update")) {
      settings.model.insert_or_assign("features", std::string(value));
    } else if (key == "cohort.size") {
      const auto size = parse<std::uint32_t>(value);
      if (!size || *size == 0 || *size > kMostMembers) {
        return refuse(fmt::format("expected a number of members from 1 to {}", kMostMembers), where);
      }
      settings.cohort_size = *size;
    } else if (const std::string_view treated = inner("aggregation.");
               std::ranges::find(kAggregationSettings, treated) != std::end(kAggregationSettings)) {
      if (auto set = set_aggregation(settings, treated, value); !set) return fail(set.error().at(where));
    } else if (const std::string_view lie = inner("poison.");
               std::ranges::find(kPoisonSettings, lie) != std::end(kPoisonSettings)) {
      if (!settings.poison) settings.poison.emplace();
      if (auto set = set_poison(*settings.poison, lie, value); !set) return fail(set.error().at(where));
    } else if (key == "cohort.order") {
      if (value != "random" && value != "round-robin") return refuse("expected random or round-robin", where);
      settings.order = value == "random" ? CohortOrder::random : CohortOrder::round_robin;
    } else {
      return refuse(fmt::format("there is no setting '{}'; known: {}", key, known_keys(*known)), where);
    }
  }
  if (settings.epsilon || settings.delta) {
    const privacy::Budget budget{.epsilon = settings.epsilon.value_or(kUsualEpsilon),
                                 .delta = settings.delta.value_or(kUsualDelta)};
    double mu = 0;
    if (std::isfinite(budget.epsilon)) {
      CHORUS_TRY(mu, privacy::gaussian_mu(budget));
    }
    settings.epsilon = budget.epsilon;
    settings.delta = budget.delta;
    settings.model.insert_or_assign("mu", fmt::format("{}", mu));
    if (const auto update = settings.model.find("update"); update->second == "auto") update->second = "dp";
  }
  CHORUS_TRY_DO(check_treatment(settings));
  return settings;
}

dataset::Feedback TrainSettings::feedback() const {
  const model::Family* known = find_family(family);
  return known == nullptr ? dataset::Feedback::ratings : known->feedback;
}

bool TrainSettings::learns_from_descriptions() const {
  const auto update = model.find("update");
  const auto features = model.find("features");
  if (features != model.end()) return features->second == "on";
  return update != model.end() && update->second == "dp";
}

Result<std::unique_ptr<model::Model>> TrainSettings::make_model(
    std::uint32_t items, const dataset::DataContract& contract, std::uint64_t seed,
    std::shared_ptr<const dataset::Catalogue> catalogue) const {
  model::Settings complete = model;
  if (const auto update = complete.find("update"); update != complete.end() && update->second == "dp") {
    complete.try_emplace("cohort", fmt::format("{}", cohort_size));
    if (people > 0) complete.try_emplace("people", fmt::format("{}", people));
  } else if (const model::Family* known = find_family(family); known != nullptr) {
    // What the run's own options say, unless a setting says otherwise.
    const auto fill = [&complete, known](std::string_view name, std::string value) {
      if (!has_setting(*known, name)) return;
      const auto [place, added] = complete.try_emplace(std::string(name), value);
      if (!added && place->second == "auto") place->second = std::move(value);
    };
    fill("seed", fmt::format("{}", seed));
    fill("participation", fmt::format("{}", participation));
  }
  CHORUS_TRY(
      auto made,
      model::make_model(
          family, complete,
          {.items = items, .contract = contract, .max_contributors = cohort_size, .catalogue = std::move(catalogue)}));
  if (auto fits = coordinator::check_rule(rule, *made); !fits) return fail(fits.error().at("--set aggregation.rule"));
  return made;
}

Result<std::optional<Poisoners>> TrainSettings::make_poisoners(std::uint32_t items, std::uint32_t devices,
                                                               std::uint64_t seed) const {
  if (!poison) return std::optional<Poisoners>();
  if (poison->attack == Attack::promote && poison->target >= items) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("there is no item {}: the ratings have {}, counted from 0", poison->target, items),
                "--set poison.target");
  }
  return std::optional<Poisoners>(std::in_place, *poison, devices, seed);
}

CohortTreatment TrainSettings::treatment(const std::optional<Poisoners>& poisoners) const {
  return {.rule = rule, .rejects = rejects, .poisoners = poisoners ? &*poisoners : nullptr};
}

std::vector<std::pair<std::string, std::variant<std::string, double, std::uint64_t, bool>>> TrainSettings::describe(
    const model::Model& made) const {
  std::vector<std::pair<std::string, std::variant<std::string, double, std::uint64_t, bool>>> all;
  all.emplace_back("model", family);
  for (const auto& [name, value] : made.settings()) {
    const std::string key = "model." + name;
    if (name == "rounds") continue;  // the preset's; "rounds" below is what was run
    if (const auto whole = parse<std::uint64_t>(value)) {
      all.emplace_back(key, *whole);
    } else if (const auto number = parse<double>(value)) {
      all.emplace_back(key, *number);
    } else {
      all.emplace_back(key, value);
    }
  }
  if (epsilon) all.emplace_back("privacy.epsilon", *epsilon);
  if (delta) all.emplace_back("privacy.delta", *delta);
  const dataset::DataContract& contract = made.shape().contract;
  all.emplace_back("rounds", std::uint64_t{rounds.value_or(made.preset_rounds())});
  all.emplace_back("aggregation",
                   std::string(std::ranges::find(kAggregations, aggregation, &NamedAggregation::aggregation)->name));
  all.emplace_back("participation", participation);
  all.emplace_back("cohort.size", std::uint64_t{cohort_size});
  all.emplace_back("cohort.order", std::string(order == CohortOrder::random ? "random" : "round-robin"));
  all.emplace_back("aggregation.rule", std::string(coordinator::to_string(rule.combination)));
  if (rule.combination == coordinator::Combination::trimmed_mean) all.emplace_back("aggregation.trim", rule.trim);
  if (rule.combination != coordinator::Combination::mean) {
    all.emplace_back("aggregation.most_norm", rule.most_norm);
  }
  if (poison) {
    all.emplace_back("aggregation.rejects", rejects);
    all.emplace_back("poison.attack", std::string(to_string(poison->attack)));
    all.emplace_back("poison.factor", poison->factor);
    all.emplace_back("poison.reach", std::string(to_string(poison->reach)));
    all.emplace_back("poison.cohorts", poison->cohorts);
    all.emplace_back("poison.share", poison->share);
    if (poison->attack == Attack::promote) all.emplace_back("poison.target", std::uint64_t{poison->target});
  }
  all.emplace_back("contract.minimum", double{contract.minimum});
  all.emplace_back("contract.maximum", double{contract.maximum});
  all.emplace_back("contract.step", double{contract.step});
  all.emplace_back("contract.max_items_per_user", std::uint64_t{contract.max_items_per_user});
  if (participation < 1 && !made.settings().contains("participation")) {
    all.emplace_back("note", std::string("the model steps on the survivors' sums as with everybody; it has no update "
                                         "made for partial participation"));
  }
  return all;
}

}  // namespace chorus::sim
