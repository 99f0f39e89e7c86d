// The quality table: what the models reach on the data at hand, beside the bars. Every row is a command of chorus-sim
// that anybody can repeat; the bench runs the installed program and reads its JSON. Nothing is chosen here.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/dataset/reader.hpp"
#include "common/dataset/split.hpp"
#include "tests/bench/bench_report.hpp"
#include "tests/bench/quality_references.hpp"
#include "tests/bench/simulator.hpp"

namespace chorus::bench {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

enum class Goal { at_most, at_least };
enum class Reference { none, biases, popularity };

struct Bar {
  std::string metric;  // a key of `final`
  Goal goal;
  double bar;
  double moonshot;
};

struct Row {
  std::string name;
  std::string data;  // a folder under CHORUS_DATA
  bool quick = false;
  std::vector<std::string> splits;  // means over them; DATA stands for the folder
  std::string options;
  std::vector<Bar> bars;
  Reference reference = Reference::none;  // bars are then of the ratio to it
};

const std::vector<std::string> kOfficialFolds = {"test:DATA/u1.test", "test:DATA/u2.test", "test:DATA/u3.test",
                                                 "test:DATA/u4.test", "test:DATA/u5.test"};
const std::string kStored =
    "--negatives DATA/ncf-loo/ml-1m.test.negative --item-map DATA/ncf-loo/ncf_item_id_to_MovieID.tsv ";

std::vector<Row> table() {
  const auto error = [](double bar, double moonshot) {
    return std::vector<Bar>{{"rmse", Goal::at_most, bar, moonshot}};
  };
  const auto ranks = [](double hit, double ndcg, double far_hit, double far_ndcg) {
    return std::vector<Bar>{{"hr@10", Goal::at_least, hit, far_hit}, {"ndcg@10", Goal::at_least, ndcg, far_ndcg}};
  };
  const std::string part = "--model mf --participation 0.1 ";
  return {
      {"newton-5", "ml-100k", true, kOfficialFolds, "--model mf --rounds 5", error(0.918, 0.918)},
      {"vb", "ml-100k", true, kOfficialFolds, "--model mf --set model.update=vb --set model.twin=off",
       error(0.908, 0.905)},
      {"vb-twin", "ml-100k", true, kOfficialFolds, "--model mf --set model.update=vb", error(0.882, 0.872)},
      {"vb-twin-1m", "ml-1m", false, {"random:0.9"}, "--model mf --set model.update=vb", error(0.834, 0.824)},
      {"vb-twin-1m-folds", "ml-1m", false, {"kfold:5"}, "--model mf --set model.update=vb", error(0.836, 0.825)},
      {"nmf", "ml-100k", true, {"kfold:5"}, "--model nmf", error(0.906, 0.900)},
      {"nmf-1m", "ml-1m", false, {"kfold:5"}, "--model nmf", error(0.848, 0.840)},
      {"tenth-random", "ml-100k", true, kOfficialFolds, part + "--set cohort.order=random --rounds 22",
       error(0.920, 0.918)},
      {"tenth-round-robin", "ml-100k", true, kOfficialFolds, part + "--set cohort.order=round-robin --rounds 10",
       error(0.920, 0.918)},
      {"ials-99", "ml-100k", true, {"loo"}, "--model ials --negatives 99 --rounds 5", ranks(0.667, 0.387, 0.70, 0.41)},
      {"ials-full", "ml-100k", true, {"loo"}, "--model ials --rounds 5", ranks(0.147, 0.075, 0.160, 0.082)},
      {"ials-1m-4",
       "ml-1m",
       false,
       {"loo"},
       kStored + "--model ials --set model.rank=128 --rounds 4",
       ranks(0.72, 0.44, 0.735, 0.457)},
      {"ials-1m-8",
       "ml-1m",
       false,
       {"loo"},
       kStored + "--model ials --set model.rank=128 --rounds 8",
       ranks(0.727, 0.449, 0.735, 0.457)},
      {"bpr-1m", "ml-1m", false, {"loo"}, kStored + "--model bpr", {{"hr@10", Goal::at_least, 0.68, 0.68}}},
      {"preset-tweetings",
       "movietweetings/100K",
       true,
       {"kfold:5"},
       "--model mf",
       error(1.005, 1.0),
       Reference::biases},
      {"preset-tweetings-vb",
       "movietweetings/100K",
       true,
       {"kfold:5"},
       "--model mf --set model.update=vb",
       error(1.005, 1.0),
       Reference::biases},
      {"preset-latest", "ml-latest-small", true, {"kfold:5"}, "--model mf", error(1.005, 1.0), Reference::biases},
      {"preset-latest-vb",
       "ml-latest-small",
       true,
       {"kfold:5"},
       "--model mf --set model.update=vb",
       error(1.005, 1.0),
       Reference::biases},
      {"preset-core",
       "movietweetings/demo-core",
       true,
       {"kfold:5"},
       "--model mf",
       error(1.005, 1.0),
       Reference::biases},
      {"preset-core-vb",
       "movietweetings/demo-core",
       true,
       {"kfold:5"},
       "--model mf --set model.update=vb",
       error(1.005, 1.0),
       Reference::biases},
      {"preset-tweetings-events",
       "movietweetings/100K",
       false,
       {"loo"},
       "--model ials",
       {{"ndcg@10", Goal::at_least, 1.0, 1.0}},
       Reference::popularity},
      {"preset-lastfm",
       "lastfm-2k",
       false,
       {"loo"},
       "--model ials",
       {{"ndcg@10", Goal::at_least, 1.0, 1.0}},
       Reference::popularity},
  };
}

std::string with_folder(std::string text, const std::string& folder) {
  for (std::size_t at = 0; (at = text.find("DATA", at)) != std::string::npos; at += folder.size()) {
    text.replace(at, 4, folder);
  }
  return text;
}

struct References {
  double of_ratio = 1;  // what the row's number is divided by
  double factors = 0;   // a centralised model's own number, 0 without
};

Result<References> references(const Row& row, const fs::path& folder, std::uint64_t seeds) {
  References found;
  if (row.reference == Reference::none) return found;
  dataset::ReadOptions reading;
  reading.descriptions = false;
  CHORUS_TRY(const dataset::DataSet data, dataset::read_ratings(folder, reading));
  CHORUS_TRY(const dataset::SplitSpec spec, dataset::SplitSpec::parse(row.splits.front()));
  const Scale scale{.minimum = double{data.contract().minimum}, .maximum = double{data.contract().maximum}};
  found.of_ratio = 0;
  const double share = 1 / static_cast<double>(seeds * spec.folds);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    for (std::uint32_t fold = 0; fold < spec.folds; ++fold) {
      CHORUS_TRY(const dataset::Split split, dataset::make_split(data.ratings, spec, seed, fold, reading));
      if (row.reference == Reference::popularity) {
        found.of_ratio += share * popularity_ndcg(split);
        if (seed == 1) found.factors += tuned_events_ndcg(split, seed) / spec.folds;
      } else {
        found.of_ratio += share * tuned_biases_rmse(split, scale, seed);
        if (seed == 1) found.factors += tuned_factors_rmse(split, scale, seed) / spec.folds;
      }
    }
  }
  return found;
}

