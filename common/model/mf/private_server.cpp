// The coordinator's side: what the noisy answers say. Nothing here sees a person's data: it is post-processing.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/count_prior.hpp"
#include "common/model/elementary.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/mf/private.hpp"
#include "common/model/mf/private_state.hpp"
#include "common/model/small_matrix.hpp"

namespace chorus::model::mf {
namespace {

// Where the columns of f_i begin that are not public.
constexpr std::size_t kLogCount = 1 + feature::kPublic, kLogCountSquared = kLogCount + 1, kMean = kLogCount + 2;
// People rate what they expect to like: an average lies above the middle. A public constant, as good as any near it:
// what it misses is learned as the means' mean.
constexpr double kUsualMean = 0.645;  // of the scale
constexpr double kUnits = 4;          // of the scale: the recipe's constants are in fourths of it
constexpr double kBiasDeviation = 0.45;
constexpr int kMeanIterations = 20;
constexpr double kLeastEigenvalue = 0.05;  // of I + S

}  // namespace

ServerState Private::initial() const {
  const dataset::DataContract& contract = shape_.contract;
  const double range = double{contract.maximum} - double{contract.minimum};
  const auto columns = static_cast<std::uint32_t>(kK + 1);
  ServerState state;
  state.shared.tensors = {
      {.name = "item_factors", .rows = 0, .columns = columns, .values = {}},
      {.name = "scale",
       .rows = 1,
       .columns = 3,
       .values = {static_cast<float>(double{contract.minimum} + kUsualMean * range), static_cast<float>(range / kUnits),
                  0}},
      {.name = "popularity", .rows = 0, .columns = 1, .values = {}},
      {.name = "weight", .rows = 0, .columns = 1, .values = {}},
      {.name = "uncertainty", .rows = 0, .columns = 1, .values = {}},
      {.name = "emphasis", .rows = 1, .columns = static_cast<std::uint32_t>(recipe_.rank + 1), .values = {}}};
  std::vector<float>& emphasis = state.shared.tensors[private_tensor::kEmphasis].values;
  emphasis.assign(recipe_.rank + 1, 1);
  emphasis[0] = static_cast<float>(recipe_.bias_emphasis);
  std::vector<double>& taste = hidden(state, kTaste);
  taste.assign(kK * kK, 0);
  for (std::size_t k = 0; k < kK; ++k) taste[k * kK + k] = k == 0 ? kBiasDeviation : recipe_.prior;
  hidden(state, kStandard).assign(2 * kK, 0);
  hidden(state, kRegression).assign(kK, 0);
  hidden(state, kPeople).assign(1, 0);
  grow(state);
  return state;
}

void Private::grow(ServerState& state) const {
  std::vector<Tensor>& tensors = state.shared.tensors;
  const std::uint32_t from = tensors[private_tensor::kFactors].rows;
  CHORUS_ENSURE(from <= shape_.items, "a state grows under the model that made it");
  for (const std::size_t t :
       {private_tensor::kFactors, private_tensor::kPopularity, private_tensor::kWeight, private_tensor::kUncertainty}) {
    tensors[t].rows = shape_.items;
    tensors[t].values.resize(std::size_t{shape_.items} * tensors[t].columns, 0.0F);
  }
  hidden(state, kMass).resize(shape_.items, 0);
  hidden(state, kCountVariance).resize(shape_.items, 0);
  std::vector<double>& covariance = hidden(state, kCovariance);
  const std::size_t width = from == 0 || covariance.empty() ? 1 : covariance.size() / from;
  covariance.resize(std::size_t{shape_.items} * width, 0);

  // A new item is what its features say. Nothing is known of the counts, so its weight is that of the rarest.
  const std::vector<double>& standard = hidden(state, kStandard);
  const std::vector<double>& regression = hidden(state, kRegression);
  const std::vector<double>& taste = hidden(state, kTaste);
  const std::vector<double> known = public_features(options_.features ? shape_.catalogue.get() : nullptr, shape_.items);
  const float weight = static_cast<float>(power(kLeastCount, -recipe_.weight_power));
  for (std::uint32_t i = from; i < shape_.items; ++i) {
    tensors[private_tensor::kWeight].values[i] = training_rounds(state.shared) == 0 ? 1 : weight;
    tensors[private_tensor::kUncertainty].values[i] = static_cast<float>(recipe_.noise);
    std::vector<double> f(kK, 0);
    f[0] = 1;
    for (std::size_t k = 0; k < feature::kPublic; ++k) {
      const double deviation = standard[kK + 1 + k];
      if (!(deviation > 0)) continue;
      f[1 + k] = std::clamp((known[std::size_t{i} * feature::kPublic + k] - standard[1 + k]) / deviation,
                            -kMostDeviations, kMostDeviations);
    }
    float* const row = tensors[private_tensor::kFactors].values.data() + std::size_t{i} * (kK + 1);
    double mean = 0;
    for (std::size_t k = 0; k < kK; ++k) mean += regression[k] * f[k];
    row[0] = static_cast<float>(mean);
    if (from == 0) continue;  // nothing is known yet, and everybody's factor is zero
    for (std::size_t k = 0; k < kK; ++k) {
      double sum = 0;
      for (std::size_t l = 0; l < kK; ++l) sum += taste[l * kK + k] * f[l];
      row[1 + k] = static_cast<float>(sum);
    }
  }
}

std::vector<double> Private::features(ServerState& state, bool with_means) const {
  const std::size_t m = shape_.items;
  const std::vector<float>& counts = state.shared.tensors[private_tensor::kPopularity].values;
  const std::vector<float>& factors = state.shared.tensors[private_tensor::kFactors].values;
  const std::vector<double> known = public_features(options_.features ? shape_.catalogue.get() : nullptr, m);
  std::vector<double> f(m * kK, 0);
  for (std::size_t i = 0; i < m; ++i) {
    double* const row = f.data() + i * kK;
    row[0] = 1;
    std::copy_n(known.data() + i * feature::kPublic, feature::kPublic, row + 1);
    row[kLogCount] = natural_logarithm(double{counts[i]} + 0.5);
    row[kLogCountSquared] = row[kLogCount] * row[kLogCount];
    if (with_means) row[kMean] = double{factors[i * (kK + 1)]};
  }
  standardise(f, kK, counts, hidden(state, kStandard));
  return f;
}

// x_i = Lᵀ f_i, turned so that the directions in which the items differ most come first.
void Private::place_items(ServerState& state, const std::vector<double>& f) const {
  const std::size_t m = shape_.items;
  std::vector<double>& taste = hidden(state, kTaste);
  const std::vector<float>& counts = state.shared.tensors[private_tensor::kPopularity].values;
  std::vector<double> x = product(f, taste, m, kK, kK);
  std::vector<double> mean(kK, 0);
  double total = 0;
  for (std::size_t i = 0; i < m; ++i) {
    total += double{counts[i]};
    for (std::size_t k = 0; k < kK; ++k) mean[k] += double{counts[i]} * x[i * kK + k];
  }
  SmallMatrix spread(kK * kK, 0);
  if (total > 0) {
    for (double& value : mean) value /= total;
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t k = 0; k < kK; ++k) {
        const double away = double{counts[i]} * (x[i * kK + k] - mean[k]) / total;
        for (std::size_t l = 0; l < kK; ++l) spread[k * kK + l] += away * (x[i * kK + l] - mean[l]);
      }
    }
  }
  const SymmetricEigen turn = descending(spread, kK);
  x = product(x, turn.vectors, m, kK, kK);
  taste = product(taste, turn.vectors, kK, kK, kK);
  std::vector<float>& factors = state.shared.tensors[private_tensor::kFactors].values;
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t k = 0; k < kK; ++k) factors[i * (kK + 1) + 1 + k] = static_cast<float>(x[i * kK + k]);
  }
  std::vector<float>& emphasis = state.shared.tensors[private_tensor::kEmphasis].values;
  for (std::size_t k = 0; k < recipe_.rank; ++k) {
    const double ratio = turn.values[0] > 0 ? std::max(turn.values[k] / turn.values[0], 1e-6) : 1;
    emphasis[k + 1] = static_cast<float>(recipe_.emphasis_power == 0 ? 1 : power(ratio, recipe_.emphasis_power));
  }
}

