#include "common/evaluation/ranking_test.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "common/base/check.hpp"
#include "common/metrics/ranking.hpp"

namespace chorus::evaluation {
namespace {

constexpr std::size_t kListed = 10;
constexpr std::size_t kRecalled = 20;

std::vector<float> events_of_items(const dataset::RatingTable& training) {
  std::vector<float> events(training.item_count(), 0.0F);
  for (const dataset::Entry& entry : training.entries) events[entry.item] += 1;
  return events;
}

// The ten best items that are not known; of equal scores the lower items.
std::vector<std::uint32_t> best_items(std::span<const float> scores, const std::vector<bool>& known) {
  std::vector<std::uint32_t> best;
  for (std::uint32_t i = 0; i < scores.size(); ++i) {
    if (!known[i]) best.push_back(i);
  }
  const std::size_t kept = std::min(kListed, best.size());
  std::ranges::partial_sort(
      best, best.begin() + static_cast<std::ptrdiff_t>(kept),
      [&](std::uint32_t a, std::uint32_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
  best.resize(kept);
  return best;
}

double mean_of(std::span<const std::uint32_t> items, std::span<const float> popularity) {
  double sum = 0;
  for (const std::uint32_t item : items) sum += double{popularity[item]};
  return items.empty() ? 0 : sum / static_cast<double>(items.size());
}

std::vector<float> picked(std::span<const float> scores, std::span<const std::uint32_t> items) {
  std::vector<float> values;
  values.reserve(items.size());
  for (const std::uint32_t item : items) values.push_back(scores[item]);
  return values;
}

// What one positive among candidates, or several among all items, come to.
struct Ranked {
  std::vector<std::size_t> ranks;
  double auc = 0;
};

Result<Ranked> rank_candidates(const RankingTest::Task& task, std::span<const float> scores) {
  const std::vector<float> others = picked(scores, task.negatives);
  Ranked ranked;
  for (const std::uint32_t item : task.positives) {
    CHORUS_TRY(const std::size_t rank, metrics::rank_among(scores[item], others));
    ranked.ranks.push_back(rank);
  }
  if (!others.empty()) {
    CHORUS_TRY(ranked.auc, metrics::auc(picked(scores, task.positives), others));
  }
  return ranked;
}

Result<Ranked> rank_all(const RankingTest::Task& task, std::span<const float> scores,
                        std::span<const std::uint32_t> excluded, std::vector<bool> known) {
  Ranked ranked;
  CHORUS_TRY(ranked.ranks, metrics::ranks_of(scores, task.positives, excluded));
  for (const std::uint32_t item : task.positives) known[item] = true;
  std::vector<float> others;
  for (std::uint32_t i = 0; i < scores.size(); ++i) {
    if (!known[i]) others.push_back(scores[i]);
  }
  if (!others.empty()) {
    CHORUS_TRY(ranked.auc, metrics::auc(picked(scores, task.positives), others));
  }
  return ranked;
}

}  // namespace

RankingTest::RankingTest(const dataset::RatingTable& training, const dataset::RatingTable& test)
    : tests_(test.user_count()), popularity_(events_of_items(training)) {
  const dataset::ByUser by_user(test);
  for (std::uint32_t user = 0; user < tests_.size(); ++user) {
    if (by_user[user].empty()) continue;
    Task task;
    for (const dataset::Entry& entry : by_user[user]) task.positives.push_back(entry.item);
    tests_[user].push_back(std::move(task));
  }
}

RankingTest::RankingTest(const dataset::RatingTable& training, const dataset::RatingTable& test,
                         std::span<const dataset::Candidates> candidates)
    : sampled_(true), tests_(test.user_count()), popularity_(events_of_items(training)) {
  for (const dataset::Candidates& each : candidates) {
    tests_[each.user].push_back({.positives = {each.positive}, .negatives = each.negatives});
  }
}

void RankingQuality::add(const RankingQuality& other) {
  tasks_ += other.tasks_;
  hits_ += other.hits_;
  ndcg_ += other.ndcg_;
  recall_ += other.recall_;
  auc_ += other.auc_;
  recommended_popularity_ += other.recommended_popularity_;
  own_popularity_ += other.own_popularity_;
  recommended_.resize(std::max(recommended_.size(), other.recommended_.size()), false);
  for (std::size_t i = 0; i < other.recommended_.size(); ++i) {
    if (other.recommended_[i]) recommended_[i] = true;
  }
}

double RankingQuality::coverage() const noexcept {
  if (recommended_.empty()) return 0;
  return static_cast<double>(std::ranges::count(recommended_, true)) / static_cast<double>(recommended_.size());
}

double RankingQuality::popularity_bias() const noexcept {
  return own_popularity_ > 0 ? recommended_popularity_ / own_popularity_ - 1 : 0;
}

Result<RankingQuality> test_ranking(const model::Model& model, const model::TensorSet& shared, const UserData& users,
                                    const RankingTest& test, std::uint32_t first, std::uint32_t last) {
  CHORUS_ENSURE(users.size() == test.users() && last <= users.size() && test.items() == model.shape().items,
                "rankings are of the same users and items");
  RankingQuality quality;
  quality.recommended_.assign(test.items(), false);
  std::vector<float> scores(test.items());
  for (std::uint32_t user = first; user < last; ++user) {
    if (test.of(user).empty()) continue;
    const model::LocalData data = users[user];
    model.score_all(shared, model.solve(shared, data), scores);
    std::vector<std::uint32_t> excluded;
    std::vector<bool> known(test.items(), false);
    for (const model::Observation& event : data.training) {
      excluded.push_back(event.item);
      known[event.item] = true;
    }
    for (const RankingTest::Task& task : test.of(user)) {
      const auto ranked = test.sampled() ? rank_candidates(task, scores) : rank_all(task, scores, excluded, known);
      if (!ranked) return fail(ranked.error().at("user " + std::to_string(user)));
      ++quality.tasks_;
      quality.hits_ += metrics::hit_at(ranked->ranks, kListed);
      quality.ndcg_ += metrics::ndcg_at(ranked->ranks, kListed);
      quality.recall_ += metrics::recall_at(ranked->ranks, kRecalled);
      quality.auc_ += ranked->auc;
    }
    const std::vector<std::uint32_t> best = best_items(scores, known);
    for (const std::uint32_t item : best) quality.recommended_[item] = true;
    if (excluded.empty() || best.empty()) continue;
    quality.recommended_popularity_ += mean_of(best, test.popularity());
    quality.own_popularity_ += mean_of(excluded, test.popularity());
  }
  return quality;
}

}  // namespace chorus::evaluation
