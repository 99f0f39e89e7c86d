#include "simulations/fleet/demo_data.hpp"

#include <fmt/format.h>

#include "common/dataset/planted.hpp"
#include "common/dataset/reader.hpp"
#include "common/dataset/split.hpp"

namespace chorus::sim {
namespace {

constexpr const char* kTenthAtRandom = "random:0.9";
constexpr const char* kFoldTraining = "u1.base";
constexpr const char* kFoldTest = "u1.test";

bool has_fold(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path / kFoldTraining, error) &&
         std::filesystem::is_regular_file(path / kFoldTest, error);
}

bool has_folder(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

}  // namespace

Result<DemoData> load_demo_data(const std::filesystem::path& path, const std::string& split, std::uint64_t seed) {
  const bool fold = split.empty() && has_fold(path);
  const std::filesystem::path file = fold ? path / kFoldTraining : path;
  std::string spec_text = split.empty() ? kTenthAtRandom : split;
  if (fold) spec_text = fmt::format("test:{}", (path / kFoldTest).string());
  CHORUS_TRY(const auto spec, dataset::SplitSpec::parse(spec_text));
  CHORUS_TRY(const auto set, dataset::read_ratings(file));
  CHORUS_TRY(auto halves, dataset::make_split(set.ratings, spec, seed));
  DemoData data;
  data.name =
      fold ? fmt::format("{}, official fold u1", path.string()) : fmt::format("{}, split {}", path.string(), spec_text);
  data.contract = set.contract();
  CHORUS_TRY(data.catalogue, dataset::make_catalogue(*halves.train.items, set.descriptions));
  data.training = std::move(halves.train);
  data.held_out = std::move(halves.test);
  return data;
}

Result<DemoData> generate_demo_data(std::uint32_t users, std::uint32_t items, std::uint64_t seed) {
  CHORUS_TRY(const auto population, dataset::PlantedPopulation::create({.seed = seed, .users = users, .items = items}));
  auto halves = dataset::hold_out(population.table(), 0.1, seed);
  DemoData data;
  data.name = fmt::format("a generated population of {} people with planted taste, a tenth held out", users);
  data.generated = true;
  data.catalogue = population.catalogue();
  data.contract = population.contract();
  data.training = std::move(halves.train);
  data.held_out = std::move(halves.test);
  return data;
}

Result<DemoData> choose_demo_data(const DemoSources& sources, std::uint64_t seed) {
  if (sources.asked) return load_demo_data(*sources.asked, {}, seed);
  if (sources.sets) {
    for (const char* name : {"ml-100k", "ml-latest-small", "ml-1m", "movietweetings/demo-core"}) {
      if (has_folder(*sources.sets / name)) return load_demo_data(*sources.sets / name, {}, seed);
    }
  }
  if (sources.fetched && has_folder(*sources.fetched / "ml-latest-small")) {
    return load_demo_data(*sources.fetched / "ml-latest-small", {}, seed);
  }
  return generate_demo_data(600, 400, seed);
}

}  // namespace chorus::sim
