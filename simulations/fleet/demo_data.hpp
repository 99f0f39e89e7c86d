// Which ratings the demo shows: those asked for, else public sets that lie on this machine, else a generated
// population. Values; stateless.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/base/result.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/dataset/data_contract.hpp"
#include "common/dataset/rating.hpp"

namespace chorus::sim {

struct DemoData {
  std::string name;  // one line for a person: what it is, and how it was split
  bool generated = false;
  dataset::RatingTable training;  // shares its id maps with held_out
  dataset::RatingTable held_out;
  dataset::Catalogue catalogue;
  dataset::DataContract contract;
};

// Where to look, in this order.
struct DemoSources {
  std::optional<std::filesystem::path> asked;    // a ratings file or a data set's folder
  std::optional<std::filesystem::path> sets;     // the folder of public sets (CHORUS_DATA)
  std::optional<std::filesystem::path> fetched;  // the repository's data folder
};

// A folder with the official fold u1 (u1.base, u1.test) is split by it, everything else at random, nine to one.
// Errors: those of reading what was asked for; a set that was only looked for and is not there is passed over.
[[nodiscard]] Result<DemoData> choose_demo_data(const DemoSources& sources, std::uint64_t seed);

// Ratings from a file or a folder, split as `split` says (dataset::SplitSpec; empty: as above).
[[nodiscard]] Result<DemoData> load_demo_data(const std::filesystem::path& path, const std::string& split,
                                              std::uint64_t seed);

// The planted population with a tenth of each user's ratings held out.
[[nodiscard]] Result<DemoData> generate_demo_data(std::uint32_t users, std::uint32_t items, std::uint64_t seed);

}  // namespace chorus::sim
