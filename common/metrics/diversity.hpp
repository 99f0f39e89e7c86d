// What lists of recommendations do to a catalogue as a whole. Stateless functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/result.hpp"

namespace chorus::metrics {

// One user's recommended items, or the items of one user's history.
using ItemList = std::vector<std::uint32_t>;

// The share of the catalogue that at least one user is recommended. Errors: invalid_argument (an empty catalogue, an
// item outside it).
[[nodiscard]] Result<double> coverage(std::span<const ItemList> lists, std::size_t item_count);

// The mean over users of the mean popularity of their items (average recommendation popularity, Abdollahpouri et al.
// 2019); users without items don't count. `popularity`: how many training ratings each item has, [items].
// Errors: invalid_argument (no items at all, an item outside `popularity`), non_finite.
[[nodiscard]] Result<double> mean_popularity(std::span<const ItemList> lists, std::span<const float> popularity);

// By what share recommendations are more popular than what the same users chose themselves:
// mean_popularity(recommended) / mean_popularity(histories) - 1. 0: no bias; above 0: towards popular items.
// Errors: as mean_popularity; invalid_argument, if the histories have no popularity.
[[nodiscard]] Result<double> popularity_bias(std::span<const ItemList> recommended, std::span<const ItemList> histories,
                                             std::span<const float> popularity);

}  // namespace chorus::metrics
