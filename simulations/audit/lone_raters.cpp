#include "simulations/audit/lone_raters.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "simulations/audit/statistics.hpp"

namespace chorus::sim::audit {

Result<LoneRows> attack_lone_rows(const Scene& scene, const model::Model& model, std::uint32_t least_raters) {
  Training training(model, scene.users(), Aggregation::plain, scene.options().threads, scene.seed(6));
  CHORUS_TRY_DO(train(training, model, scene.cohort(), 0));
  const model::TensorSet before = training.state().shared;
  CHORUS_TRY(const Release release, training.release(plan::Purpose::train, scene.cohort()));
  CHORUS_TRY_DO(training.round(plan::Purpose::train, scene.cohort()));
  const model::TensorSet& after = training.state().shared;

  const ring::RoundSum& sum = release.sum;
  const plan::UpdateLayout& layout = sum.layout();
  const std::size_t gradient = *layout.find("gradient");
  const std::vector<double> count = sum.numbers(*layout.find("count"));
  const std::size_t d = layout.tensors()[gradient].columns;
  const std::vector<float>& old_rows = before.find("item_factors")->values;
  const std::vector<float>& new_rows = after.find("item_factors")->values;
  const auto changed = [&](std::uint32_t item) {
    const std::size_t first = std::size_t{item} * d;
    return !std::equal(old_rows.begin() + static_cast<std::ptrdiff_t>(first),
                       old_rows.begin() + static_cast<std::ptrdiff_t>(first + d),
                       new_rows.begin() + static_cast<std::ptrdiff_t>(first)) ||
           before.find("popularity")->values[item] != after.find("popularity")->values[item];
  };

  LoneRows found;
  std::size_t exact = 0;
  std::size_t moved = 0;
  std::vector<double> liked;
  std::vector<double> disliked;
  ring::Contribution contribution;
  for (const std::uint32_t user : scene.cohort()) {
    const auto ratings = scene.users()[user].training;
    const bool alone = std::ranges::any_of(ratings, [&](const auto& rating) { return count[rating.item] == 1; });
    if (!alone) continue;
    model.contribute(plan::Purpose::train, before, scene.users()[user], contribution);
    ring::RoundSum own(layout);
    ring::EncodeCounts counts;
    CHORUS_TRY_DO(own.add(contribution, counts));
    const std::vector<double> residuals = own.numbers(gradient);
    for (const model::Observation& rating : ratings) {
      if (count[rating.item] != 1) continue;
      ++found.items;
      const std::size_t first = layout.offset(gradient) + std::size_t{rating.item} * d;
      const auto mine = own.coordinates().subspan(first, d);
      if (std::ranges::equal(mine, sum.coordinates().subspan(first, d))) ++exact;
      if (changed(rating.item)) ++moved;
      const std::size_t bias = std::size_t{rating.item} * d;
      const double step = double{new_rows[bias]} - double{old_rows[bias]};
      (residuals[bias] > 0 ? liked : disliked).push_back(step);
    }
  }
  std::size_t rare = 0;
  std::size_t rare_moved = 0;
  for (std::uint32_t i = 0; i < scene.items(); ++i) {
    if (count[i] >= least_raters) continue;
    ++rare;
    if (changed(i)) ++rare_moved;
  }
  const auto share = [](std::size_t part, std::size_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  };
  found.recovered = share(exact, found.items);
  found.changed = share(moved, found.items);
  found.rare_changed = share(rare_moved, rare);
  found.auc = liked.empty() || disliked.empty() ? 0.5 : attack_auc(liked, disliked);
  return found;
}

Result<Finding> attack_lone_raters(const Scene& scene) {
  const std::uint32_t least = scene.options().least_raters;
  CHORUS_TRY(const auto open, scene.plain_model());
  CHORUS_TRY(const LoneRows exposed, attack_lone_rows(scene, *open, least));
  Finding finding;
  finding.id = "A4";
  finding.attack = "items with one rater in the cohort";
  if (exposed.items == 0) {
    finding.verdict = Verdict::skipped;
    finding.result = "every item that the cohort rated has two raters or more";
    return finding;
  }
  CHORUS_TRY(const auto guarded, scene.plain_model(least));
  CHORUS_TRY(const LoneRows withheld, attack_lone_rows(scene, *guarded, least));
  finding.controls = {{.what = "raw sum: rows that are the lone rater's own",
                       .value = exposed.recovered,
                       .needs = "1",
                       .holds = exposed.recovered == 1},
                      {.what = "published without a threshold: AUC of the sign of the residual",
                       .value = exposed.auc,
                       .needs = "at least 0.9",
                       .holds = exposed.auc >= 0.9}};
  finding.result =
      fmt::format("{} items; published with a threshold of {} raters: {:.1f} % of the rows changed, AUC {:.4f}",
                  exposed.items, least, 100 * withheld.rare_changed, withheld.auc);
  finding.bar = "no rare row changed";
  finding.verdict = withheld.rare_changed == 0 && withheld.changed == 0 ? Verdict::held : Verdict::exceeded;
  finding.figures = {{"items", static_cast<double>(exposed.items)},
                     {"raw_rows_recovered", exposed.recovered},
                     {"open_auc", exposed.auc},
                     {"open_rows_changed", exposed.changed},
                     {"withheld_auc", withheld.auc},
                     {"withheld_rows_changed", withheld.rare_changed},
                     {"least_raters", static_cast<double>(least)}};
  finding.bars = {{.label = "A4 published, no threshold", .attack = exposed.auc, .popularity = std::nullopt},
                  {.label = "A4 published, threshold", .attack = withheld.auc, .popularity = std::nullopt}};
  return finding;
}

}  // namespace chorus::sim::audit
