// What the items of a data set are called: the files with titles, years and genres that lie beside the ratings, and
// the table that an operator keeps by hand.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/dataset/catalogue.hpp"

namespace chorus::dataset {

// Reads the first of "items.tsv", "u.item" (with "u.genre"), "movies.dat", "movies.csv" and "artists.dat" that the
// folder holds; nothing if it holds none of them. Text that is not UTF-8 is taken for ISO-8859-1; titles are made
// printable and cut to the catalogue's limits; a year in parentheses at a title's end becomes the item's year.
// If an id is there twice, its first line counts.
// Errors: as LineReader; malformed.
[[nodiscard]] Result<std::vector<CatalogueItem>> read_item_descriptions(const std::filesystem::path& folder);

// An operator's table: tab-separated with a header that names "id", "title", "year" and "genres" (separated by '|') in
// any order; further columns are ignored, and all but the id may be missing or empty. Taken as it is, without repairs.
// Errors: as LineReader and check_item; malformed; duplicate (an id that is there twice).
[[nodiscard]] Result<std::vector<CatalogueItem>> read_item_table(const std::filesystem::path& path);

// The same table as text; read_item_table gives the items back.
[[nodiscard]] std::string item_table(std::span<const CatalogueItem> items);

// Errors: already_exists, unwritable, disk_full, io.
[[nodiscard]] Status write_item_table(const std::filesystem::path& path, std::span<const CatalogueItem> items);

}  // namespace chorus::dataset
