// The data contract's cap on what one person contributes. Stateless.
#pragma once

#include <cstddef>
#include <span>

#include "common/crypto/secret_bytes.hpp"
#include "common/model/model.hpp"

namespace chorus::model {

using Observations = crypto::ZeroizingVector<Observation>;

// At most `cap` of them: a user with more keeps the latest (of equal age the lower items), sorted by item again.
// `kept` holds them where a copy is needed, and must outlive the result.
[[nodiscard]] std::span<const Observation> latest(std::span<const Observation> all, std::size_t cap,
                                                  Observations& kept);

}  // namespace chorus::model
