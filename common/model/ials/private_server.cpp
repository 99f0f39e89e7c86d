// The coordinator's side: what the noisy answers say. Nothing here sees a person's data: it is post-processing.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/count_prior.hpp"
#include "common/model/elementary.hpp"
#include "common/model/ials/private.hpp"
#include "common/model/initial_factors.hpp"
#include "common/model/small_matrix.hpp"
#include "common/model/symmetric_eigen.hpp"

namespace chorus::model::ials {
namespace {

constexpr std::size_t kK = kPrivateFeatures;
constexpr std::size_t kLogCount = 1 + feature::kPublic, kLogCountSquared = kLogCount + 1;
constexpr double kInitialScale = 0.3;
constexpr double kWeightPower = 0.15;  // a: an item's weight falls with its count to this power
constexpr double kLeastCount = 0.3;    // below it weights grow no more, and what was said of the item is withheld
constexpr double kLambdaFactor = 0.65;
constexpr double kSpreadOfEvents = 2;  // Σ n_u² / Σ n_u over the mean: people differ
constexpr double kUnsurveyedLambda = 0.01, kLeastLambda = 1e-4, kMostLambda = 1;
constexpr double kLeastLength = 1e-3;
constexpr int kIterations = 8;

// Names of the hidden state.
constexpr const char* kEvents = "events";  // of a person, on average; [1]
constexpr const char* kRoots = "roots";    // Σ n_u / Σ √n_u, over the people; [1]
constexpr const char* kMeans = "means";    // of the factors of an item's people, after the last answer; [items × d]

}  // namespace

ServerState Private::initial() const {
  const std::uint32_t d = options_.rank;
  ServerState state;
  state.shared.tensors = {{.name = "item_factors", .rows = 0, .columns = d, .values = {}},
                          {.name = "gram", .rows = d, .columns = d, .values = {}},
                          {.name = "scale",
                           .rows = 1,
                           .columns = private_scale::kSize,
                           .values = {static_cast<float>(options_.lambda.value_or(kUnsurveyedLambda)), 0, 0, 1}},
                          {.name = "popularity", .rows = 0, .columns = 1, .values = {}},
                          {.name = "weight", .rows = 0, .columns = 1, .values = {}}};
  state.hidden[kEvents].assign(1, 0);
  state.hidden[kRoots].assign(1, 1);
  grow(state);
  return state;
}

void Private::grow(ServerState& state) const {
  std::vector<Tensor>& tensors = state.shared.tensors;
  Tensor& factors = tensors[private_tensor::kFactors];
  const std::uint32_t from = factors.rows;
  CHORUS_ENSURE(from <= shape_.items, "a state grows under the model that made it");
  for (const std::size_t t : {private_tensor::kFactors, private_tensor::kPopularity, private_tensor::kWeight}) {
    tensors[t].rows = shape_.items;
    tensors[t].values.resize(std::size_t{shape_.items} * tensors[t].columns, 0.0F);
  }
  std::fill(tensors[private_tensor::kWeight].values.begin() + from, tensors[private_tensor::kWeight].values.end(),
            from == 0 ? 1.0F : static_cast<float>(power(kLeastCount, -kWeightPower)));
  state.hidden[kMeans].resize(std::size_t{shape_.items} * options_.rank, 0);
  // Once the model has learned, nothing is known of a new item: nobody is recommended it.
  if (training_rounds(state.shared) == 0) {
    fill_initial_factors(
        "ials", options_.seed, kInitialScale / std::sqrt(static_cast<double>(options_.rank)),
        {.from = from, .rows = shape_.items, .stride = options_.rank, .first = 0, .columns = options_.rank},
        factors.values);
  }
  write_gram(state.shared);
}

void Private::write_gram(TensorSet& shared) const {
  const std::size_t d = options_.rank;
  const std::vector<float>& factors = shared.tensors[private_tensor::kFactors].values;
  std::vector<double> gram(d * d, 0.0);
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    const float* const q = factors.data() + std::size_t{i} * d;
    for (std::size_t row = 0; row < d; ++row) {
      for (std::size_t column = 0; column < d; ++column) gram[row * d + column] += double{q[row]} * double{q[column]};
    }
  }
  std::vector<float>& out = shared.tensors[private_tensor::kGram].values;
  out.resize(d * d);
  std::ranges::transform(gram, out.begin(), [](double x) { return static_cast<float>(x); });
}

