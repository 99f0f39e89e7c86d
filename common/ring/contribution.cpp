#include "common/ring/contribution.hpp"

namespace chorus::ring {

void Contribution::reset(const plan::UpdateLayout& layout, std::size_t item_count) {
  items.assign(item_count, 0);
  rows.assign(item_count * layout.row_width(), 0.0);
  dense.assign(layout.dense_width(), 0.0);
}

}  // namespace chorus::ring
