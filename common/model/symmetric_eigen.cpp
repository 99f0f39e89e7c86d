#include "common/model/symmetric_eigen.hpp"

#include <cmath>
#include <limits>

#include "common/base/check.hpp"

namespace chorus::model {
namespace {

// Jacobi converges quadratically: 128 dimensions take about ten sweeps.
constexpr int kMostSweeps = 60;

// Columns p and q of m, [d × d], become c·p − s·q and s·p + c·q.
void rotate_columns(std::vector<double>& m, std::size_t d, std::size_t p, std::size_t q, double c, double s) {
  for (std::size_t k = 0; k < d; ++k) {
    const double left = m[k * d + p];
    const double right = m[k * d + q];
    m[k * d + p] = c * left - s * right;
    m[k * d + q] = s * left + c * right;
  }
}

void rotate_rows(std::vector<double>& m, std::size_t d, std::size_t p, std::size_t q, double c, double s) {
  for (std::size_t k = 0; k < d; ++k) {
    const double above = m[p * d + k];
    const double below = m[q * d + k];
    m[p * d + k] = c * above - s * below;
    m[q * d + k] = s * above + c * below;
  }
}

}  // namespace

SymmetricEigen symmetric_eigen(std::span<const double> a, std::size_t d) {
  CHORUS_ENSURE(d > 0 && a.size() == d * d, "a square matrix");
  std::vector<double> m(a.begin(), a.end());
  SymmetricEigen eigen;
  eigen.vectors.assign(d * d, 0.0);
  for (std::size_t k = 0; k < d; ++k) eigen.vectors[k * d + k] = 1;
  double norm = 0;
  for (const double x : m) norm += x * x;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    double off = 0;
    for (std::size_t p = 0; p < d; ++p) {
      for (std::size_t q = p + 1; q < d; ++q) off += m[p * d + q] * m[p * d + q];
    }
    constexpr double kRound = std::numeric_limits<double>::epsilon();
    if (!(off > norm * kRound * kRound)) break;
    for (std::size_t p = 0; p < d; ++p) {
      for (std::size_t q = p + 1; q < d; ++q) {
        const double x = m[p * d + q];
        if (x == 0) continue;
        // The smaller root t of t² + 2θt − 1 = 0 is the tangent of the angle that makes m_pq zero.
        const double theta = (m[q * d + q] - m[p * d + p]) / (2 * x);
        const double t = std::isfinite(theta * theta)
                             ? std::copysign(1.0, theta) / (std::abs(theta) + std::sqrt(theta * theta + 1))
                             : 1 / (2 * theta);
        const double c = 1 / std::sqrt(t * t + 1);
        const double s = t * c;
        rotate_columns(m, d, p, q, c, s);
        rotate_rows(m, d, p, q, c, s);
        rotate_columns(eigen.vectors, d, p, q, c, s);
      }
    }
  }
  for (std::size_t k = 0; k < d; ++k) eigen.values.push_back(m[k * d + k]);
  return eigen;
}

}  // namespace chorus::model
