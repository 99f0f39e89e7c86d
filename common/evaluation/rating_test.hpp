// The exact error of a model on test ratings: every user's private state is solved from the training ratings, every
// test rating is predicted, the prediction is kept on the contract's scale. In 64-bit floats, nothing is encoded.
// And the order: of a user's test ratings those in the upper quarter of the scale (4 and 5 of 1 to 5) are liked; the
// AUC is over users with ratings of both kinds.
#pragma once

#include <cstdint>

#include "common/dataset/rating.hpp"
#include "common/evaluation/user_data.hpp"
#include "common/metrics/rating_error.hpp"
#include "common/model/model.hpp"

namespace chorus::evaluation {

// Over the users [first, last), in their order: parts may be measured by several threads and added up.
// REQUIRES: `shared` has passed model.check_shared(); `test` is over the id maps of `users`; first <= last <= size().
// Errors: non_finite (names the user's and the item's index).
[[nodiscard]] Result<metrics::RatingError> test_ratings(const model::Model& model, const model::TensorSet& shared,
                                                        const UserData& users, const dataset::ByUser& test,
                                                        std::uint32_t first, std::uint32_t last);

}  // namespace chorus::evaluation