// A person with the mean number of events, drawn by popularity: p = A⁻¹ Σ q, whose second moment is that of its mean
// and of n draws.
void Private::expect_length(ServerState& state) const {
  const std::size_t d = options_.rank;
  const double n = std::max(1.0, state.hidden[kEvents][0]);
  const std::vector<float>& factors = state.shared.tensors[private_tensor::kFactors].values;
  const std::vector<float>& popularity = state.shared.tensors[private_tensor::kPopularity].values;
  std::vector<double> mean(d, 0);
  std::vector<double> second(d * d, 0);
  double total = 0;
  for (std::uint32_t i = 0; i < shape_.items; ++i) {
    const float* const q = factors.data() + std::size_t{i} * d;
    const double share = double{popularity[i]};
    total += share;
    for (std::size_t k = 0; k < d; ++k) {
      mean[k] += share * double{q[k]};
      for (std::size_t l = 0; l < d; ++l) second[k * d + l] += share * double{q[k]} * double{q[l]};
    }
  }
  if (!(total > 0)) return;
  Ridge ridge(d, 1);
  std::vector<double> curvature(d * d);
  const std::vector<float>& gram = state.shared.tensors[private_tensor::kGram].values;
  for (std::size_t k = 0; k < d * d; ++k) {
    second[k] /= total;
    curvature[k] = options_.alpha * double{gram[k]} + n * second[k];
  }
  for (double& x : mean) x *= n / total;
  ridge.factorise(std::vector<double>(d, weighted(state.shared, n, static_cast<double>(shape_.items))), curvature);
  const crypto::ZeroizingVector<double> p = ridge.solution(mean);
  double squared = 0;
  for (const double x : p) squared += x * x;
  // tr(A⁻¹ n Cov A⁻¹): column by column.
  for (std::size_t k = 0; k < d; ++k) {
    std::vector<double> column(d);
    for (std::size_t l = 0; l < d; ++l) column[l] = n * (second[l * d + k] - mean[l] / n * mean[k] / n);
    ridge.solve(column);
    ridge.solve(column);
    squared += std::max(0.0, column[k]);
  }
  state.shared.tensors[private_tensor::kScale].values[private_scale::kLength] =
      static_cast<float>(std::max(kLeastLength, std::sqrt(squared)));
}

Status Private::step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                     std::uint64_t contributors) const {
  CHORUS_TRY_DO(check_shared(state.shared));
  CHORUS_ENSURE(purpose != plan::Purpose::measure, "a measuring round has no server step");
  const AskedQuestion* const question = questions_.of(purpose, training_rounds(state.shared));
  if (question == nullptr) return questions_.all_asked();
  CHORUS_TRY_DO(check_sums(question->layout, sums));
  ServerState next = state;
  if (question->number == 0) {
    apply_counts(next, sums, *question, contributors);
  } else {
    apply_tastes(next, sums, *question, contributors);
    next.shared.tensors[private_tensor::kScale].values[private_scale::kRounds] += 1;
  }
  write_gram(next.shared);
  expect_length(next);
  const Status sound = check_shared(next.shared);
  if (!sound) return fail(ErrorCode::non_finite, sound.error().sentence(), sound.error().where());
  state = std::move(next);
  return {};
}

