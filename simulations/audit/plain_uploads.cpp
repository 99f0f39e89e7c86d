#include "simulations/audit/plain_uploads.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "simulations/audit/statistics.hpp"

namespace chorus::sim::audit {
namespace {

double rounded(double rating, const dataset::DataContract& contract) {
  const double minimum = double{contract.minimum};
  const double step = double{contract.step};
  const double kept = std::clamp(rating, minimum, double{contract.maximum});
  return step > 0 ? minimum + step * std::round((kept - minimum) / step) : kept;
}

}  // namespace

Recovered recover(const model::Model& model, const model::TensorSet& shared,
                  std::span<const std::vector<double>> sums) {
  const plan::UpdateLayout layout = model.layout(plan::Purpose::train, model.training_rounds(shared));
  const std::vector<double>& gradient = sums[*layout.find("gradient")];
  const std::vector<double>& count = sums[*layout.find("count")];
  const model::Tensor& factors = *shared.find("item_factors");
  const std::vector<float>& scale = shared.find("scale")->values;
  const std::size_t d = factors.columns;
  const double lambda_bias = std::strtod(model.settings().find("lambda_bias")->second.c_str(), nullptr);

  Recovered found;
  found.factor.assign(d, 0);
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < count.size(); ++i) {
    if (count[i] == 0) continue;
    const double* const g = gradient.data() + i * d;
    sum += g[0];
    squares += g[0] * g[0];
    for (std::size_t k = 1; k < d; ++k) found.factor[k] += g[0] * g[k];
  }
  if (squares > 0) {
    for (double& x : found.factor) x /= squares;
  }
  found.factor[0] = sum / lambda_bias;
  for (std::uint32_t i = 0; i < count.size(); ++i) {
    if (count[i] == 0) continue;
    const float* const w = factors.values.data() + std::size_t{i} * d;
    double r = found.factor[0] + double{w[0]} + gradient[i * d];
    for (std::size_t k = 1; k < d; ++k) r += found.factor[k] * double{w[k]};
    const double rating = rounded(double{scale[0]} + double{scale[1]} * r, model.shape().contract);
    found.ratings.push_back({.item = i, .value = static_cast<float>(rating), .when = 0});
  }
  return found;
}

Result<crypto::ZeroizingBytes> unmasked(const plan::UpdateLayout& layout, const ring::Contribution& contribution) {
  ring::EncodeCounts counts;
  return ring::encode(layout, contribution, counts);
}

Result<Finding> attack_plain_uploads(const Scene& scene, const model::Model& model, const Training& published,
                                     const Upload& upload) {
  const model::TensorSet& shared = published.state().shared;
  const plan::UpdateLayout layout = model.layout(plan::Purpose::train, model.training_rounds(shared));
  std::vector<double> members;
  std::vector<double> strangers;
  std::size_t exact = 0;
  ring::Contribution contribution;
  for (const std::uint32_t user : scene.cohort()) {
    model.contribute(plan::Purpose::train, shared, scene.users()[user], contribution);
    CHORUS_TRY(const crypto::ZeroizingBytes packed, upload(layout, contribution));
    ring::CohortSum one(layout);
    CHORUS_TRY_DO(one.add(packed));
    ring::RoundSum seen(layout);
    seen.add(one);
    const std::vector<std::vector<double>> sums = numbers_of(seen);
    const std::span<const model::Observation> ratings = scene.users()[user].training;
    // Membership: whether the item's row says anything.
    const std::vector<double>& count = sums[*layout.find("count")];
    for (std::uint32_t i = 0, k = 0; i < scene.items(); ++i) {
      const bool rated = k < ratings.size() && ratings[k].item == i;
      if (rated) ++k;
      (rated ? members : strangers).push_back(count[i] != 0 ? 1 : 0);
    }
    const Recovered recovered = recover(model, shared, sums);
    for (const model::Observation& guess : recovered.ratings) {
      const auto truth = std::ranges::lower_bound(ratings, guess.item, {}, &model::Observation::item);
      if (truth != ratings.end() && truth->item == guess.item && std::abs(truth->value - guess.value) < 1e-3F) ++exact;
    }
  }
  const double auc = attack_auc(members, strangers);
  const double share = static_cast<double>(exact) / static_cast<double>(members.size());
  Finding finding;
  finding.id = "A1";
  finding.attack = "plain uploads: which items, and which ratings";
  finding.controls = {{.what = "membership AUC", .value = auc, .needs = "1", .holds = auc == 1},
                      {.what = "ratings recovered exactly", .value = share, .needs = "1", .holds = share == 1}};
  finding.result =
      fmt::format("without masks all is told: AUC {:.4f}, {:.2f} % of {} ratings", auc, 100 * share, members.size());
  finding.bar = "a control: must succeed";
  finding.verdict = Verdict::held;
  finding.figures = {{"auc", auc}, {"ratings_recovered", share}, {"ratings", static_cast<double>(members.size())}};
  finding.bars = {{.label = "A1 plain uploads", .attack = auc, .popularity = std::nullopt}};
  return finding;
}

}  // namespace chorus::sim::audit
