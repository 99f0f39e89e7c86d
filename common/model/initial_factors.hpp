// Initial item factors: a function of the seed alone, the same bytes on every machine, item by item, so that a longer
// catalogue has the same first rows. Learning randomness; nothing here is secret. Stateless.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace chorus::model {

// Writes `columns` numbers of mean 0 and standard deviation `deviation` into each row of items [from, rows), the first
// of them at column `first` of a row of `stride` numbers: out[i · stride + first + k]. `family` ("mf") separates the
// streams of families. REQUIRES: out.size() == rows · stride; first + columns <= stride.
struct FactorRows {
  std::uint32_t from = 0;
  std::uint32_t rows = 0;
  std::uint32_t stride = 0;
  std::uint32_t first = 0;
  std::uint32_t columns = 0;
};
void fill_initial_factors(std::string_view family, std::uint64_t seed, double deviation, const FactorRows& where,
                          std::span<float> out);

}  // namespace chorus::model
