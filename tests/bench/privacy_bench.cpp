// What differential privacy costs on MovieLens 1M: the private update of `mf` beside plain references under the same
// budget (design: privacy; a person's whole data, delta 1e-6, random:0.9). Every row of ours is a command of chorus-sim
// that anybody can repeat. Nothing is chosen on test ratings.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/dataset/reader.hpp"
#include "common/dataset/split.hpp"
#include "common/privacy/gaussian_accountant.hpp"
#include "tests/bench/bench_report.hpp"
#include "tests/bench/simulator.hpp"

namespace chorus::bench {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr double kDelta = 1e-6;

struct Ours {
  std::string name;
  std::string options;
  std::vector<double> bars;  // one an epsilon, 0: none
};

const std::vector<double> kEpsilons = {20, 10, 5, 2, 1};

std::vector<Ours> ours() {
  return {{"mf, public features", "", {0.860, 0.865, 0.875, 0.893, 0.907}},
          {"mf, ratings alone", "--set model.features=off", {}},
          {"mf, features, against the coordinator, cohorts of 503",
           "--set privacy.against=coordinator --set cohort.size=503",
           {0, 0.89, 0, 0, 0}}};
}

double clamped(const dataset::DataContract& contract, double rating) {
  return std::clamp(rating, double{contract.minimum}, double{contract.maximum});
}

// Each person's own mean, which needs no secret sum; the mean of all where there is none.
double user_means_rmse(const dataset::Split& split, const dataset::DataContract& contract) {
  std::vector<double> sum(split.train.user_count());
  std::vector<double> count(split.train.user_count());
  double all = 0;
  for (const dataset::Entry& entry : split.train.entries) {
    sum[entry.user] += double{entry.value};
    count[entry.user] += 1;
    all += double{entry.value};
  }
  all /= static_cast<double>(split.train.size());
  double squares = 0;
  for (const dataset::Entry& entry : split.test.entries) {
    const double mean = count[entry.user] > 0 ? sum[entry.user] / count[entry.user] : all;
    const double error = double{entry.value} - clamped(contract, mean);
    squares += error * error;
  }
  return std::sqrt(squares / static_cast<double>(split.test.size()));
}

struct MeansError {
  double items = 0;  // the item's mean
  double both = 0;   // and the person's own offset from it, found at home
};

// Item means by one Gaussian query: a person contributes a one and (r - middle) / half range for each rating, scaled so
// that the norm is at most `clip`; noise of standard deviation clip / mu hides any one person. Post-processing: a ridge
// of `ridge` ratings towards the mean of all.
MeansError noisy_means(const dataset::RatingTable& training, const dataset::RatingTable& test,
                       const dataset::DataContract& contract, double mu, double clip, double ridge,
                       std::uint64_t seed) {
  const double middle = (double{contract.minimum} + double{contract.maximum}) / 2;
  const double half = (double{contract.maximum} - double{contract.minimum}) / 2;
  std::vector<double> norm(training.user_count());
  for (const dataset::Entry& entry : training.entries) {
    const double x = (double{entry.value} - middle) / half;
    norm[entry.user] += 1 + x * x;
  }
  std::vector<double> sum(training.item_count());
  std::vector<double> count(training.item_count());
  for (const dataset::Entry& entry : training.entries) {
    const double weight = std::min(1.0, clip / std::sqrt(norm[entry.user]));
    sum[entry.item] += weight * (double{entry.value} - middle) / half;
    count[entry.item] += weight;
  }
  double all = 0;
  double counted = 0;
  if (mu > 0) {
    std::mt19937_64 generator(seed);
    std::normal_distribution<double> noise(0, clip / mu);
    for (std::size_t i = 0; i < sum.size(); ++i) {
      sum[i] += noise(generator);
      count[i] += noise(generator);
    }
  }
  for (std::size_t i = 0; i < sum.size(); ++i) {
    all += sum[i];
    counted += count[i];
  }
  all /= std::max(1.0, counted);
  std::vector<double> mean(sum.size());
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const double n = std::max(0.0, count[i]);
    mean[i] = middle + half * std::clamp(all + (sum[i] - all * n) / (n + ridge), -1.0, 1.0);
  }
  constexpr double kOwnRidge = 5;
  std::vector<double> own(training.user_count());
  std::vector<double> ratings(training.user_count());
  for (const dataset::Entry& entry : training.entries) {
    own[entry.user] += double{entry.value} - mean[entry.item];
    ratings[entry.user] += 1;
  }
  MeansError error;
  for (const dataset::Entry& entry : test.entries) {
    const double offset = own[entry.user] / (ratings[entry.user] + kOwnRidge);
    const double alone = double{entry.value} - clamped(contract, mean[entry.item]);
    const double both = double{entry.value} - clamped(contract, mean[entry.item] + offset);
    error.items += alone * alone;
    error.both += both * both;
  }
  error.items = std::sqrt(error.items / static_cast<double>(test.size()));
  error.both = std::sqrt(error.both / static_cast<double>(test.size()));
  return error;
}

// With the clip and the ridge that are best on a part of the training ratings: generous, since that choice is not
// charged to the budget.
MeansError tuned_noisy_means(const dataset::Split& split, const dataset::DataContract& contract, double mu,
                             std::uint64_t seed) {
  const dataset::Split inner = dataset::hold_out(split.train, 0.1, seed);
  double least = 1e300;
  double clip = 0;
  double ridge = 0;
  for (const double c : {2.0, 4.0, 8.0, 16.0, 32.0}) {
    for (const double r : {1.0, 4.0, 16.0, 64.0, 256.0}) {
      const MeansError error = noisy_means(inner.train, inner.test, contract, mu, c, r, seed);
      if (error.both >= least) continue;
      least = error.both;
      clip = c;
      ridge = r;
    }
  }
  return noisy_means(split.train, split.test, contract, mu, clip, ridge, seed + 1000);
}