Status Private::step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                     std::uint64_t contributors) const {
  CHORUS_TRY_DO(check_shared(state.shared));
  CHORUS_ENSURE(purpose != plan::Purpose::measure, "a measuring round has no server step");
  const AskedQuestion* const question = questions_.of(purpose, training_rounds(state.shared));
  if (question == nullptr) return questions_.all_asked();
  CHORUS_TRY_DO(check_sums(question->layout, sums));
  ServerState next = state;
  switch (steps_[question->number].question) {
    case Question::counts:
      apply_counts(next, sums, *question, contributors);
      break;
    case Question::means:
      apply_means(next, sums, *question, contributors);
      break;
    case Question::taste:
      apply_taste(next, sums, *question, contributors);
      break;
    case Question::residuals:
      apply_residuals(next, sums, *question, contributors);
      break;
  }
  if (purpose == plan::Purpose::train) next.shared.tensors[private_tensor::kScale].values[2] += 1;
  const Status sound = check_shared(next.shared);
  if (!sound) return fail(ErrorCode::non_finite, sound.error().sentence(), sound.error().where());
  state = std::move(next);
  return {};
}

void Private::apply_counts(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                           std::uint64_t contributors) const {
  hidden(state, kPeople)[0] = std::max(sums[1][0] / kDeviceMark, 1.0);
  Denoised counts = denoise_counts(sums[0], questions_.deviation(asked, 0, contributors));
  std::vector<float>& popularity = state.shared.tensors[private_tensor::kPopularity].values;
  std::vector<float>& weight = state.shared.tensors[private_tensor::kWeight].values;
  for (std::size_t i = 0; i < shape_.items; ++i) {
    popularity[i] = static_cast<float>(counts.mean[i]);
    weight[i] = static_cast<float>(power(std::max(counts.mean[i], kLeastCount), -recipe_.weight_power));
  }
  hidden(state, kCountVariance) = std::move(counts.variance);
}

