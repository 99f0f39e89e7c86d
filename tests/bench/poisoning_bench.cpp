// Poisoned devices against the rules that combine cohorts' sums: a generated crowd trains, some of it lies, and what
// the model is worth afterwards stands beside the same training without lies.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/dataset/planted.hpp"
#include "common/evaluation/rating_test.hpp"
#include "simulations/world/parallel.hpp"
#include "simulations/world/population.hpp"
#include "simulations/world/train_settings.hpp"
#include "simulations/world/training.hpp"
#include "tests/bench/bench_report.hpp"

namespace chorus::bench {
namespace {

using coordinator::Combination;

struct Options {
  std::uint32_t users = 10'000;
  std::uint32_t items = 400;
  std::uint32_t ratings = 40;
  std::uint32_t cohort = 100;
  double cohorts = 0.2;
  double factor = 1000;
  double most_loss = 0.02;  // of a rule that holds
  // An attack has succeeded with more loss than this, or with so many more people who see the promoted item.
  double spoilt = 0.1;
  std::uint64_t seed = 1;
  std::vector<std::string> sets;
  std::vector<double> shares = {0.0001, 0.0003, 0.001, 0.003, 0.01, 0.05};
};

struct Crowd {
  dataset::RatingTable training;
  dataset::RatingTable test;
  dataset::DataContract contract;
  std::uint32_t target = 0;
};

// The promoted item: of the less popular half, the one that people like least.
std::uint32_t worst_item(const dataset::RatingTable& table) {
  std::vector<double> counts(table.item_count());
  std::vector<double> sums(table.item_count());
  for (const dataset::Entry& entry : table.entries) {
    counts[entry.item] += 1;
    sums[entry.item] += double{entry.value};
  }
  std::vector<double> sorted = counts;
  std::ranges::sort(sorted);
  const double middle = sorted[sorted.size() / 2];
  std::uint32_t worst = 0;
  double least = 1e300;
  for (std::uint32_t item = 0; item < counts.size(); ++item) {
    if (counts[item] > middle || counts[item] < 1 || sums[item] / counts[item] >= least) continue;
    least = sums[item] / counts[item];
    worst = item;
  }
  return worst;
}

Crowd make_crowd(const Options& options) {
  const auto planted = dataset::PlantedPopulation::create(
      {.seed = options.seed, .users = options.users, .items = options.items, .ratings_per_user = options.ratings});
  if (!planted) throw std::runtime_error(planted.error().to_string());
  Crowd crowd{.training = planted->table(), .test = {}, .contract = planted->contract()};
  crowd.test.users = crowd.training.users;
  crowd.test.items = crowd.training.items;
  // Every tenth of all ratings, which lie user by user.
  std::size_t kept = 0;
  std::vector<dataset::Entry>& all = crowd.training.entries;
  for (std::size_t k = 0; k < all.size(); ++k) {
    if (k % 10 == 9) {
      crowd.test.entries.push_back(all[k]);
    } else {
      all[kept++] = all[k];
    }
  }
  all.resize(kept);
  crowd.target = worst_item(crowd.training);
  return crowd;
}

struct Outcome {
  bool trained = true;  // false: no server step could be made of some round's sums
  double rmse = 0;
  double exposure = 0;  // share of the people who have the target among their ten best
  std::uint32_t rejected = 0;
};

// Whether the target is among the user's ten best of what it has not rated.
bool is_exposed(const model::Model& model, const model::TensorSet& shared, const model::LocalData& data,
                std::uint32_t target, std::vector<float>& scores) {
  model.score_all(shared, model.solve(shared, data), scores);
  for (const model::Observation& rated : data.training) {
    if (rated.item == target) return false;
    scores[rated.item] = -1e30F;
  }
  const auto better = std::ranges::count_if(scores, [&](float score) { return score > scores[target]; });
  return better < 10;
}

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options), crowd_(make_crowd(options)), users_(crowd_.training), tests_(crowd_.test) {
    std::vector<std::string> sets = options.sets;  // the family's preset otherwise
    sets.push_back(fmt::format("cohort.size={}", options.cohort));
    auto settings = sim::TrainSettings::create("mf", sets, "plain", 1);
    if (!settings) throw std::runtime_error(settings.error().to_string());
    auto made = settings->make_model(options.items, crowd_.contract, options.seed);
    if (!made) throw std::runtime_error(made.error().to_string());
    model_ = std::move(*made);
    everybody_.resize(users_.size());
    std::iota(everybody_.begin(), everybody_.end(), 0U);
  }

  [[nodiscard]] std::uint32_t target() const { return crowd_.target; }

