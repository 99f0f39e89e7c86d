#include "common/evaluation/user_data.hpp"

#include <algorithm>

#include "common/base/check.hpp"

namespace chorus::evaluation {

UserData::Grouped::Grouped(const dataset::RatingTable& table)
    : starts(table.user_count() + 1, 0), observations(table.size()) {
  for (const dataset::Entry& entry : table.entries) ++starts[entry.user + 1];
  for (std::size_t user = 0; user + 1 < starts.size(); ++user) starts[user + 1] += starts[user];
  std::vector<std::size_t> next(starts.begin(), starts.end() - 1);
  for (const dataset::Entry& entry : table.entries) {
    observations[next[entry.user]++] = {.item = entry.item, .value = entry.value, .when = entry.when};
  }
  for (std::size_t user = 0; user + 1 < starts.size(); ++user) {
    std::ranges::sort(std::span(observations).subspan(starts[user], starts[user + 1] - starts[user]), {},
                      &model::Observation::item);
  }
}

UserData::UserData(const dataset::RatingTable& training) : training_(training), held_out_(training.user_count()) {}

UserData::UserData(const dataset::RatingTable& training, const dataset::RatingTable& held_out)
    : training_(training), held_out_(held_out) {
  CHORUS_ENSURE(training.user_count() == held_out.user_count() && training.item_count() == held_out.item_count(),
                "training and held-out ratings share their id maps");
}

}  // namespace chorus::evaluation
