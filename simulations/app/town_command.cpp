#include "simulations/app/town_command.hpp"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "common/dataset/item_files.hpp"
#include "common/dataset/planted.hpp"
#include "common/dataset/reader.hpp"

namespace chorus::sim {
namespace {

namespace fs = std::filesystem;

struct TownArguments {
  fs::path ratings;
  std::uint32_t people = 100;
  std::uint32_t items = 300;
  std::uint64_t seed = 1;
  fs::path out;
};

// What the files are made of.
struct Source {
  dataset::RatingTable table;
  dataset::Catalogue catalogue;
  dataset::DataContract contract;
};

Result<Source> find_source(const TownArguments& arguments) {
  if (arguments.ratings.empty()) {
    CHORUS_TRY(const auto population,
               dataset::PlantedPopulation::create(
                   {.seed = arguments.seed, .users = arguments.people + 1, .items = arguments.items, .step = 1}));
    return Source{population.table(), population.catalogue(), population.contract()};
  }
  CHORUS_TRY(const auto set, dataset::read_ratings(arguments.ratings));
  CHORUS_TRY(auto catalogue, set.catalogue());
  return Source{set.ratings, std::move(catalogue), set.contract()};
}

// Ids hold no tabs (check_id): nothing needs quotes.
Status write_ratings(const fs::path& path, const Source& source, std::uint32_t first, std::uint32_t last,
                     bool with_user) {
  std::ofstream file(path, std::ios::binary);
  file << (with_user ? "user\titem\trating\ttimestamp\n" : "item\trating\ttimestamp\n");
  for (const dataset::Entry& entry : source.table.entries) {
    if (entry.user < first || entry.user >= last) continue;
    if (with_user) file << (*source.table.users)[entry.user] << '\t';
    file << (*source.table.items)[entry.item] << '\t' << fmt::format("{:g}", entry.value) << '\t' << entry.when << '\n';
  }
  file.close();
  if (!file) return fail(ErrorCode::unwritable, "the ratings cannot be written", path.string());
  return {};
}

Status run(const TownArguments& arguments) {
  CHORUS_TRY(const Source source, find_source(arguments));
  if (source.table.user_count() <= arguments.people) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{} people and one more are wanted, and there are {}", arguments.people, source.table.user_count()),
        "--people");
  }
  std::error_code error;
  fs::create_directories(arguments.out, error);
  if (error) return fail(ErrorCode::unwritable, error.message(), arguments.out.string());
  CHORUS_TRY_DO(dataset::write_item_table(arguments.out / "items.tsv", source.catalogue.items()));
  CHORUS_TRY_DO(write_ratings(arguments.out / "ratings.tsv", source, 0, arguments.people, true));
  CHORUS_TRY_DO(write_ratings(arguments.out / "me.tsv", source, arguments.people, arguments.people + 1, false));
  const auto& scale = source.contract;
  fmt::print(
      "ratings.tsv: {} people; me.tsv: one more; items.tsv: {} items. For the job's [data] table: minimum = {}, "
      "maximum = {}, step = {}\n",
      arguments.people, source.catalogue.size(), scale.minimum, scale.maximum, scale.step);
  return {};
}

}  // namespace

void add_town_command(CLI::App& app, int& status) {
  auto arguments = std::make_shared<TownArguments>();
  CLI::App* command =
      app.add_subcommand("town", "Write a small town's ratings and catalogue, to try the programs with by hand");
  command->add_option("--ratings", arguments->ratings,
                      "Take the first people of this file or data set; default: generated ones");
  command->add_option("--people", arguments->people, "People of ratings.tsv, for `fleet`")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--items", arguments->items, "Items, if they are generated")
      ->capture_default_str()
      ->check(CLI::Range(10, 1'000'000));
  command->add_option("--seed", arguments->seed, "Of the generated people")->capture_default_str();
  command->add_option("--out", arguments->out, "The folder that gets ratings.tsv, me.tsv and items.tsv")->required();
  command->callback([arguments, &status] {
    const auto written = run(*arguments);
    if (!written) fmt::print(stderr, "chorus-sim town: {}\n", written.error().to_string());
    status = written.has_value() ? 0 : 1;
  });
}

}  // namespace chorus::sim