  Outcome train(const coordinator::CombinationRule& rule, const std::optional<sim::PoisonOptions>& poison,
                bool rejects) const {
    std::optional<sim::Poisoners> poisoners;
    if (poison) poisoners.emplace(*poison, options_.users, options_.seed);
    const sim::CohortTreatment treatment{
        .rule = rule, .rejects = rejects, .poisoners = poisoners ? &*poisoners : nullptr};
    sim::Training training(*model_, users_, sim::Aggregation::plain, threads_, options_.seed, treatment);
    Outcome outcome;
    for (std::uint32_t round = 0; round <= model_->preset_rounds(); ++round) {
      const auto done = training.round(round == 0 ? plan::Purpose::survey : plan::Purpose::train, everybody_);
      if (!done) {  // what the versions before are worth
        outcome.trained = false;
        break;
      }
      outcome.rejected = std::max(outcome.rejected, done->rejected);
    }
    measure(training.state().shared, outcome);
    return outcome;
  }

 private:
  void measure(const model::TensorSet& shared, Outcome& outcome) const {
    struct Part {
      metrics::RatingError error;
      std::size_t exposed = 0;
    };
    std::vector<Part> parts(sim::kChunks);
    sim::for_each_chunk(users_.size(), threads_, [&](const sim::Chunk& chunk) {
      Part& part = parts[chunk.index];
      const auto first = static_cast<std::uint32_t>(chunk.first);
      const auto last = static_cast<std::uint32_t>(chunk.last);
      part.error = evaluation::test_ratings(*model_, shared, users_, tests_, first, last).value();
      std::vector<float> scores(options_.items);
      for (std::uint32_t user = first; user < last; ++user) {
        part.exposed += is_exposed(*model_, shared, users_[user], crowd_.target, scores) ? 1 : 0;
      }
    });
    metrics::RatingError error;
    std::size_t exposed = 0;
    for (const Part& part : parts) {
      error.add(part.error);
      exposed += part.exposed;
    }
    outcome.rmse = error.rmse();
    outcome.exposure = static_cast<double>(exposed) / static_cast<double>(users_.size());
  }

  Options options_;
  Crowd crowd_;
  evaluation::UserData users_;
  dataset::ByUser tests_;
  std::unique_ptr<model::Model> model_;
  std::vector<std::uint32_t> everybody_;
  unsigned threads_ = std::max(1U, std::thread::hardware_concurrency());
};

constexpr std::array kRules = {Combination::mean, Combination::norm_filtered, Combination::trimmed_mean,
                               Combination::median};
constexpr std::array kAttacks = {sim::Attack::scale, sim::Attack::flip, sim::Attack::promote};
constexpr double kExposed = 0.01;  // as many people may see it by chance

class Report {
 public:
  explicit Report(const Options& options)
      : options_(options), bench_(options), json_(report("poisoning", std::thread::hardware_concurrency())) {
    json_["users"] = options.users;
    json_["cohorts"] = (options.users + options.cohort - 1) / options.cohort;
    json_["items"] = options.items;
    json_["poisoned_cohorts"] = options.cohorts;
    json_["factor"] = options.factor;
  }

  // Returns whether all bars are met.
  bool write() {
    const auto start = Clock::now();
    heading();
    for (const Combination rule : kRules) {
      const Outcome found = bench_.train({.combination = rule}, std::nullopt, true);
      if (rule == Combination::mean) clean_ = found;
      row("none", "", "", rule, found);
      json_["clean"][std::string(to_string(rule))] = object(found);
    }
    bool held = true;
    // Within the clips, where no check can see it; then as far as the ring goes, without and with the check.
    for (const auto& [reach, rejects] :
         {std::pair(sim::Reach::clip, true), std::pair(sim::Reach::lane, false), std::pair(sim::Reach::lane, true)}) {
      for (const sim::Attack attack : kAttacks) held = confined(attack, reach, rejects) && held;
    }
    spread();
    json_["held"] = held;
    json_["seconds"] = seconds_since(start);
    print(json_);
    return held;
  }

 private:
  [[nodiscard]] double loss(const Outcome& found) const { return found.rmse / clean_.rmse - 1; }
  [[nodiscard]] bool holds(const Outcome& found) const {
    return found.trained && loss(found) <= options_.most_loss && found.exposure <= clean_.exposure + kExposed;
  }
  [[nodiscard]] bool is_spoilt(const Outcome& found) const {
    return !found.trained || loss(found) > options_.spoilt || found.exposure > clean_.exposure + options_.spoilt;
  }

  static void heading() {
    fmt::print(stderr, "{:<8} {:<5} {:<7} {:<14} {:>8} {:>9} {:>10} {:>9}\n", "attack", "reach", "check", "rule",
               "rmse", "loss", "exposure", "rejected");
  }
  void row(std::string_view attack, std::string_view reach, std::string_view check, Combination rule,
           const Outcome& found) const {
    fmt::print(stderr, "{:<8} {:<5} {:<7} {:<14} {:>8.4f} {:>8.2f}% {:>9.2f}% {:>9}{}\n", attack, reach, check,
               to_string(rule), found.rmse, 100 * loss(found), 100 * found.exposure, found.rejected,
               found.trained ? "" : "  a round had no step");
  }
  [[nodiscard]] nlohmann::ordered_json object(const Outcome& found) const {
    return {{"rmse", found.rmse},         {"loss", loss(found)},      {"exposure", found.exposure},
            {"rejected", found.rejected}, {"trained", found.trained}, {"holds", holds(found)}};
  }

