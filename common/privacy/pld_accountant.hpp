// The privacy loss distribution of the Poisson-subsampled Gaussian mechanism, composed by Fourier transform (Koskela
// et al. 2020; Doroshenko et al. 2022, "Connect the dots"): the tightest ε that is known for subsampling, for published
// figures.
//
// Every approximation rounds towards more loss, so ε is never reported too small beyond the rounding of doubles: a
// loss between two points of the grid is split between them so that both its probabilities are kept, what lies beyond
// the grid counts as lost entirely, and what the cyclic convolution may fold over is added to δ. Too large it is by
// about 1e-4 of ε, down to δ = 1e-9; at 1e-10 and many rounds the transform's own rounding adds up to a thousandth. The
// rounds' losses must fit the largest grid (2^21 points). Uses libm: for reports, never for what is part of a model.
#pragma once

#include "common/privacy/mechanism.hpp"

namespace chorus::privacy {

// Errors: invalid_argument (also: δ below 1e-10, where the transform's own rounding shows; noise so small, or so many
// rounds, that ε is beyond 200 by the Rényi accountant and no grid is fine enough).
[[nodiscard]] Result<double> pld_epsilon(const Mechanism& mechanism, double delta);

}  // namespace chorus::privacy
