// The inner loop of the table sampler: many uniform numbers against one table. Every number meets every threshold; no
// branch and no address depends on a number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace chorus::privacy {

// A threshold below 2^127 in the form that the kernels compare: its high word, and its low word with the top bit
// flipped, which makes a signed comparison an unsigned one.
struct Threshold {
  std::uint64_t high = 0;
  std::uint64_t low_flipped = 0;
};

// Numbers that are drawn at a time.
inline constexpr std::size_t kNoiseBlock = 512;

// out[k] += factor · x_k, where |x_k| = #{t : v_k ≥ t}, v_k = the low 127 bits of words[k] ‖ words[kNoiseBlock + k] and
// the sign is the top bit of words[k]. words: [2 × kNoiseBlock] uniform; out: [kNoiseBlock]. Both are 32-byte aligned.
using NoiseKernel = void (*)(const std::uint64_t* words, std::span<const Threshold> table, std::int64_t factor,
                             std::int64_t* out);

// The fastest that this machine runs; all give the same numbers.
[[nodiscard]] NoiseKernel noise_kernel() noexcept;
[[nodiscard]] NoiseKernel baseline_noise_kernel() noexcept;

}  // namespace chorus::privacy