  // All devices of some cohorts are poisoned. Whether the trimmed mean and the median hold and the plain sum, where
  // nobody checks the sums or no check can help, does not.
  bool confined(sim::Attack attack, sim::Reach reach, bool rejects) {
    nlohmann::ordered_json json = {{"attack", to_string(attack)}, {"reach", to_string(reach)}, {"rejects", rejects}};
    bool held = true;
    for (const Combination rule : kRules) {
      const sim::PoisonOptions poison{.attack = attack,
                                      .factor = options_.factor,
                                      .reach = reach,
                                      .cohorts = options_.cohorts,
                                      .share = 1,
                                      .target = bench_.target()};
      const Outcome found = bench_.train({.combination = rule}, poison, rejects);
      row(to_string(attack), to_string(reach), rejects ? "on" : "off", rule, found);
      json[std::string(to_string(rule))] = object(found);
      if (reach != sim::Reach::clip) continue;
      if (rule == Combination::mean) held = held && is_spoilt(found);
      if (rule == Combination::trimmed_mean || rule == Combination::median) held = held && holds(found);
    }
    json_["confined"].push_back(std::move(json));
    return held;
  }

  // Poisoned devices anywhere, each of which says as much as its cohort's sum passes the check with.
  void spread() {
    json_["spread"] = nlohmann::ordered_json::array();
    for (const sim::Attack attack : kAttacks) {
      std::map<Combination, double> fails;
      for (const double share : options_.shares) {
        nlohmann::ordered_json json = {{"attack", to_string(attack)}, {"share", share}};
        for (const Combination rule : kRules) {
          const sim::PoisonOptions poison{.attack = attack,
                                          .factor = options_.factor,
                                          .reach = sim::Reach::sum,
                                          .cohorts = 1,
                                          .share = share,
                                          .target = bench_.target()};
          const Outcome found = bench_.train({.combination = rule}, poison, true);
          row(to_string(attack), fmt::format("{}%", 100 * share), "on", rule, found);
          json[std::string(to_string(rule))] = object(found);
          if (!holds(found)) fails.emplace(rule, share);
        }
        json_["spread"].push_back(std::move(json));
      }
      for (const Combination rule : kRules) {
        const auto found = fails.find(rule);
        auto& json = json_["fails_at"][std::string(to_string(attack))][std::string(to_string(rule))];
        if (found != fails.end()) json = found->second;
        fmt::print(stderr, "{:<8} {:<14} {}\n", to_string(attack), to_string(rule),
                   found == fails.end() ? std::string("holds at every share")
                                        : fmt::format("fails at {}% of the devices", 100 * found->second));
      }
    }
  }

  Options options_;
  Bench bench_;
  nlohmann::ordered_json json_;
  Outcome clean_;
};

int main_of(int argc, char** argv) {
  Options options;
  bool quick = false;
  CLI::App app{
      "Poisoned devices against the rules that combine cohorts' sums. Loss is against the same training by the plain "
      "sum "
      "without poison; exposure is the share of the people whose ten best items have the promoted one among them. Ends "
      "with status 1 where a bar is missed: the trimmed mean and the median lose 2 % at most, the plain sum is "
      "spoilt."};
  app.add_option("--users", options.users, "Generated people")->check(CLI::Range(100, 1'000'000));
  app.add_option("--items", options.items, "Items")->check(CLI::Range(20, 100'000));
  app.add_option("--ratings", options.ratings, "Mean number of a person's ratings")->check(CLI::Range(2, 1000));
  app.add_option("--cohort", options.cohort, "Members of a cohort")->check(CLI::Range(2, 512));
  app.add_option("--cohorts", options.cohorts, "Share of the cohorts that poisoners are confined to")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--factor", options.factor, "Of scale, flip and promote")->check(CLI::Range(0.0, 1e9));
  app.add_option("--shares", options.shares, "Of devices poisoned anywhere")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--set", options.sets, "A setting of the model, as chorus-sim train takes it");
  app.add_option("--seed", options.seed, "Of the population and of who is poisoned");
  app.add_flag("--quick", quick, "A small crowd; rules may lose 4 %, and the plain sum must lose 6 %");
  CLI11_PARSE(app, argc, argv);
  if (quick) {
    options.users = 1000;
    options.items = 40;
    options.ratings = 16;
    options.cohort = 50;
    options.shares = {0.01};
    options.most_loss = 0.04;
    options.spoilt = 0.06;
  }
  return Report(options).write() ? 0 : 1;
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  try {
    return chorus::bench::main_of(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return 1;
  }
}
