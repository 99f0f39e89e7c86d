// The coordinator's side: survey, server step, what it learns of noise, relevance and the twin.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/item_features.hpp"
#include "common/model/mf/shared_curvature.hpp"
#include "common/model/mf/variational.hpp"
#include "common/model/mf/variational_tensors.hpp"

namespace chorus::model::mf {
namespace {

// Noise and relevance are learned from this round on, prior means from that one on (both count from 1).
constexpr std::uint64_t kRelevanceFrom = 3;
constexpr std::uint64_t kTwinMapFrom = 2;
constexpr double kMapRidge = 10;  // τ
// Bounds of what is learned, in standardised ratings: far outside of what data give, so that an odd sum does no harm.
constexpr double kLeastNoise = 1e-3, kMostNoise = 1e2;
constexpr double kLeastLambda = 1e-3, kMostLambda = 1e5;

// Least squares with a ridge for many targets at once: rows of B, [targets × F], from the packed lower triangle of
// Σ f fᵀ and from Σ x fᵀ, [targets × F].
bool ridge_map(std::span<const double> squares, std::span<const double> products, std::size_t f, std::span<float> out) {
  std::vector<double> normal(f * f, 0.0);
  std::size_t packed = 0;
  for (std::size_t row = 0; row < f; ++row) {
    for (std::size_t column = 0; column <= row; ++column) normal[column * f + row] = squares[packed++];
    normal[row * f + row] += kMapRidge;
  }
  if (!cholesky(normal.data(), f, f)) return false;
  std::vector<double> solution(products.begin(), products.end());
  for (std::size_t target = 0; target * f < solution.size(); ++target) {
    cholesky_solve(normal.data(), f, f, solution.data() + target * f);
  }
  if (!std::ranges::all_of(solution, [](double x) { return std::isfinite(static_cast<float>(x)); })) return false;
  for (std::size_t k = 0; k < solution.size(); ++k) out[k] = static_cast<float>(solution[k]);
  return true;
}

// What the catalogue says behind a constant, with the mean 0 and the deviation 1 over the items that somebody rated:
// [items × kKnown]. Nothing without `known`, [items × feature::kPublic].
constexpr std::size_t kKnown = 1 + feature::kPublic;
std::vector<double> standardised(std::span<const double> known, std::span<const float> counts) {
  if (known.empty()) return {};
  std::vector<double> f(counts.size() * kKnown, 1.0);
  std::vector<float> rated(counts.size());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    rated[i] = counts[i] < 1 ? 0.0F : 1.0F;
    std::ranges::copy(known.subspan(i * feature::kPublic, feature::kPublic), f.data() + i * kKnown + 1);
  }
  std::vector<double> standard(2 * kKnown);
  standardise(f, kKnown, rated, standard);
  return f;
}

// That nobody met an item says nothing of it: its twin is the mean of those that people meet. all: [items × stride],
// the twin's features first.
void impute_unmet(std::span<const float> counts, std::size_t twin, std::vector<double>& all) {
  const std::size_t stride = twin + feature::kPublic;
  std::vector<double> usual(twin, 0.0);
  double ratings = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double n = double{counts[i]};
    ratings += n;
    for (std::size_t k = 0; k < twin; ++k) usual[k] += n * all[i * stride + k];
  }
  for (double& x : usual) x /= std::max(1.0, ratings);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] < 1) std::ranges::copy(usual, all.data() + i * stride);
  }
}

}  // namespace

void Variational::apply_survey(ServerState& state, std::span<const std::vector<double>> sums) const {
  Mf::apply_survey(state, sums);
  if (!parameters_.twin) return;
  const std::vector<double>& counts = sums[survey_tensor::kCount];
  double events = 0;
  double squares = 0;
  double rated = 0;
  double logs = 0;
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    const double n = std::max(0.0, counts[i]);
    state.shared.tensors[2].values[i] = static_cast<float>(n);
    events += n;
    squares += n * n;
    if (n < 1) continue;
    rated += 1;
    logs += log_of_count(n);
  }
  const double devices = std::max(1.0, sums[tensor::kMoments][moment::kDevices]);
  const double ratings = std::max(1.0, sums[tensor::kMoments][moment::kRatings]);
  const double user_squares = std::max(0.0, sums[survey_tensor::kActivity][activity::kSquares]) *
                              static_cast<double>(shape_.contract.max_items_per_user);
  std::vector<float>& scale = state.shared.tensors[shared_tensor::kTwinScale].values;
  scale[twin_scale::kDevices] = static_cast<float>(devices);
  scale[twin_scale::kLambda] = static_cast<float>(
      twin_lambda(user_squares / ratings, squares / std::max(1.0, events), devices, static_cast<double>(shape_.items)));
  scale[twin_scale::kUserLog] =
      static_cast<float>(std::max(0.0, sums[survey_tensor::kActivity][activity::kLog]) / devices);
  scale[twin_scale::kItemLog] = static_cast<float>(logs / std::max(1.0, rated));
}

