#include "common/privacy/fourier.hpp"

#include <bit>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "common/base/check.hpp"

namespace chorus::privacy {

void fourier(std::span<std::complex<double>> values, bool backward) {
  using Complex = std::complex<double>;
  const std::size_t n = values.size();
  CHORUS_ENSURE(std::has_single_bit(n), "a transform's size is a power of two");
  for (std::size_t i = 1, j = 0; i < n; ++i) {
    std::size_t bit = n >> 1;
    for (; (j & bit) != 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(values[i], values[j]);
  }
  // Roots from the circle, not by repeated multiplication, which would gather errors.
  std::vector<Complex> roots(n / 2);
  for (std::size_t k = 0; k < n / 2; ++k) {
    const double angle = (backward ? 2 : -2) * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
    roots[k] = {std::cos(angle), std::sin(angle)};
  }
  for (std::size_t half = 1; half < n; half *= 2) {
    const std::size_t stride = n / (2 * half);
    for (std::size_t start = 0; start < n; start += 2 * half) {
      for (std::size_t k = 0; k < half; ++k) {
        const Complex a = values[start + k];
        const Complex b = values[start + half + k];
        const Complex r = roots[k * stride];
        // Written out: the operator would look for infinities first.
        const Complex t{b.real() * r.real() - b.imag() * r.imag(), b.real() * r.imag() + b.imag() * r.real()};
        values[start + k] = a + t;
        values[start + half + k] = a - t;
      }
    }
  }
}

}  // namespace chorus::privacy
