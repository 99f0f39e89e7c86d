// What changed between two versions of a model, for an operator who compares them: how far its numbers moved, tensor by
// tensor, and which items moved most. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/model/model.hpp"

namespace chorus::coordinator {

struct TensorChange {
  std::string name;
  std::uint32_t rows = 0;  // in the later version
  std::uint32_t columns = 0;
  double before = 0;   // Euclidean norm in the earlier version; 0: it was not there
  double change = 0;   // Euclidean norm of the difference; what the earlier version lacks counts as 0 there
  double largest = 0;  // of one number
};

struct ItemChange {
  std::string title;  // dataset::display_title
  double change = 0;  // Euclidean norm over the item's rows of all tensors that have one row an item
};

struct VersionDifference {
  double before = 0;  // of all tensors
  double change = 0;
  std::vector<TensorChange> tensors;  // in the later version's order
  std::vector<ItemChange> items;      // those that changed most, at most kMostItems; none that did not change
};

inline constexpr std::size_t kMostItems = 10;

// `from` and `to` are encoded by TensorSet::encode(); `to` has a row for each of the catalogue's first `items`.
// REQUIRES: items <= catalogue.size(). Errors: malformed.
[[nodiscard]] Result<VersionDifference> difference_of(ByteView from, ByteView to, std::uint32_t items,
                                                      const dataset::Catalogue& catalogue);

}  // namespace chorus::coordinator