bool reaches(const Bar& bar, double value) {
  return bar.goal == Goal::at_most ? value <= bar.bar : value >= bar.bar;
}

// One row's object; what it says on standard error is for people.
Json measure(const Row& row, const fs::path& sets, const std::string& program, std::uint64_t seeds) {
  const auto start = Clock::now();
  const fs::path folder = sets / row.data;
  Json json = {{"row", row.name}, {"data", row.data}, {"options", row.options}, {"seeds", seeds}};
  const auto failed = [&json](const std::string& why) {
    json["error"] = why;
    fmt::print(stderr, "{:<20} failed: {}\n", json["row"].get<std::string>(), why);
    return json;
  };
  std::map<std::string, double> means;
  double bytes = 0;
  for (const std::string& split : row.splits) {
    const std::string command = fmt::format("{} train --ratings {} --split {} {} --repeat {} --json -", quoted(program),
                                            quoted(folder.string()), quoted(with_folder(split, folder.string())),
                                            with_folder(row.options, quoted(folder.string())), seeds);
    const std::optional<Json> report = run(command);
    if (!report) return failed(command);
    const auto share = 1 / static_cast<double>(row.splits.size());
    for (const Bar& bar : row.bars) {
      // Seeds differ in their splits, too: the mean over them where there are several.
      const Json& value = seeds > 1 ? (*report)["repeat"][bar.metric]["mean"] : (*report)["final"][bar.metric];
      if (!value.is_number()) return failed("the report has no " + bar.metric);
      means[bar.metric] += share * value.get<double>();
    }
    for (const Json& round : (*report)["rounds"]) bytes += share * round["bytes_up_per_client"].get<double>();
  }
  const auto reference = references(row, folder, seeds);
  if (!reference) return failed(reference.error().to_string());
  json["metrics"] = Json::array();
  for (const Bar& bar : row.bars) {
    const double raw = means[bar.metric];
    const double value = raw / reference->of_ratio;
    const bool good = reaches(bar, value);
    Json metric = {{"metric", bar.metric},     {"value", raw},   {"compared", value}, {"bar", bar.bar},
                   {"moonshot", bar.moonshot}, {"reached", good}};
    std::string beside;
    if (row.reference != Reference::none) {
      const char* const name = row.reference == Reference::biases ? "tuned_biases" : "popularity";
      metric[name] = reference->of_ratio;
      beside = fmt::format("  {:.4f} / {} {:.4f}", raw, name, reference->of_ratio);
      if (reference->factors > 0) {
        metric["central_tuned_factors"] = reference->factors;
        beside += fmt::format(", central tuned factors {:.4f}", reference->factors);
      }
    }
    json["metrics"].push_back(std::move(metric));
    fmt::print(stderr, "{:<20} {:<8} {:>7.4f}  {} {:<6} {}  (far: {}){}\n", row.name, bar.metric, value,
               bar.goal == Goal::at_most ? "<=" : ">=", bar.bar, good ? "reached" : "MISSED ", bar.moonshot, beside);
  }
  json["bytes_up_per_client"] = bytes;
  json["seconds"] = seconds_since(start);
  return json;
}

