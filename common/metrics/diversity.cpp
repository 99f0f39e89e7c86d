#include "common/metrics/diversity.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace chorus::metrics {

namespace {

Status check_item(std::uint32_t item, std::size_t item_count) {
  if (item < item_count) return {};
  return fail(ErrorCode::invalid_argument,
              "item " + std::to_string(item) + " is not in a catalogue of " + std::to_string(item_count));
}

}  // namespace

Result<double> coverage(std::span<const ItemList> lists, std::size_t item_count) {
  if (item_count == 0) return fail(ErrorCode::invalid_argument, "the catalogue is empty");
  std::vector<bool> covered(item_count, false);
  for (const ItemList& list : lists) {
    for (const std::uint32_t item : list) {
      CHORUS_TRY_DO(check_item(item, item_count));
      covered[item] = true;
    }
  }
  return static_cast<double>(std::count(covered.begin(), covered.end(), true)) / static_cast<double>(item_count);
}

Result<double> mean_popularity(std::span<const ItemList> lists, std::span<const float> popularity) {
  double sum = 0;
  std::size_t users = 0;
  for (const ItemList& list : lists) {
    if (list.empty()) continue;
    double own = 0;
    for (const std::uint32_t item : list) {
      CHORUS_TRY_DO(check_item(item, popularity.size()));
      own += popularity[item];
    }
    sum += own / static_cast<double>(list.size());
    ++users;
  }
  if (users == 0) return fail(ErrorCode::invalid_argument, "there is no item to measure on");
  if (!std::isfinite(sum)) return fail(ErrorCode::non_finite, "a popularity is not a finite number");
  return sum / static_cast<double>(users);
}

Result<double> popularity_bias(std::span<const ItemList> recommended, std::span<const ItemList> histories,
                               std::span<const float> popularity) {
  CHORUS_TRY(const double ours, mean_popularity(recommended, popularity));
  CHORUS_TRY(const double theirs, mean_popularity(histories, popularity));
  if (!(theirs > 0)) return fail(ErrorCode::invalid_argument, "the histories' items have no popularity");
  return ours / theirs - 1;
}

}  // namespace chorus::metrics
