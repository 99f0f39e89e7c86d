#include "simulations/audit/secure_sums.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "simulations/audit/statistics.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::sim::audit {
namespace {

constexpr std::size_t kFeatures = 5;
constexpr double kMostDifference = 0.01;  // from popularity
constexpr double kMostBias = 0.02;        // from 1/2

// What the rows of a sum say, [items].
std::vector<std::array<double, kFeatures>> features_of(const ring::RoundSum& sum) {
  const plan::UpdateLayout& layout = sum.layout();
  const std::size_t gradient_index = *layout.find("gradient");
  const std::vector<double> gradient = sum.numbers(gradient_index);
  const std::vector<double> count = sum.numbers(*layout.find("count"));
  const std::size_t d = layout.tensors()[gradient_index].columns;
  std::vector<std::array<double, kFeatures>> features(count.size());
  for (std::size_t i = 0; i < count.size(); ++i) {
    double squares = 0;
    for (std::size_t k = 0; k < d; ++k) squares += gradient[i * d + k] * gradient[i * d + k];
    const double n = count[i] + 1;
    features[i] = {std::log(n), count[i] > 0 ? 1.0 : 0.0, std::log(squares / n + 1e-3), gradient[i * d] / std::sqrt(n),
                   std::abs(gradient[i * d]) / std::sqrt(n)};
  }
  return features;
}

// Sorted by item.
bool rated(std::span<const model::Observation> ratings, std::uint32_t item) {
  return std::ranges::binary_search(ratings, item, {}, &model::Observation::item);
}

// For an item another one that is rated about as often, on a side of it that is drawn, so that neither is the more
// popular as a rule.
class Matches {
 public:
  explicit Matches(std::vector<double> count) : count_(std::move(count)), order_(count_.size()), place_(count_.size()) {
    std::iota(order_.begin(), order_.end(), 0U);
    std::ranges::stable_sort(order_, {}, [this](std::uint32_t i) { return count_[i]; });
    for (std::uint32_t k = 0; k < order_.size(); ++k) place_[order_[k]] = k;
  }
  // Nothing, if no item of at most a twentieth more or less is without a rating of this member.
  [[nodiscard]] std::optional<std::uint32_t> draw(std::uint32_t item, std::span<const model::Observation> ratings,
                                                  crypto::RandomSource& random) const {
    const double most = std::max(0.05 * count_[item], 0.5);
    // Among equals any will do; then the nearest on the drawn side.
    std::uint32_t first = place_[item];
    std::uint32_t last = first;
    while (first > 0 && count_[order_[first - 1]] == count_[item]) --first;
    while (last + 1 < order_.size() && count_[order_[last + 1]] == count_[item]) ++last;
    for (int attempt = 0; attempt < 8 && last > first; ++attempt) {
      const std::uint32_t candidate = order_[first + random.below(last - first + 1)];
      if (!rated(ratings, candidate)) return candidate;
    }
    const bool up = random.below(2) == 0;
    for (std::uint32_t k = up ? last : first; up ? k + 1 < order_.size() : k > 0;) {
      k = up ? k + 1 : k - 1;
      if (std::abs(count_[order_[k]] - count_[item]) > most) break;
      if (!rated(ratings, order_[k])) return order_[k];
    }
    return std::nullopt;
  }

 private:
  std::vector<double> count_;
  std::vector<std::uint32_t> order_;  // by count
  std::vector<std::uint32_t> place_;  // in order_
};

}  // namespace

