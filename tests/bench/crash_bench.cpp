// What kill -9 costs: a coordinator and a fleet of real devices, masked sums, and the coordinator killed at random
// moments of its rounds. It must lose nothing that it announced, apply no sum twice, and charge every round before a
// device hears of it. Every second run is one under differential privacy, whose devices keep a ledger.
#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

#include "client/store/store.hpp"
#include "common/privacy/cost.hpp"
#include "simulations/fleet/worker.hpp"
#include "simulations/support/seeded_random.hpp"
#include "tests/bench/bench_report.hpp"
#include "tests/e2e/town.hpp"

namespace chorus::bench {
namespace {

using std::chrono::milliseconds;

struct Options {
  std::uint32_t kills = 100;
  std::uint32_t kills_a_run = 20;
  std::uint32_t devices = 80;
  std::uint64_t seed = 1;
  double longest_wait = 2.5;  // after a round has opened, in rounds
};

struct Counts {
  std::uint64_t runs = 0;
  std::uint64_t kills = 0;
  std::uint64_t rounds_opened = 0;
  std::uint64_t rounds_applied = 0;
  std::uint64_t rounds_abandoned = 0;  // opened, and neither closed nor aborted
  std::uint64_t published = 0;
  std::uint64_t published_lost = 0;  // announced, and not in the trace
  std::uint64_t applied_twice = 0;   // a round's number, or a version, twice in the trace
  std::uint64_t corrupt = 0;         // starts that failed, and replays that differ
  std::uint64_t overspent = 0;       // devices' ledgers, and reports, beyond their budget
};

constexpr privacy::Budget kBudget{.epsilon = 8, .delta = 1e-5};

e2e::TownOptions town_options(const Options& options, bool is_private) {
  e2e::TownOptions town{.devices = options.devices,
                        .rounds = is_private ? 0U : 100'000U,
                        .cohort_size = 128,
                        .gather = std::chrono::seconds(2),
                        .phase_deadline = std::chrono::seconds(20)};
  if (is_private) {
    town.model = {{"update", "dp"}, {"mu", "0.5"}, {"against", "coordinator"}, {"cohort", "80"}};
    town.device_epsilon = kBudget.epsilon;
  }
  return town;
}

class Run {
 public:
  Run(const Options& options, Counts& counts, bool is_private, crypto::RandomSource& random)
      : options_(options),
        counts_(counts),
        private_(is_private),
        random_(random),
        town_(town_options(options, is_private)) {}