void Private::apply_means(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                          std::uint64_t contributors) const {
  const std::size_t m = shape_.items;
  const double noise = questions_.deviation(asked, 0, contributors);
  const double alpha = recipe_.count_part;
  const double beta = std::sqrt(1 - alpha * alpha) / recipe_.mean_clip;
  const std::vector<float>& counts = state.shared.tensors[private_tensor::kPopularity].values;
  const std::vector<float>& weight = state.shared.tensors[private_tensor::kWeight].values;
  const std::vector<double>& count_variance = hidden(state, kCountVariance);

  // D_i twice: from this answer, and from the counts, as h_i D̂_i^(1 + b) times a constant that fit it.
  const double asked_variance = noise * noise / (alpha * alpha);
  std::vector<double> answered(m);
  for (std::size_t i = 0; i < m; ++i) answered[i] = sums[0][2 * i] / alpha;
  std::vector<double>& mass = hidden(state, kMass);
  mass = answered;
  if (asked_variance > 0) {
    double best = 0;
    double best_factor = 0;
    double best_power = 0;
    for (int step = -15; step <= 15; ++step) {
      const double b = 0.02 * step;
      double top = 0;
      double bottom = 0;
      double squares = 0;
      for (std::size_t i = 0; i < m; ++i) {
        const double guess = double{weight[i]} * power(std::max(double{counts[i]}, 1e-3), 1 + b);
        const double trust = 1 / (asked_variance + 0.01 * answered[i] * answered[i]);
        top += trust * answered[i] * guess;
        bottom += trust * guess * guess;
        squares += trust * answered[i] * answered[i];
      }
      const double gain = bottom > 0 ? top * top / bottom : 0;  // what the fit explains of `squares`
      if (step == -15 || gain > best) {
        best = gain;
        best_factor = bottom > 0 ? top / bottom : 0;
        best_power = b;
      }
    }
    constexpr double kModelError = 0.05;  // relative
    for (std::size_t i = 0; i < m; ++i) {
      const double count = std::max(double{counts[i]}, 1e-3);
      const double guess = best_factor * double{weight[i]} * power(count, 1 + best_power);
      const double slope = (1 + best_power) * guess / count;
      const double variance = count_variance[i] * slope * slope + kModelError * kModelError * guess * guess + 1e-12;
      mass[i] = (answered[i] / asked_variance + guess / variance) / (1 / asked_variance + 1 / variance);
    }
  }
  for (double& d : mass) d = std::max(d, 0.0);

  // S_i = D_i c_i + N(0, ν_i), c_i ~ N(f_iᵀγ, τ²): γ by ridge and τ² by expectation-maximisation.
  const std::vector<double> f = features(state, false);
  std::vector<double> answer(m);
  std::vector<double> nu(m);
  for (std::size_t i = 0; i < m; ++i) {
    answer[i] = sums[0][2 * i + 1] / beta;
    nu[i] = noise * noise / (beta * beta) + recipe_.noise * recipe_.weight_noise * mass[i] + 1e-12;
  }
  std::vector<double>& gamma = hidden(state, kRegression);
  double tau = 0.1;
  std::vector<double> mean(m);
  std::vector<double> variance(m);
  for (int iteration = 0; iteration < kMeanIterations; ++iteration) {
    SmallMatrix normal(kK * kK, 0);
    std::vector<double> right(kK, 0);
    for (std::size_t i = 0; i < m; ++i) {
      if (withheld(counts[i])) continue;
      const double* const row = f.data() + i * kK;
      const double trust = 1 / (tau * mass[i] * mass[i] + nu[i]);
      for (std::size_t k = 0; k < kK; ++k) {
        if (row[k] == 0) continue;
        const double x = row[k] * trust * mass[i];
        right[k] += x * answer[i];
        for (std::size_t l = k; l < kK; ++l) normal[k * kK + l] += x * mass[i] * row[l];
      }
    }
    for (std::size_t k = 0; k < kK; ++k) normal[k * kK + k] += k == 0 ? 1e-3 : 4;
    gamma = right;
    // Numbers so large that rounding breaks the matrix say nothing: the prior is then zero.
    if (cholesky(normal.data(), kK, kK)) {
      cholesky_solve(normal.data(), kK, kK, gamma.data());
    } else {
      std::ranges::fill(gamma, 0);
    }
    double sum = 0;
    double told = 0;
    for (std::size_t i = 0; i < m; ++i) {
      double prior = 0;
      for (std::size_t k = 0; k < kK; ++k) prior += f[i * kK + k] * gamma[k];
      const double below = tau * mass[i] * mass[i] + nu[i];
      const double away = tau * mass[i] * (answer[i] - mass[i] * prior) / below;
      mean[i] = prior + away;
      variance[i] = tau * nu[i] / below;
      if (withheld(counts[i])) continue;
      sum += away * away + variance[i];
      told += 1;
    }
    if (told > 0) tau = std::max(sum / told, 1e-4);
  }
  std::vector<float>& factors = state.shared.tensors[private_tensor::kFactors].values;
  std::vector<float>& uncertainty = state.shared.tensors[private_tensor::kUncertainty].values;
  for (std::size_t i = 0; i < m; ++i) {
    if (withheld(counts[i])) {  // what the features say, and no more
      double prior = 0;
      for (std::size_t k = 0; k < kK; ++k) prior += f[i * kK + k] * gamma[k];
      mean[i] = prior;
      variance[i] = tau;
    }
    factors[i * (kK + 1)] = static_cast<float>(mean[i]);
    uncertainty[i] = static_cast<float>(recipe_.noise + variance[i]);
  }
  hidden(state, kCovariance) = std::move(variance);
  place_items(state, features(state, true));
}

void Private::apply_taste(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                          std::uint64_t contributors) const {
  const double people = hidden(state, kPeople)[0];
  const double noise = recipe_.taste_rate * questions_.deviation(asked, 0, contributors) / people;
  SmallMatrix s = symmetric(sums[0], kK);
  for (double& x : s) x *= recipe_.taste_rate / people;
  // Directions in which no item has a feature hold noise alone.
  std::vector<double>& taste = hidden(state, kTaste);
  SymmetricEigen eigen = descending(s, kK);
  const double threshold = recipe_.taste_threshold * noise * std::sqrt(2.0 * kK);
  for (double& value : eigen.values) {
    if (value > 0) value = std::max(value - threshold, 0.0);
    value = std::sqrt(std::max(1 + value, kLeastEigenvalue));
  }
  taste = product(taste, from_eigen(eigen.vectors, eigen.values, kK), kK, kK, kK);
  place_items(state, features(state, true));
}

}  // namespace chorus::model::mf
