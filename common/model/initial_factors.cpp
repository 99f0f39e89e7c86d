#include "common/model/initial_factors.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "common/crypto/prg.hpp"

namespace chorus::model {
namespace {

// A bell of mean 0 and deviation 1 from 64 random bits: the sum of four 16-bit uniforms. Exact arithmetic, so that
// every machine makes the same factors (a logarithm's last bit depends on the C library).
double bell(const std::uint8_t* bytes) {
  std::uint32_t sum = 0;
  for (int k = 0; k < 4; ++k) {
    sum += std::uint32_t{bytes[2 * k]} | static_cast<std::uint32_t>(bytes[2 * k + 1]) << 8;
  }
  // Mean 4·(2^16 − 1)/2, variance 4·(2^32 − 1)/12.
  return (static_cast<double>(sum) - 131070.0) / std::sqrt(4294967295.0 / 3.0);
}

crypto::SecretBytes<32> seed_bytes(std::string_view family, std::uint64_t seed) {
  ByteWriter out;
  out.string("CHORUS/1/" + std::string(family) + "-seed");
  out.u64(seed);
  return crypto::SecretBytes<32>(crypto::sha256(out.view()));
}

}  // namespace

void fill_initial_factors(std::string_view family, std::uint64_t seed, double deviation, const FactorRows& where,
                          std::span<float> out) {
  CHORUS_ENSURE(out.size() == std::size_t{where.rows} * where.stride && where.first + where.columns <= where.stride,
                "initial factors fit into their rows");
  const crypto::SecretBytes<32> key = seed_bytes(family, seed);
  std::vector<std::uint8_t> random(8 * std::size_t{where.columns});
  for (std::uint32_t i = where.from; i < where.rows; ++i) {
    crypto::Prg(key, i).fill(random);
    float* const row = out.data() + std::size_t{i} * where.stride + where.first;
    for (std::size_t k = 0; k < where.columns; ++k) {
      row[k] = static_cast<float>(deviation * bell(random.data() + 8 * k));
    }
  }
}

}  // namespace chorus::model