void Private::apply_counts(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                           std::uint64_t contributors) const {
  const double devices = std::max(1.0, sums[1][0] / kDeviceMark);
  const double events = std::clamp(sums[1][1] / kDeviceMark * kMostEvents, devices, devices * kMostEvents);
  const Denoised counts = denoise_counts(sums[0], questions_.deviation(asked, 0, contributors));
  std::vector<float>& popularity = state.shared.tensors[private_tensor::kPopularity].values;
  std::vector<float>& weight = state.shared.tensors[private_tensor::kWeight].values;
  double total = 0;
  for (const double count : counts.mean) total += count;
  // What is said is 1/√n_u for n_u: all of them together are known.
  const double factor = total > 0 ? events / total : 1;
  double squares = 0;
  for (std::size_t i = 0; i < shape_.items; ++i) {
    const double n = counts.mean[i] < kLeastCount ? 0 : factor * counts.mean[i];
    popularity[i] = static_cast<float>(n);
    weight[i] = static_cast<float>(power(std::max(counts.mean[i], kLeastCount), -kWeightPower));
    squares += n * n;
  }
  std::vector<float>& said = state.shared.tensors[private_tensor::kScale].values;
  said[private_scale::kDevices] = static_cast<float>(devices);
  state.hidden[kEvents][0] = events / devices;
  state.hidden[kRoots][0] = factor;
  if (options_.lambda) return;
  const double of_users = kSpreadOfEvents * events / devices;
  const double of_items = std::max(1.0, squares / events);
  const double lambda = kLambdaFactor * (std::sqrt(of_users) + std::sqrt(of_items)) /
                        std::sqrt(devices * static_cast<double>(shape_.items));
  said[private_scale::kLambda] = static_cast<float>(std::clamp(lambda, kLeastLambda, kMostLambda));
}

