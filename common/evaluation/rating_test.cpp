#include "common/evaluation/rating_test.hpp"

#include <algorithm>
#include <string>

#include "common/base/check.hpp"

namespace chorus::evaluation {

Result<metrics::RatingError> test_ratings(const model::Model& model, const model::TensorSet& shared,
                                          const UserData& users, const dataset::ByUser& test, std::uint32_t first,
                                          std::uint32_t last) {
  CHORUS_ENSURE(users.size() == test.user_count() && last <= users.size(), "test ratings are of the same users");
  const double minimum = double{model.shape().contract.minimum};
  const double maximum = double{model.shape().contract.maximum};
  metrics::RatingError error;
  for (std::uint32_t user = first; user < last; ++user) {
    if (test[user].empty()) continue;
    const model::PrivateState state = model.solve(shared, users[user]);
    for (const dataset::Entry& entry : test[user]) {
      const double predicted = std::clamp(model.score(shared, state, entry.item), minimum, maximum);
      const Status added = error.add(predicted, double{entry.value});
      if (!added) {
        return fail(added.error().at("user " + std::to_string(user) + ", item " + std::to_string(entry.item)));
      }
    }
  }
  return error;
}

}  // namespace chorus::evaluation