int measure_all(bool quick, const std::vector<std::string>& wanted, std::uint64_t seeds, const std::string& out) {
  const char* const sets = std::getenv("CHORUS_DATA");
  if (sets == nullptr) {
    fmt::print(stderr, "bench quality: CHORUS_DATA names no folder of data sets\n");
    return 2;
  }
  const fs::path build = build_folder();
  const std::string program = (build / "bin" / "chorus-sim").string();
  Json report = bench::report("quality", std::thread::hardware_concurrency());
  report["rows"] = Json::array();
  report["skipped"] = Json::array();
  bool all = true;
  for (const Row& row : table()) {
    if (wanted.empty() ? quick && !row.quick : std::ranges::find(wanted, row.name) == wanted.end()) continue;
    if (!fs::exists(fs::path(sets) / row.data)) {
      fmt::print(stderr, "{:<20} skipped: there is no {} in CHORUS_DATA\n", row.name, row.data);
      report["skipped"].push_back(row.name);
      continue;
    }
    Json measured = measure(row, sets, program, seeds);
    all = all && measured.contains("metrics") &&
          std::ranges::all_of(measured["metrics"], [](const Json& metric) { return metric["reached"].get<bool>(); });
    report["rows"].push_back(std::move(measured));
  }
  report["all_reached"] = all;
  const fs::path file = out.empty() ? build.parent_path() / "bench" / "quality.json" : fs::path(out);
  fs::create_directories(file.parent_path());
  std::ofstream(file) << report.dump(2) << '\n';
  print(report);
  return 0;
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  bool quick = false;
  std::vector<std::string> rows;
  std::uint64_t seeds = 5;
  std::string out;
  CLI::App app("What the models reach on the data in CHORUS_DATA, beside the bars", "bench quality");
  app.add_flag("--quick", quick, "The rows that take seconds, one seed");
  app.add_option("--rows", rows, "These rows alone, by name, separated by commas")->delimiter(',');
  CLI::Option* chosen = app.add_option("--seeds", seeds, "Seeds from 1 on; means over them")->check(CLI::Range(1, 100));
  app.add_option("--out", out, "Where the JSON goes; default: build/bench/quality.json");
  CLI11_PARSE(app, argc, argv);
  if (quick && chosen->count() == 0) seeds = 1;
  try {
    return chorus::bench::measure_all(quick, rows, seeds, out);
  } catch (const std::filesystem::filesystem_error& error) {
    fmt::print(stderr, "bench quality: {}\n", error.what());
    return 1;
  }
}
