// The answer to a question for residuals: a Kalman step of every item's mean and first directions.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/model/mf/private.hpp"
#include "common/model/mf/private_state.hpp"

namespace chorus::model::mf {
namespace {

constexpr int kWideningIterations = 8;
constexpr double kForget = 1.2;  // of P between passes: the linearisation moves

}  // namespace

void Private::apply_residuals(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                              std::uint64_t contributors) const {
  const std::size_t m = shape_.items;
  const std::size_t n = recipe_.rank + 1;
  const double noise = questions_.deviation(asked, 0, contributors);
  const std::vector<double>& mass = hidden(state, kMass);
  const std::vector<float>& emphasis = state.shared.tensors[private_tensor::kEmphasis].values;
  const std::vector<float>& counts = state.shared.tensors[private_tensor::kPopularity].values;
  std::vector<float>& factors = state.shared.tensors[private_tensor::kFactors].values;
  const double all = std::accumulate(mass.begin(), mass.end(), 0.0);
  if (!(all > 0)) return;

  // Ā, made positive; every item's curvature is D_i Ā, which costs one answer instead of one an item.
  SmallMatrix curvature = symmetric(sums[1], n);
  for (double& x : curvature) x /= all;
  SymmetricEigen eigen = descending(curvature, n);
  for (double& value : eigen.values) value = std::max(value, 1e-6 * std::max(eigen.values[0], 1e-6));
  curvature = from_eigen(eigen.vectors, eigen.values, n);
  SmallMatrix response = curvature;  // Ā diag(1/s, 1/g): what the answer is per unit of c_i, δ_i
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) response[i * n + j] /= double{emphasis[j]};
  }

  // K and (I − K A) P for an item of mass D.
  struct Gain {
    SmallMatrix k;
    SmallMatrix p;
  };
  const auto gain_of = [&](double d, const SmallMatrix& p) {
    SmallMatrix a = response;
    for (double& x : a) x *= d;
    const SmallMatrix pa = product(p, transposed(a, n, n), n, n, n);
    SmallMatrix r = product(a, pa, n, n, n);
    for (std::size_t i = 0; i < n * n; ++i) r[i] += recipe_.noise * recipe_.weight_noise * d * curvature[i];
    for (std::size_t i = 0; i < n; ++i) r[i * n + i] += noise * noise + 1e-12;
    Gain gain{SmallMatrix(n * n, 0), p};
    // Numbers so large that rounding breaks the matrix say nothing: the item stays as it is.
    if (!cholesky(r.data(), n, n)) return gain;
    std::vector<double> row(n);
    for (std::size_t i = 0; i < n; ++i) {  // rows of K: R⁻¹ (P Aᵀ)ᵢ
      std::copy_n(pa.data() + i * n, n, row.data());
      cholesky_solve(r.data(), n, n, row.data());
      std::copy_n(row.data(), n, gain.k.data() + i * n);
    }
    const SmallMatrix less = product(gain.k, transposed(pa, n, n), n, n, n);  // K A P
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) gain.p[i * n + j] -= (less[i * n + j] + less[j * n + i]) / 2;
      gain.p[i * n + i] = std::max(gain.p[i * n + i], 0.0);  // a variance, whatever rounding makes of it
    }
    return gain;
  };
  const auto answer_of = [&](std::size_t i, const SmallMatrix& k) {
    std::vector<double> step(n, 0);
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = 0; b < n; ++b) step[a] += k[a * n + b] * sums[0][i * n + b];
    }
    return step;
  };

  std::vector<double>& covariance = hidden(state, kCovariance);
  if (covariance.size() == m) {
    // The first of these answers: what is known of c_i, and a prior of δ whose width the answers themselves tell.
    std::vector<double> width(n, 0);
    double total = 0;
    std::vector<double> mean(n, 0);
    for (std::size_t i = 0; i < m; ++i) {
      total += double{counts[i]};
      for (std::size_t k = 1; k < n; ++k) mean[k] += double{counts[i]} * double{factors[i * (kK + 1) + k]};
    }
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t k = 1; k < n; ++k) {
        const double away = double{factors[i * (kK + 1) + k]} - mean[k] / total;
        width[k] += recipe_.prior_widening * double{counts[i]} * away * away / total;
      }
    }
    const auto prior_of = [&](std::size_t i) {
      SmallMatrix p(n * n, 0);
      p[0] = covariance[i];
      for (std::size_t k = 1; k < n; ++k) p[k * n + k] = width[k];
      return p;
    };
    for (int iteration = 0; iteration < kWideningIterations; ++iteration) {
      std::vector<double> next(n, 0);
      for (std::size_t i = 0; i < m; ++i) {
        if (withheld(counts[i])) continue;
        const Gain gain = gain_of(mass[i], prior_of(i));
        const std::vector<double> step = answer_of(i, gain.k);
        for (std::size_t k = 1; k < n; ++k) next[k] += step[k] * step[k] + gain.p[k * n + k];
        next[0] += 1;  // how many items tell
      }
      for (std::size_t k = 1; k < n && next[0] > 0; ++k) width[k] = std::max(next[k] / next[0], 1e-6);
    }
    std::vector<double> full(m * n * n);
    for (std::size_t i = 0; i < m; ++i) std::ranges::copy(prior_of(i), full.data() + i * n * n);
    covariance = std::move(full);
  }
  std::vector<float>& uncertainty = state.shared.tensors[private_tensor::kUncertainty].values;
  for (std::size_t i = 0; i < m; ++i) {
    if (withheld(counts[i])) continue;
    double* const p = covariance.data() + i * n * n;
    const Gain gain = gain_of(mass[i], SmallMatrix(p, p + n * n));
    const std::vector<double> step = answer_of(i, gain.k);
    float* const row = factors.data() + i * (kK + 1);  // c_i, then the first directions of x_i
    for (std::size_t k = 0; k < n; ++k) row[k] = static_cast<float>(double{row[k]} + step[k]);
    for (std::size_t k = 0; k < n * n; ++k) p[k] = kForget * gain.p[k];
    double unknown = recipe_.noise + p[0];
    for (std::size_t k = 1; k < n; ++k) unknown += recipe_.excess * p[k * n + k];
    uncertainty[i] = static_cast<float>(unknown);
  }
}

}  // namespace chorus::model::mf