void Private::apply_tastes(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                           std::uint64_t contributors) const {
  const std::size_t d = options_.rank;
  const std::size_t m = shape_.items;
  std::vector<float>& factors = state.shared.tensors[private_tensor::kFactors].values;
  const std::vector<float>& popularity = state.shared.tensors[private_tensor::kPopularity].values;
  const std::vector<float>& weight = state.shared.tensors[private_tensor::kWeight].values;
  const std::vector<float>& said = state.shared.tensors[private_tensor::kScale].values;
  const double length = double{said[private_scale::kLength]};
  const double devices = double{said[private_scale::kDevices]};
  const double noise = questions_.deviation(asked, 0, contributors);

  // P = U diag(γ) Uᵀ; what noise alone would make of an eigenvalue is its floor.
  SmallMatrix gram = symmetric(sums[1], d);
  for (double& x : gram) x *= length * length;
  SymmetricEigen eigen = symmetric_eigen(gram, d);
  const double floor =
      length * length * questions_.deviation(asked, 1, contributors) * std::sqrt(static_cast<double>(d));
  for (double& gamma : eigen.values) gamma = std::max(gamma, floor);

  // Weights are h_i over the length of the person's, which is about √n_u times their root mean square.
  double events = 0;
  double squares = 0;
  for (std::size_t i = 0; i < m; ++i) {
    const double n = double{popularity[i]};
    events += n;
    squares += n * double{weight[i]} * double{weight[i]};
  }
  const double roots = state.hidden[kRoots][0];
  const double usual = events > 0 ? std::sqrt(squares / events) : 1;

  // In U's basis, of the factors of an item's people: t_i = mean of p, and the variance of what the noise adds to it.
  std::vector<double> told(m * d, 0);
  std::vector<double> variance(m, 0);
  std::vector<double> rotated(d);
  for (std::size_t i = 0; i < m; ++i) {
    const double n = double{popularity[i]};
    if (!(n > 0)) continue;
    const double mass = n * double{weight[i]} / (usual * roots);  // Σ_u w_ui
    const double scale = length / mass;
    variance[i] = noise * noise * scale * scale + 1e-12;
    for (std::size_t k = 0; k < d; ++k) {
      double gradient = 0;
      double before = 0;
      for (std::size_t l = 0; l < d; ++l) {
        gradient += eigen.vectors[l * d + k] * sums[0][i * d + l];
        before += eigen.vectors[l * d + k] * double{factors[i * d + l]};
      }
      // (1 − p·q) p and what of the mean person's p pᵀ q was taken from it.
      told[i * d + k] = scale * gradient + eigen.values[k] / devices * before;
    }
  }

  // Around what is known besides: public features, popularity, and the last answer.
  const bool first = training_rounds(state.shared) == 0;
  const std::size_t width = kK + (first ? 0 : d);
  std::vector<double> f(m * width, 0);
  const std::vector<double> known = public_features(options_.features ? shape_.catalogue.get() : nullptr, m);
  const std::vector<double>& means = state.hidden[kMeans];
  for (std::size_t i = 0; i < m; ++i) {
    double* const row = f.data() + i * width;
    row[0] = 1;
    std::copy_n(known.data() + i * feature::kPublic, feature::kPublic, row + 1);
    row[kLogCount] = natural_logarithm(double{popularity[i]} + 0.5);
    row[kLogCountSquared] = row[kLogCount] * row[kLogCount];
    if (!first) std::copy_n(means.data() + i * d, d, row + kK);
  }
  std::vector<double> standard(2 * width);
  standardise(f, width, popularity, standard);

  std::vector<double> spread(d, 0);  // τ²: of the tastes around that
  for (std::size_t k = 0; k < d; ++k) spread[k] = 0.1 * length * length;
  std::vector<double> posterior(m * d, 0);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    double between = 0;
    for (const double t : spread) between += t / static_cast<double>(d);
    Ridge ridge(width, m);
    std::vector<std::vector<double>> right(d, std::vector<double>(width, 0));
    for (std::size_t i = 0; i < m; ++i) {
      if (!(variance[i] > 0)) continue;
      const double trust = 1 / (between + variance[i]);
      const double root = std::sqrt(trust);
      const std::span<double> row = ridge.row(i);
      for (std::size_t l = 0; l < width; ++l) {
        row[l] = root * f[i * width + l];
        for (std::size_t k = 0; k < d; ++k) right[k][l] += trust * f[i * width + l] * told[i * d + k];
      }
    }
    std::vector<double> prior(width, 4 / (between + 1e-12));
    prior[0] = 1e-3 / (between + 1e-12);
    ridge.factorise(prior);
    for (std::size_t k = 0; k < d; ++k) {
      const crypto::ZeroizingVector<double> coefficients = ridge.solution(right[k]);
      double sum = 0;
      double items = 0;
      for (std::size_t i = 0; i < m; ++i) {
        double expected = 0;
        for (std::size_t l = 0; l < width; ++l) expected += coefficients[l] * f[i * width + l];
        if (!(variance[i] > 0)) {
          posterior[i * d + k] = expected;
          continue;
        }
        const double share = spread[k] / (spread[k] + variance[i]);
        const double away = share * (told[i * d + k] - expected);
        posterior[i * d + k] = expected + away;
        sum += away * away + share * variance[i];
        items += 1;
      }
      if (items > 0) spread[k] = std::max(sum / items, 1e-9 * length * length);
    }
  }

  // q_i = ((α + n_i / N) P + λ_i)⁻¹ n_i t_i, back from U's basis.
  std::vector<double>& kept = state.hidden[kMeans];
  for (std::size_t i = 0; i < m; ++i) {
    const double n = double{popularity[i]};
    const double ridge = weighted(state.shared, n, devices);
    for (std::size_t k = 0; k < d; ++k) {
      rotated[k] = n * posterior[i * d + k] / ((options_.alpha + n / devices) * eigen.values[k] + ridge);
    }
    for (std::size_t l = 0; l < d; ++l) {
      double q = 0;
      double mean = 0;
      for (std::size_t k = 0; k < d; ++k) {
        q += eigen.vectors[l * d + k] * rotated[k];
        mean += eigen.vectors[l * d + k] * posterior[i * d + k];
      }
      factors[i * d + l] = static_cast<float>(q);
      kept[i * d + l] = mean;
    }
  }
}

}  // namespace chorus::model::ials
