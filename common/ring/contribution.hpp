// One device's contribution to a round, before it is encoded: real numbers in the shape of an update layout, kept
// sparse, because a device touches few items. Personal data: it never leaves the device in this form.
#pragma once

#include <cstdint>
#include <span>

#include "common/crypto/secret_bytes.hpp"
#include "common/plan/update_layout.hpp"

namespace chorus::ring {

struct Contribution {
  // Strictly increasing item indices, each below layout.items().
  crypto::ZeroizingVector<std::uint32_t> items;
  // [items × layout.row_width()], row-major: for each item the per-item tensors' columns, in layout order.
  crypto::ZeroizingVector<double> rows;
  // [layout.dense_width()]: the other tensors' numbers, in layout order.
  crypto::ZeroizingVector<double> dense;

  // Empty, with the right widths.
  void reset(const plan::UpdateLayout& layout, std::size_t item_count);
};

}  // namespace chorus::ring
