// The coordinator's side: initial factors, survey, server step, metrics.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/event_sums.hpp"
#include "common/model/ials/ials.hpp"
#include "common/model/ials/trial.hpp"
#include "common/model/initial_factors.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/symmetric_eigen.hpp"

namespace chorus::model::ials {
namespace {

constexpr std::string_view kMomentum = "momentum";
// Decayed sums, in rounds of some of the people.
constexpr std::string_view kTargets = "targets";  // [items × d]
constexpr std::string_view kEvents = "events";    // [items]
constexpr std::string_view kGrams = "grams";      // [d × d]
constexpr std::string_view kDevices = "devices";  // [1]
// λ until the survey, and the bounds of what a survey may say.
constexpr double kUnsurveyedLambda = 0.01;
constexpr double kLeastLambda = 1e-4;
constexpr double kMostLambda = 1;
// λ = .65 (√s_U + √s_I) / √(N m), s the mean number of events that the user or the item of an event has. Chosen on
// validation events of three sets, from 50 to 165 events a user, whose best factors lie between .5 and 1.
constexpr double kLambdaFactor = 0.65;

// out = Uᵀ x for U [d × d] row-major.
void times_transposed(const std::vector<double>& u, std::span<const double> x, std::span<double> out) {
  const std::size_t d = x.size();
  std::ranges::fill(out, 0.0);
  for (std::size_t j = 0; j < d; ++j) {
    for (std::size_t k = 0; k < d; ++k) out[k] += u[j * d + k] * x[j];
  }
}

std::vector<double> transposed(const std::vector<double>& u, std::size_t d) {
  std::vector<double> t(d * d);
  for (std::size_t j = 0; j < d; ++j) {
    for (std::size_t k = 0; k < d; ++k) t[k * d + j] = u[j * d + k];
  }
  return t;
}

// sum = decay · sum + now
void carry(std::vector<double>& sum, double decay, std::span<const double> now) {
  for (std::size_t k = 0; k < sum.size(); ++k) sum[k] = decay * sum[k] + now[k];
}

// From the lower triangle by rows.
std::vector<double> unpacked(std::span<const double> packed, std::size_t d) {
  std::vector<double> full(d * d);
  for (std::size_t row = 0, at = 0; row < d; ++row) {
    for (std::size_t column = 0; column <= row; ++column, ++at) {
      full[row * d + column] = full[column * d + row] = packed[at];
    }
  }
  return full;
}

}  // namespace

ServerState Ials::initial() const {
  const auto d = static_cast<std::uint32_t>(dimension());
  const auto lambda = static_cast<float>(parameters_.lambda.value_or(kUnsurveyedLambda));
  ServerState state;
  state.shared.tensors = {{.name = "item_factors", .rows = 0, .columns = d, .values = {}},
                          {.name = "gram", .rows = d, .columns = d, .values = {}},
                          {.name = "scale", .rows = 1, .columns = scale::kSize, .values = {lambda, 0, 0, 0}},
                          {.name = "popularity", .rows = 0, .columns = 1, .values = {}}};
  append_rows(state, 0);
  return state;
}

void Ials::grow(ServerState& state) const {
  const Tensor* factors = state.shared.find("item_factors");
  CHORUS_ENSURE(factors != nullptr && factors->columns == dimension() && factors->rows <= shape_.items,
                "a state grows under the model that made it");
  append_rows(state, factors->rows);
}

std::vector<std::pair<std::string_view, std::size_t>> Ials::hidden_sizes() const {
  const std::size_t d = dimension();
  const std::size_t numbers = std::size_t{shape_.items} * d;
  if (parameters_.participation >= 1) return {{kMomentum, numbers}};
  return {{kMomentum, numbers}, {kTargets, numbers}, {kEvents, shape_.items}, {kGrams, d * d}, {kDevices, 1}};
}

Status Ials::check_hidden(const ServerState& state) const {
  for (const auto& [name, size] : hidden_sizes()) {
    const auto held = state.hidden.find(std::string(name));
    if (held == state.hidden.end() || held->second.size() != size) {
      return fail(ErrorCode::wrong_model, fmt::format("the server state needs {} numbers of {}", size, name));
    }
  }
  return {};
}

void Ials::append_rows(ServerState& state, std::uint32_t from) const {
  const std::size_t d = dimension();
  Tensor& factors = state.shared.tensors[shared_tensor::kFactors];
  Tensor& popularity = state.shared.tensors[shared_tensor::kPopularity];
  factors.rows = popularity.rows = shape_.items;
  factors.values.resize(std::size_t{shape_.items} * d, 0.0F);
  popularity.values.resize(shape_.items, 0.0F);
  for (const auto& [name, size] : hidden_sizes()) state.hidden[std::string(name)].resize(size, 0.0);
  fill_initial_factors(
      "ials", parameters_.seed, parameters_.initial_scale / std::sqrt(static_cast<double>(d)),
      {.from = from, .rows = shape_.items, .stride = parameters_.rank, .first = 0, .columns = parameters_.rank},
      factors.values);
  write_gram(state.shared);
}

void Ials::write_gram(TensorSet& shared) const {
  const std::size_t d = dimension();
  const std::vector<float>& factors = shared.tensors[shared_tensor::kFactors].values;
  std::vector<double> gram(d * d, 0.0);
  std::vector<double> q(d);
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    for (std::size_t k = 0; k < d; ++k) q[k] = double{factors[std::size_t{i} * d + k]};
    for (std::size_t row = 0; row < d; ++row) {
      for (std::size_t column = 0; column < d; ++column) gram[row * d + column] += q[row] * q[column];
    }
  }
  std::vector<float>& out = shared.tensors[shared_tensor::kGram].values;
  out.resize(d * d);
  std::ranges::transform(gram, out.begin(), [](double x) { return static_cast<float>(x); });
}