struct Table {
  Json rows = Json::array();
  bool reached = true;

  // values: one an epsilon, then without noise.
  void add(const std::string& name, const std::vector<double>& values, const std::vector<double>& bars) {
    Json row = {{"row", name}};
    std::string line = fmt::format("{:<54}", name);
    for (std::size_t k = 0; k < values.size(); ++k) {
      row["rmse"][k < kEpsilons.size() ? fmt::format("{}", kEpsilons[k]) : "inf"] = values[k];
      const double bar = k < bars.size() ? bars[k] : 0;
      const bool missed = bar > 0 && values[k] > bar;
      reached = reached && !missed;
      line += fmt::format(" {:>7.4f}{}", values[k], missed ? "!" : " ");
    }
    if (!bars.empty()) row["bars"] = bars;
    rows.push_back(std::move(row));
    fmt::print(stderr, "{}\n", line);
  }
};

Status measure_means(const fs::path& folder, std::uint64_t seeds, Table& table) {
  dataset::ReadOptions reading;
  reading.descriptions = false;
  CHORUS_TRY(const dataset::DataSet data, dataset::read_ratings(folder, reading));
  CHORUS_TRY(const dataset::SplitSpec spec, dataset::SplitSpec::parse("random:0.9"));
  const std::size_t columns = kEpsilons.size() + 1;
  std::vector<double> items(columns);
  std::vector<double> both(columns);
  double own = 0;
  const double share = 1 / static_cast<double>(seeds);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CHORUS_TRY(const dataset::Split split, dataset::make_split(data.ratings, spec, seed, 0, reading));
    own += share * user_means_rmse(split, data.contract());
    for (std::size_t k = 0; k < columns; ++k) {
      double mu = 0;
      if (k < kEpsilons.size()) {
        CHORUS_TRY(mu, privacy::gaussian_mu({.epsilon = kEpsilons[k], .delta = kDelta}));
      }
      const MeansError error = tuned_noisy_means(split, data.contract(), mu, seed);
      items[k] += share * error.items;
      both[k] += share * error.both;
    }
  }
  table.add("noisy item means", items, {});
  table.add("noisy item means and the person's own offset", both, {});
  table.add("user means (nothing is sent)", std::vector<double>(columns, own), {});
  return {};
}

int measure(std::uint64_t seeds, const std::string& out) {
  const char* const sets = std::getenv("CHORUS_DATA");
  if (sets == nullptr || !fs::exists(fs::path(sets) / "ml-1m")) {
    fmt::print(stderr, "bench privacy: CHORUS_DATA names no folder with ml-1m\n");
    return 2;
  }
  const auto start = Clock::now();
  const fs::path build = build_folder();
  const fs::path folder = fs::path(sets) / "ml-1m";
  Json report = bench::report("privacy", std::thread::hardware_concurrency());
  report["data"] = "ml-1m random:0.9";
  report["delta"] = kDelta;
  report["seeds"] = seeds;
  fmt::print(stderr, "test RMSE on ml-1m, random:0.9, delta {}, {} seeds\n{:<54}", kDelta, seeds, "epsilon");
  for (const double epsilon : kEpsilons) fmt::print(stderr, " {:>7} ", epsilon);
  fmt::print(stderr, " {:>7}\n", "inf");
  Table table;
  for (const Ours& row : ours()) {
    std::vector<double> values;
    for (std::size_t k = 0; k <= kEpsilons.size(); ++k) {
      const std::string epsilon = k < kEpsilons.size() ? fmt::format("{}", kEpsilons[k]) : "inf";
      const std::string command = fmt::format(
          "{} train --ratings {} --split random:0.9 --model mf --set privacy.epsilon={} --set privacy.delta={} {} "
          "--repeat {} --json -",
          quoted((build / "bin" / "chorus-sim").string()), quoted(folder.string()), epsilon, kDelta, row.options,
          seeds);
      const std::optional<Json> run = bench::run(command);
      if (!run) {
        fmt::print(stderr, "failed: {}\n", command);
        return 1;
      }
      values.push_back((seeds > 1 ? (*run)["repeat"]["rmse"]["mean"] : (*run)["final"]["rmse"]).get<double>());
    }
    table.add(row.name, values, row.bars);
  }
  if (const Status means = measure_means(folder, seeds, table); !means) {
    fmt::print(stderr, "bench privacy: {}\n", means.error().to_string());
    return 1;
  }
  report["rows"] = std::move(table.rows);
  report["all_reached"] = table.reached;
  report["seconds"] = seconds_since(start);
  const fs::path file = out.empty() ? build.parent_path() / "bench" / "privacy.json" : fs::path(out);
  fs::create_directories(file.parent_path());
  std::ofstream(file) << report.dump(2) << '\n';
  print(report);
  return 0;
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  std::uint64_t seeds = 3;
  std::string out;
  CLI::App app("What a privacy budget costs on MovieLens 1M, beside plain references", "bench privacy");
  app.add_option("--seeds", seeds, "Seeds from 1 on; means over them")->check(CLI::Range(1, 100));
  app.add_option("--out", out, "Where the JSON goes; default: build/bench/privacy.json");
  CLI11_PARSE(app, argc, argv);
  try {
    return chorus::bench::measure(seeds, out);
  } catch (const std::filesystem::filesystem_error& error) {
    fmt::print(stderr, "bench privacy: {}\n", error.what());
    return 1;
  }
}