std::size_t Variational::item_feature_count() const noexcept {
  return features() + (parameters_.features ? feature::kPublic : 0);
}

std::vector<double> Variational::item_features(const TensorSet& shared) const {
  const TwinView twin = twin_of(shared);
  const std::vector<float>& counts = shared.tensors[2].values;
  const std::vector<double> known = standardised(public_, counts);
  std::vector<double> all;
  all.reserve(shape_.items * item_feature_count());
  std::vector<double> q(twin.rank);
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    const auto row = twin.factors.subspan(std::size_t{i} * twin.rank, twin.rank);
    std::ranges::copy(row, q.begin());
    const auto f = twin_features(q, double{twin.scale[twin_scale::kItemRms]}, double{counts[i]},
                                 double{twin.scale[twin_scale::kItemLog]});
    all.insert(all.end(), f.begin(), f.end());
    if (known.empty()) continue;
    const double* const said = known.data() + std::size_t{i} * kKnown + 1;
    all.insert(all.end(), said, said + feature::kPublic);
  }
  if (parameters_.features) impute_unmet(counts, features(), all);
  return all;
}

Status Variational::apply_training(ServerState& state, std::span<const std::vector<double>> sums) const {
  const std::size_t d = dimension();
  const std::uint64_t round = training_rounds(state.shared) + 1;
  ServerState next = state;
  std::vector<double>& momentum = next.hidden[std::string("momentum")];
  if (momentum.size() != std::size_t{shape_.items} * d) {
    return fail(ErrorCode::wrong_model, "the server state has not a momentum for every number of the factors");
  }
  std::vector<float>& prior_values = next.shared.tensors[shared_tensor::kPrior].values;
  std::vector<double> prior(prior_values.begin() + static_cast<std::ptrdiff_t>(d), prior_values.end());
  const std::vector<double> curvature = this->curvature(sums);
  const SharedCurvature metric(curvature, prior);

  // μ_i = B_I f_i, [items × D]
  std::vector<double> mean(std::size_t{shape_.items} * d, 0.0);
  if (parameters_.twin) {
    const std::size_t f = features();
    const std::size_t stride = item_feature_count();
    const std::vector<double> all = item_features(next.shared);
    const float* const map = next.shared.tensors[shared_tensor::kTwinMap].values.data() + d * f;
    const float* const more =
        parameters_.features ? next.shared.tensors[shared_tensor::kFeatureMap].values.data() : nullptr;
    for (std::uint32_t i = 0; i < shape_.items; ++i) {
      for (std::size_t row = 0; row < d; ++row) {
        double sum = 0;
        for (std::size_t k = 0; k < f; ++k) sum += double{map[row * f + k]} * all[i * stride + k];
        for (std::size_t k = f; k < stride; ++k) {
          sum += double{more[row * feature::kPublic + k - f]} * all[i * stride + k];
        }
        mean[i * d + row] = sum;
      }
    }
  }

  std::vector<double> step(d);
  std::vector<double> variance(d);
  std::vector<double> spread(d, 0.0);  // Σ over rated items of (w_ik − μ_ik)² + (M_i⁻¹)_kk σ²
  double rated = 0;
  const bool learns = parameters_.update == Update::vb;
  double noise = double{next.shared.tensors[shared_tensor::kNoise].values[0]};
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    const double n = std::max(0.0, sums[tensor::kCount][i]);
    const double* const gradient = sums[tensor::kGradient].data() + std::size_t{i} * d;
    float* const w = next.shared.tensors[0].values.data() + std::size_t{i} * d;
    double* const m = momentum.data() + std::size_t{i} * d;
    const double* const mu = mean.data() + std::size_t{i} * d;
    for (std::size_t k = 0; k < d; ++k) step[k] = gradient[k] - prior[k] * (double{w[k]} - mu[k]);
    metric.solve(n, step);
    bool finite = true;
    for (std::size_t k = 0; k < d && finite; ++k) {
      m[k] = parameters_.momentum * m[k] + step[k];
      w[k] = static_cast<float>(double{w[k]} + parameters_.rate * m[k]);
      finite = std::isfinite(m[k]) && std::isfinite(w[k]);
    }
    if (!finite) {
      return fail(ErrorCode::non_finite,
                  "the step of an item is not finite: its summed curvature is not positive, or its sums are too large",
                  fmt::format("item {}", i));
    }
    if (!learns || n < 1) continue;
    metric.inverse_diagonal(n, variance);
    rated += 1;
    for (std::size_t k = 0; k < d; ++k) {
      const double difference = double{w[k]} - mu[k];
      spread[k] += difference * difference + noise * variance[k];
    }
  }

  const double weight = sums[tensor::kWeight][0];
  const double devices = sums[tensor::kTrainMetrics][metric::kDevices];
  if (learns && round >= kRelevanceFrom && weight >= 1 && devices >= 1 && rated >= 1) {
    noise = std::clamp(sums[train_tensor::kNoise][0] / weight, kLeastNoise, kMostNoise);
    next.shared.tensors[shared_tensor::kNoise].values[0] = static_cast<float>(noise);
    const auto relevance = [noise](double sum, double count) {
      const double square = std::max(sum / count, 1e-12);
      return static_cast<float>(std::clamp(noise / square, kLeastLambda, kMostLambda));
    };
    for (std::size_t k = 0; k < d; ++k) {
      prior_values[k] = relevance(sums[train_tensor::kRelevance][k], devices);
      prior_values[d + k] = relevance(spread[k], rated);
      prior[k] = double{prior_values[d + k]};
    }
  }
  if (learns) {
    const SharedCurvature posterior(curvature, prior);
    std::vector<float>& values = next.shared.tensors[shared_tensor::kPosterior].values;
    std::ranges::copy(posterior.basis(), values.begin());
    std::ranges::copy(posterior.gamma(), values.begin() + static_cast<std::ptrdiff_t>(d * d));
    if (!std::ranges::all_of(values, [](float x) { return std::isfinite(x); })) {
      return fail(ErrorCode::non_finite, "the summed curvature is not a finite number");
    }
  }
  if (parameters_.twin) {
    if (twin_learns(round - 1)) {
      Tensor& factors = next.shared.tensors[shared_tensor::kTwinFactors];
      CHORUS_TRY_DO(twin_step({.counts = sums[tensor::kCount],
                               .gradient = sums[train_tensor::kTwinGradient],
                               .gram = sums[train_tensor::kTwinGram],
                               .weighted = sums[train_tensor::kTwinWeighted],
                               .weight = weight},
                              next.shared.tensors[shared_tensor::kTwinScale].values, parameters_.twin_rank,
                              factors.values, next.hidden[std::string(kTwinMomentum)]));
      next.shared.tensors[shared_tensor::kTwinGram].values = twin_gram(factors.values, parameters_.twin_rank);
    }
    count_round(next, sums[tensor::kCount]);
    learn_twin(next, sums);
  } else {
    count_round(next, sums[tensor::kCount]);
  }
  state = std::move(next);
  return {};
}

