#include "common/evaluation/rating_test.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/check.hpp"
#include "common/metrics/ranking.hpp"

namespace chorus::evaluation {

Result<metrics::RatingError> test_ratings(const model::Model& model, const model::TensorSet& shared,
                                          const UserData& users, const dataset::ByUser& test, std::uint32_t first,
                                          std::uint32_t last) {
  CHORUS_ENSURE(users.size() == test.user_count() && last <= users.size(), "test ratings are of the same users");
  const double minimum = double{model.shape().contract.minimum};
  const double maximum = double{model.shape().contract.maximum};
  const double liked_from = minimum + 0.75 * (maximum - minimum);
  metrics::RatingError error;
  std::vector<float> liked;
  std::vector<float> others;
  for (std::uint32_t user = first; user < last; ++user) {
    if (test[user].empty()) continue;
    const model::PrivateState state = model.solve(shared, users[user]);
    liked.clear();
    others.clear();
    for (const dataset::Entry& entry : test[user]) {
      const double score = model.score(shared, state, entry.item);
      const double predicted = std::clamp(score, minimum, maximum);
      const Status added = error.add(predicted, double{entry.value});
      if (!added) {
        return fail(added.error().at("user " + std::to_string(user) + ", item " + std::to_string(entry.item)));
      }
      (double{entry.value} >= liked_from ? liked : others).push_back(static_cast<float>(score));
    }
    if (liked.empty() || others.empty()) continue;
    CHORUS_TRY(const double order, metrics::auc(liked, others));
    error.add_order(order);
  }
  return error;
}

}  // namespace chorus::evaluation
