// How well a model of events ranks what people turned out to want: every user's private state is solved from the
// training events, every item is scored, and the test items' ranks are counted among all items that the user has no
// training event with, or among stored candidates. Ties count against the model. Nothing is encoded.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/dataset/candidates.hpp"
#include "common/dataset/rating.hpp"
#include "common/evaluation/user_data.hpp"
#include "common/model/model.hpp"

namespace chorus::evaluation {

// What is ranked: for each user the test items, among the items of `candidates` or, without them, all.
class RankingTest {
 public:
  // Full rank. Both are over the same id maps.
  RankingTest(const dataset::RatingTable& training, const dataset::RatingTable& test);
  // `candidates`: those of the test half; a user may have several.
  RankingTest(const dataset::RatingTable& training, const dataset::RatingTable& test,
              std::span<const dataset::Candidates> candidates);

  [[nodiscard]] bool sampled() const noexcept { return sampled_; }
  [[nodiscard]] std::size_t users() const noexcept { return tests_.size(); }
  [[nodiscard]] std::size_t items() const noexcept { return popularity_.size(); }
  // One ranking task: its positives and, if sampled, the other candidates.
  struct Task {
    std::vector<std::uint32_t> positives;
    std::vector<std::uint32_t> negatives;
  };
  [[nodiscard]] std::span<const Task> of(std::uint32_t user) const noexcept { return tests_[user]; }
  // How many training events each item has.
  [[nodiscard]] std::span<const float> popularity() const noexcept { return popularity_; }

 private:
  bool sampled_ = false;
  std::vector<std::vector<Task>> tests_;  // [users]; none for a user without test items
  std::vector<float> popularity_;         // [items]
};

// Sums over the tasks of some users, to be added up. Means are over tasks; a task is a user, or a stored test pair.
class RankingQuality {
 public:
  void add(const RankingQuality& other);
  [[nodiscard]] std::size_t tasks() const noexcept { return tasks_; }
  // The means of a task's numbers (common/metrics/ranking.hpp). REQUIRES: tasks() > 0.
  [[nodiscard]] double hit_at_10() const noexcept { return hits_ / static_cast<double>(tasks_); }
  [[nodiscard]] double ndcg_at_10() const noexcept { return ndcg_ / static_cast<double>(tasks_); }
  [[nodiscard]] double recall_at_20() const noexcept { return recall_ / static_cast<double>(tasks_); }
  [[nodiscard]] double auc() const noexcept { return auc_ / static_cast<double>(tasks_); }
  // Of the ten best items of everybody with a test, whatever the candidates: the share of the catalogue that somebody
  // is recommended, and by what share the recommended items are more popular than the same people's own.
  [[nodiscard]] double coverage() const noexcept;
  [[nodiscard]] double popularity_bias() const noexcept;

 private:
  friend Result<RankingQuality> test_ranking(const model::Model&, const model::TensorSet&, const UserData&,
                                             const RankingTest&, std::uint32_t, std::uint32_t);
  std::size_t tasks_ = 0;
  double hits_ = 0;
  double ndcg_ = 0;
  double recall_ = 0;
  double auc_ = 0;
  double recommended_popularity_ = 0;
  double own_popularity_ = 0;
  std::vector<bool> recommended_;  // [items]
};

// Over the users [first, last), in their order: parts may be measured by several threads and added up.
// REQUIRES: `shared` has passed model.check_shared(); `test` is over the id maps of `users`; first <= last <= size().
// Errors: non_finite (names the user's index).
[[nodiscard]] Result<RankingQuality> test_ranking(const model::Model& model, const model::TensorSet& shared,
                                                  const UserData& users, const RankingTest& test, std::uint32_t first,
                                                  std::uint32_t last);

}  // namespace chorus::evaluation