  void execute(std::uint32_t kills) {
    ++counts_.runs;
    town_.start_coordinator();
    town_.keep_port();
    town_.start_fleet();
    // How long a round takes here.
    static_cast<void>(town_.until([&] { return !town_.logged("round closed").empty() || finished(); }));
    if (const auto closed = town_.logged("round closed"); !closed.empty()) {
      round_time_ = closed.front().at("seconds").get<double>();
    }
    for (std::uint32_t k = 0; k < kills; ++k) {
      // In a round, at a random moment of it; or when the job has come to its end.
      const bool opened = town_.until([&] { return !town_.logged("round opened").empty() || finished(); });
      if (!opened || finished()) break;
      const double share = random_.array<1>()[0] / 255.0;
      const auto wait = milliseconds(static_cast<std::int64_t>(1'000 * share * options_.longest_wait * round_time_));
      static_cast<void>(town_.until([] { return false; }, wait));
      town_.kill_coordinator();
      ++counts_.kills;
      take_stock();
      if (!restart()) return;
      std::fprintf(stderr, "\r%llu kills, %llu rounds applied ", static_cast<unsigned long long>(counts_.kills),
                   static_cast<unsigned long long>(counts_.rounds_applied + published_.size()));
    }
    // One more version shows that the job goes on.
    static_cast<void>(town_.until([&] { return !town_.logged("round closed").empty() || finished(); }));
    static_cast<void>(town_.stop_coordinator());
    take_stock();
    judge();
  }

 private:
  // A job that has ended says so once, and not again after a restart.
  bool finished() const {
    return ended_ || !town_.logged("job finished").empty() ||
           !town_.logged("no more rounds: the privacy budget is spent").empty();
  }

  bool restart() {
    try {
      town_.start_coordinator();
      return true;
    } catch (const std::exception& failed) {
      std::fprintf(stderr, "\na start failed: %s\n", failed.what());
      ++counts_.corrupt;
      return false;
    }
  }

  // What the coordinator that has just ended had said.
  void take_stock() {
    std::set<std::uint64_t> open;
    for (const auto& line : town_.logged("round opened")) open.insert(line.at("round").get<std::uint64_t>());
    counts_.rounds_opened += open.size();
    for (const char* end : {"round closed", "round aborted"}) {
      for (const auto& line : town_.logged(end)) open.erase(line.at("round").get<std::uint64_t>());
    }
    counts_.rounds_abandoned += open.size();
    for (const auto& line : town_.logged("version published")) {
      published_.insert(line.at("version").get<std::uint64_t>());
    }
    ended_ = finished();
    town_.forget();
  }

  void judge() {
    std::set<std::uint64_t> rounds;
    std::set<std::uint64_t> versions;
    for (const auto& round : town_.trace()) {
      ++counts_.rounds_applied;
      counts_.applied_twice += rounds.insert(round.round.value()).second ? 0 : 1;
      if (round.to != round.from) counts_.applied_twice += versions.insert(round.to.value()).second ? 0 : 1;
    }
    counts_.published += published_.size();
    for (const std::uint64_t version : published_) counts_.published_lost += versions.contains(version) ? 0 : 1;
    const e2e::Ran replayed = town_.replay();
    if (replayed.status != 0) {
      std::fprintf(stderr, "\nthe replay differs: %s%s\n", replayed.out.c_str(), replayed.err.c_str());
      ++counts_.corrupt;
    }
    if (private_) judge_ledgers(rounds.size());
  }

  // Every device's own ledger: within its budget, and one charge at least for every round that was applied.
  void judge_ledgers(std::size_t applied) {
    const privacy::Cost most = privacy::Cost::within(kBudget).value();
    for (const auto& entry : std::filesystem::directory_iterator(town_.folder.path() / "fleet-1" / "devices")) {
      if (entry.path().extension() != ".db") continue;
      const auto store = client::open_store(entry.path(), {});
      const auto charges =
          store ? (*store)->charges(1'000'000) : Result<std::vector<privacy::LedgerEntry>>(fail(store.error()));
      if (!charges) {
        std::fprintf(stderr, "\n%s\n", charges.error().to_string().c_str());
        ++counts_.corrupt;
        continue;
      }
      privacy::Cost spent;
      for (const auto& charge : *charges) spent = spent + charge.cost;
      counts_.overspent += spent > most || charges->size() < applied ? 1 : 0;
    }
  }

  const Options& options_;
  Counts& counts_;
  bool private_;
  crypto::RandomSource& random_;
  e2e::Town town_;
  bool ended_ = false;
  double round_time_ = 2;  // seconds
  std::set<std::uint64_t> published_;
};

int run(const Options& options) {
  const auto start = Clock::now();
  sim::SeededRandom random(options.seed);
  Counts counts;
  while (counts.kills < options.kills) {
    const std::uint64_t before = counts.kills;
    Run(options, counts, counts.runs % 2 == 1, random)
        .execute(
            std::min<std::uint32_t>(options.kills_a_run, options.kills - static_cast<std::uint32_t>(counts.kills)));
    if (counts.kills == before && counts.runs > 1 && counts.runs % 2 == 1) break;  // nothing opens any more
  }
  std::fprintf(stderr, "\n");
  const bool held = counts.kills == options.kills && counts.rounds_abandoned <= counts.kills &&
                    counts.published_lost == 0 && counts.applied_twice == 0 && counts.corrupt == 0 &&
                    counts.overspent == 0 && !testing::UnitTest::GetInstance()->Failed();
  auto json = report("crash", std::thread::hardware_concurrency());
  json.update({{"kills", counts.kills},
               {"runs", counts.runs},
               {"devices", options.devices},
               {"seed", options.seed},
               {"rounds_opened", counts.rounds_opened},
               {"rounds_applied", counts.rounds_applied},
               {"rounds_abandoned", counts.rounds_abandoned},
               {"published", counts.published},
               {"published_lost", counts.published_lost},
               {"applied_twice", counts.applied_twice},
               {"corrupt", counts.corrupt},
               {"overspent", counts.overspent},
               {"held", held},
               {"seconds", seconds_since(start)}});
  print(json);
  return held ? 0 : 1;
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  chorus::bench::Options options;
  CLI::App app("Kills a training coordinator at random moments, and counts what that cost", "bench_crash");
  app.add_option("--kills", options.kills, "How often")->capture_default_str()->check(CLI::Range(1U, 10'000U));
  app.add_option("--kills-a-run", options.kills_a_run, "After so many a new job starts")->capture_default_str();
  app.add_option("--devices", options.devices, "Of the fleet, 80 or more")
      ->capture_default_str()
      ->check(CLI::Range(80U, 128U));
  app.add_option("--seed", options.seed, "Of the moments")->capture_default_str();
  app.add_option("--longest-wait", options.longest_wait, "Rounds from a round's opening to the kill, at most")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  testing::InitGoogleTest();
  try {
    return chorus::bench::run(options);
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "bench crash: %s\n", failed.what());
    return 1;
  }
}
