// Public features of items: what a catalogue says of genre, year and title, as numbers. The columns are fixed, so that
// a catalogue that grows keeps those of its first items. Stateless.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/dataset/catalogue.hpp"

namespace chorus::model {

namespace feature {
// Genres in the order in which the catalogue first names them; those beyond are left out.
inline constexpr std::size_t kGenres = 18;
// Hats over the years 1935, 1943, … 2023: an item is shared between the two nearest.
inline constexpr std::size_t kYears = 12;
// Whether the title gives another one in parentheses; whether it counts itself as a sequel.
inline constexpr std::size_t kForeign = kGenres + kYears, kSequel = kForeign + 1;
inline constexpr std::size_t kPublic = kSequel + 1;
}  // namespace feature

// [items × feature::kPublic], row-major; zeros where a catalogue says nothing, or where there is none.
[[nodiscard]] std::vector<double> public_features(const dataset::Catalogue* catalogue, std::size_t items);

// Where standardised features are cut.
inline constexpr double kMostDeviations = 4;

// Gives every column of f [items × columns] but the first, which is the constant, the mean 0 and the deviation 1 under
// the items' weights, cut at ±kMostDeviations; a column without spread becomes zero. `standard` [2 × columns] gets the
// means and the deviations (0: no spread).
void standardise(std::vector<double>& f, std::size_t columns, std::span<const float> weights,
                 std::vector<double>& standard);

}  // namespace chorus::model
