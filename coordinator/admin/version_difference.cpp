#include "coordinator/admin/version_difference.hpp"

#include <algorithm>
#include <cmath>

#include "common/base/check.hpp"

namespace chorus::coordinator {

Result<VersionDifference> difference_of(ByteView from, ByteView to, std::uint32_t items,
                                        const dataset::Catalogue& catalogue) {
  CHORUS_ENSURE(items <= catalogue.size(), "every item of a version is in the catalogue");
  CHORUS_TRY(const auto earlier, model::TensorSet::decode(from));
  CHORUS_TRY(const auto later, model::TensorSet::decode(to));
  VersionDifference difference;
  std::vector<double> moved(items, 0.0);  // [items], squares
  double before_all = 0;
  double change_all = 0;
  for (const model::Tensor& tensor : later.tensors) {
    // Rows are added at the end; a tensor of another width is a new one.
    const model::Tensor* const old = earlier.find(tensor.name);
    const bool comparable = old != nullptr && old->columns == tensor.columns;
    TensorChange line{.name = tensor.name, .rows = tensor.rows, .columns = tensor.columns};
    double before = 0;
    double change = 0;
    const bool of_items = tensor.rows == items;
    for (std::size_t i = 0; i < tensor.values.size(); ++i) {
      const double was = comparable && i < old->values.size() ? double{old->values[i]} : 0.0;
      const double step = double{tensor.values[i]} - was;
      before += was * was;
      change += step * step;
      line.largest = std::max(line.largest, std::abs(step));
      if (of_items) moved[i / tensor.columns] += step * step;
    }
    line.before = std::sqrt(before);
    line.change = std::sqrt(change);
    before_all += before;
    change_all += change;
    difference.tensors.push_back(std::move(line));
  }
  difference.before = std::sqrt(before_all);
  difference.change = std::sqrt(change_all);

  std::vector<std::uint32_t> order(moved.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  const std::size_t shown = std::min(kMostItems, order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
      [&](std::uint32_t a, std::uint32_t b) { return moved[a] != moved[b] ? moved[a] > moved[b] : a < b; });
  for (std::size_t k = 0; k < shown && moved[order[k]] > 0; ++k) {
    difference.items.push_back(
        {.title = dataset::display_title(catalogue[ItemIndex(order[k])]), .change = std::sqrt(moved[order[k]])});
  }
  return difference;
}

}  // namespace chorus::coordinator
