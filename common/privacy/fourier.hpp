// The discrete Fourier transform of a power of two of complex numbers, in place.
#pragma once

#include <complex>
#include <span>

namespace chorus::privacy {

// X_k = Σ_j x_j e^(∓2πi jk/n), minus forward, plus backward (without the division by n).
// REQUIRES: the size is a power of two.
void fourier(std::span<std::complex<double>> values, bool backward);

}  // namespace chorus::privacy