void Variational::learn_twin(ServerState& state, std::span<const std::vector<double>> sums) const {
  const std::uint64_t rounds = training_rounds(state.shared);
  const std::size_t d = dimension();
  const std::size_t f = features();
  const std::uint32_t k = parameters_.twin_rank;
  std::vector<float>& scale = state.shared.tensors[shared_tensor::kTwinScale].values;
  if (twin_learns(rounds - 1)) {
    double users = 0;
    for (std::size_t row = 0, packed = 0; row < k; packed += ++row + 1) users += sums[train_tensor::kTwinGram][packed];
    const double devices = std::max(1.0, sums[tensor::kTrainMetrics][metric::kDevices]);
    scale[twin_scale::kUserRms] = static_cast<float>(std::sqrt(std::max(0.0, users) / (devices * k)));
    double items = 0;
    const std::vector<float>& gram = state.shared.tensors[shared_tensor::kTwinGram].values;
    for (std::size_t row = 0; row < k; ++row) items += double{gram[row * k + row]};
    scale[twin_scale::kItemRms] = static_cast<float>(std::sqrt(items / (static_cast<double>(shape_.items) * k)));
  }
  if (rounds < kTwinMapFrom) return;
  std::span<float> map(state.shared.tensors[shared_tensor::kTwinMap].values);
  // A sum that cannot be (a hostile device) leaves the map of the round before.
  static_cast<void>(ridge_map(sums[train_tensor::kTwinFeatures], sums[train_tensor::kTwinMap], f, map.first(d * f)));
  // B_I: the same over the items that somebody rated.
  const std::size_t stride = item_feature_count();
  const std::vector<double> all = item_features(state.shared);
  std::vector<double> squares(stride * (stride + 1) / 2, 0.0);
  std::vector<double> products(d * stride, 0.0);
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    if (state.shared.tensors[2].values[i] < 1) continue;
    const double* const known = all.data() + i * stride;
    const float* const w = state.shared.tensors[0].values.data() + std::size_t{i} * d;
    std::size_t packed = 0;
    for (std::size_t row = 0; row < stride; ++row) {
      for (std::size_t column = 0; column <= row; ++column) squares[packed++] += known[row] * known[column];
    }
    for (std::size_t row = 0; row < d; ++row) {
      for (std::size_t c = 0; c < stride; ++c) products[row * stride + c] += double{w[row]} * known[c];
    }
  }
  if (!parameters_.features) {
    static_cast<void>(ridge_map(squares, products, f, map.subspan(d * f)));
    return;
  }
  std::vector<float> whole(d * stride);
  if (!ridge_map(squares, products, stride, whole)) return;
  std::vector<float>& more = state.shared.tensors[shared_tensor::kFeatureMap].values;
  for (std::size_t row = 0; row < d; ++row) {
    const float* const from = whole.data() + row * stride;
    std::copy_n(from, f, map.data() + (d + row) * f);
    std::copy_n(from + f, feature::kPublic, more.data() + row * feature::kPublic);
  }
}

}  // namespace chorus::model::mf