Status Ials::step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                  std::uint64_t /*contributors*/) const {
  CHORUS_ENSURE(purpose != plan::Purpose::measure, "a measuring round has no server step");
  CHORUS_TRY_DO(check_shared(state.shared));
  CHORUS_TRY_DO(check_sums(purpose == plan::Purpose::survey ? layouts_.survey : layouts_.train, sums));
  if (purpose == plan::Purpose::train) return apply_training(state, sums);
  apply_survey(state, sums);
  return {};
}

void Ials::apply_survey(ServerState& state, std::span<const std::vector<double>> sums) const {
  const double devices = sums[tensor::kTotals][total::kDevices];
  const double events = sums[tensor::kTotals][total::kEvents];
  if (parameters_.lambda || devices < 1 || events < 1) return;
  // The mean number of events that the user, or the item, of an event has.
  const double of_users =
      std::max(0.0, sums[tensor::kSquares][0]) * static_cast<double>(shape_.contract.max_items_per_user) / events;
  double squares = 0;
  for (const double n : sums[tensor::kSurveyCount]) squares += n * n;
  // A share ρ of the people is asked, and what is kept of the rounds grows to all of them. Of n events of an item ρn
  // are among a share's, give or take: Σ n² of a share is ρ² Σ n² + ρ (1 − ρ) Σ n.
  const double share = parameters_.participation;
  const double of_items = std::max(1.0, (squares / events - (1 - share)) / share);
  const double lambda = kLambdaFactor * (std::sqrt(of_users) + std::sqrt(of_items)) /
                        std::sqrt(devices / share * static_cast<double>(shape_.items));
  std::vector<float>& said = state.shared.tensors[shared_tensor::kScale].values;
  said[scale::kLambda] = static_cast<float>(std::clamp(lambda, kLeastLambda, kMostLambda));
  if (said[scale::kRounds] < 1 && events < trial::kSparse * devices) {
    said[scale::kMode] = static_cast<float>(Mode::trial);
  }
}