Result<SumAttack> attack_sum(const Scene& scene, const Training& published, std::span<const std::uint32_t> cohort,
                             const ring::RoundSum& sum) {
  SeededRandom random(scene.seed(3));
  // The attacker's own sum, of people whose ratings it knows.
  CHORUS_TRY(const Release own, published.release(plan::Purpose::train, scene.others()));
  const auto known = features_of(own.sum);
  Examples examples(kFeatures);
  const auto other_item = [&](std::span<const model::Observation> ratings) -> std::optional<std::uint32_t> {
    if (ratings.size() == scene.items()) return std::nullopt;
    for (;;) {
      const auto item = static_cast<std::uint32_t>(random.below(scene.items()));
      if (!rated(ratings, item)) return item;
    }
  };
  for (const std::uint32_t user : scene.others()) {
    const auto ratings = scene.users()[user].training;
    for (const model::Observation& rating : ratings) {
      const auto other = other_item(ratings);
      if (!other) continue;
      examples.add(known[rating.item], true);
      examples.add(known[*other], false);
    }
  }
  const Classifier classifier(examples);

  const auto seen = features_of(sum);
  const std::vector<double> count = sum.numbers(*sum.layout().find("count"));
  const Matches matches(count);
  struct Lists {
    std::vector<double> members;
    std::vector<double> strangers;
    [[nodiscard]] double auc() const {
      return members.empty() || strangers.empty() ? 0.5 : attack_auc(members, strangers);
    }
  };
  Lists attack;
  Lists popularity;
  Lists matched;
  Lists matched_popularity;
  const auto add = [&](Lists& scores, Lists& counts, std::uint32_t member, std::uint32_t stranger) {
    scores.members.push_back(classifier.score(seen[member]));
    scores.strangers.push_back(classifier.score(seen[stranger]));
    counts.members.push_back(count[member]);
    counts.strangers.push_back(count[stranger]);
  };
  for (const std::uint32_t user : cohort) {
    const auto ratings = scene.users()[user].training;
    for (const model::Observation& rating : ratings) {
      if (const auto other = other_item(ratings)) add(attack, popularity, rating.item, *other);
      if (const auto like = matches.draw(rating.item, ratings, random)) {
        add(matched, matched_popularity, rating.item, *like);
      }
    }
  }
  return SumAttack{.auc = attack.auc(),
                   .popularity = popularity.auc(),
                   .matched = matched.auc(),
                   .matched_popularity = matched_popularity.auc(),
                   .pairs = attack.members.size(),
                   .matched_pairs = matched.members.size()};
}

Result<Finding> attack_secure_sums(const Scene& scene, const Training& published, const ring::RoundSum& sum) {
  CHORUS_TRY(const SumAttack found, attack_sum(scene, published, scene.cohort(), sum));
  // Control: the same attack on sums of one.
  constexpr std::size_t kAlone = 20;
  double least = 1;
  for (const std::uint32_t user : scene.cohort().first(std::min(kAlone, scene.cohort().size()))) {
    CHORUS_TRY(const Release one, published.release(plan::Purpose::train, std::span(&user, 1)));
    CHORUS_TRY(const SumAttack alone, attack_sum(scene, published, std::span(&user, 1), one.sum));
    least = std::min(least, alone.auc);
  }
  const double difference = found.auc - found.popularity;
  const double bias = found.matched - 0.5;
  Finding finding;
  finding.id = "A2";
  finding.attack = "secure aggregation: which items, from the cohort's sum";
  finding.controls = {
      {.what = "the same on sums of one member, the least AUC", .value = least, .needs = "1", .holds = least == 1}};
  finding.result = fmt::format("AUC {:.4f}, popularity {:.4f}; popularity-matched {:.4f}", found.auc, found.popularity,
                               found.matched);
  finding.bar = fmt::format("above popularity by at most {}; matched 0.5 ± {}", kMostDifference, kMostBias);
  finding.verdict = difference <= kMostDifference && std::abs(bias) <= kMostBias ? Verdict::held : Verdict::exceeded;
  finding.figures = {{"auc", found.auc},
                     {"popularity_auc", found.popularity},
                     {"matched_auc", found.matched},
                     {"matched_popularity_auc", found.matched_popularity},
                     {"pairs", static_cast<double>(found.pairs)},
                     {"matched_pairs", static_cast<double>(found.matched_pairs)}};
  finding.bars = {{.label = "A2 the cohort's sum", .attack = found.auc, .popularity = found.popularity},
                  {.label = "A2 popularity-matched", .attack = found.matched, .popularity = found.matched_popularity}};
  return finding;
}

}  // namespace chorus::sim::audit