Status Ials::apply_training(ServerState& state, std::span<const std::vector<double>> sums) const {
  const std::size_t d = dimension();
  CHORUS_TRY_DO(check_hidden(state));
  std::vector<float>& before_it = state.shared.tensors[shared_tensor::kScale].values;
  const double lambda = double{before_it[scale::kLambda]};
  const double now = sums[tensor::kTrainMetrics][event_metric::kDevices];
  if (now < 1) {  // nobody had an event: nothing is known about any item
    before_it[scale::kRounds] += 1;
    return {};
  }
  // The sums of this round, or of this and what is left of earlier ones. A sum of p pᵀ has no negative eigenvalue but
  // by rounding: P = U diag(γ) Uᵀ.
  const std::vector<double> gram = unpacked(sums[tensor::kGram], d);
  auto hidden = state.hidden;
  std::vector<double> events(shape_.items);
  std::ranges::transform(sums[tensor::kCount], events.begin(), [](double n) { return std::max(0.0, n); });
  std::vector<double> grams = gram;
  double devices = now;
  const bool partial = parameters_.participation < 1;
  const double decay = 1 - parameters_.participation;
  if (partial) {
    carry(hidden[std::string(kEvents)], decay, events);
    carry(hidden[std::string(kGrams)], decay, gram);
    carry(hidden[std::string(kDevices)], decay, {&now, 1});
    grams = hidden[std::string(kGrams)];
    devices = hidden[std::string(kDevices)][0];
  }
  SymmetricEigen eigen = symmetric_eigen(grams, d);
  for (double& gamma : eigen.values) gamma = std::max(0.0, gamma);
  const std::vector<double> back = transposed(eigen.vectors, d);

  TensorSet shared = state.shared;
  std::vector<float>& factors = shared.tensors[shared_tensor::kFactors].values;
  std::vector<float>& popularity = shared.tensors[shared_tensor::kPopularity].values;
  std::vector<double>& momentum = hidden[std::string(kMomentum)];
  std::vector<double> carried = partial ? std::move(hidden[std::string(kTargets)]) : std::vector<double>();
  const std::vector<double> all_events = partial ? hidden[std::string(kEvents)] : events;
  std::vector<double> before(d);
  std::vector<double> rotated(d);
  std::vector<double> step(d);
  std::vector<double> target(d);
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    const double all = all_events[i];
    const double ridge = weighted(lambda, all, devices);
    float* const q = factors.data() + std::size_t{i} * d;
    double* const m = momentum.data() + std::size_t{i} * d;
    const double* const gradient = sums[tensor::kGradient].data() + std::size_t{i} * d;
    for (std::size_t k = 0; k < d; ++k) step[k] = double{q[k]};
    times_transposed(eigen.vectors, step, before);
    double curvature = parameters_.alpha;  // of what is taken from the target below, times P
    if (partial) {
      // S_i = Σ decay (G_i + (n_i / N) P q_i): the step goes to where S_i − ((α + n_i / N) P + λ_i) q is zero.
      times_transposed(gram, step, target);
      double* const targets = carried.data() + std::size_t{i} * d;
      for (std::size_t k = 0; k < d; ++k) {
        targets[k] = decay * targets[k] + gradient[k] + events[i] / now * target[k];
        target[k] = targets[k];
      }
      curvature += all / devices;
    } else {
      std::copy_n(gradient, d, target.begin());
    }
    times_transposed(eigen.vectors, target, rotated);
    // In the basis U: M⁻¹ (G − (αγ + λ_i) q), M = (α + n_i/N) γ + λ_i.
    for (std::size_t k = 0; k < d; ++k) {
      const double descent = rotated[k] - (curvature * eigen.values[k] + ridge) * before[k];
      rotated[k] = descent / ((parameters_.alpha + all / devices) * eigen.values[k] + ridge);
    }
    times_transposed(back, rotated, step);
    bool finite = true;
    for (std::size_t k = 0; k < d && finite; ++k) {
      m[k] = parameters_.momentum * m[k] + step[k];
      q[k] = static_cast<float>(double{q[k]} + parameters_.rate * m[k]);
      finite = std::isfinite(m[k]) && std::isfinite(q[k]);
    }
    if (!finite) {
      return fail(ErrorCode::non_finite, "the step of an item is not finite: its sums are too large",
                  fmt::format("item {}", i));
    }
    popularity[i] = static_cast<float>(all);
  }
  write_gram(shared);
  const std::vector<float>& published = shared.tensors[shared_tensor::kGram].values;
  if (std::ranges::any_of(published, [](float x) { return !std::isfinite(x); })) {
    return fail(ErrorCode::non_finite, "the items' Gram matrix is not finite: the sums are too large");
  }
  std::vector<float>& said = shared.tensors[shared_tensor::kScale].values;
  said[scale::kRounds] += 1;
  said[scale::kDevices] = static_cast<float>(devices);
  if (mode_of(shared) == Mode::trial && training_rounds(shared) >= trial::kRounds) {
    const std::size_t best = trial::best_candidate(sums[tensor::kTrial]);
    said[scale::kMode] = static_cast<float>(best == trial::kPopularity ? Mode::popularity : Mode::model);
    if (best != trial::kPopularity) said[scale::kLambda] *= static_cast<float>(trial::kMultiples[best]);
  }
  state.shared = std::move(shared);
  if (partial) hidden[std::string(kTargets)] = std::move(carried);
  state.hidden = std::move(hidden);
  return {};
}

Quality Ials::quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const {
  if (purpose == plan::Purpose::survey) return {};
  return read_event_quality(sums[purpose == plan::Purpose::train ? tensor::kTrainMetrics : tensor::kMeasureMetrics]);
}

}  // namespace chorus::model::ials
