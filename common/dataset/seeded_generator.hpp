// Numbers for splits, negatives and generated data: the same on every machine and with every standard library, whose
// own distributions and shuffles differ. Not for secrets. xoshiro256** (Blackman and Vigna 2018), its state filled by
// SplitMix64 (Steele et al. 2014). Not thread-safe; a value.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

#include "common/base/check.hpp"

namespace chorus::dataset {

// One step of SplitMix64: advances `state`, returns the next number.
[[nodiscard]] constexpr std::uint64_t split_mix(std::uint64_t& state) noexcept {
  state += 0x9e3779b97f4a7c15U;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

class SeededGenerator {
 public:
  // Different streams of one seed are independent sequences: one for each user, for instance.
  explicit SeededGenerator(std::uint64_t seed, std::uint64_t stream = 0) noexcept {
    std::uint64_t filler = split_mix(seed) ^ stream;
    for (std::uint64_t& word : state_) word = split_mix(filler);
  }
  // A state as it stands. REQUIRES: not all zero.
  explicit SeededGenerator(const std::array<std::uint64_t, 4>& state) noexcept : state_(state) {}

  std::uint64_t next() noexcept {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound), without bias (Lemire 2019). REQUIRES: bound > 0.
  std::uint64_t below(std::uint64_t bound) noexcept {
    CHORUS_ENSURE(bound > 0, "something to choose from");
    __extension__ using Wide = unsigned __int128;
    Wide product = Wide{next()} * bound;
    if (static_cast<std::uint64_t>(product) < bound) {
      const std::uint64_t threshold = (0 - bound) % bound;
      while (static_cast<std::uint64_t>(product) < threshold) product = Wide{next()} * bound;
    }
    return static_cast<std::uint64_t>(product >> 64);
  }

  // Uniform in [0, 1), a multiple of 2^-53.
  double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

  // Mean 0, variance 1, nearly normal, within [-6, 6]: twelve uniform numbers minus six. Additions alone, because the
  // logarithms of mathematical libraries differ in their last bits.
  double normal() noexcept {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += unit();
    return sum;
  }

 private:
  std::array<std::uint64_t, 4> state_;
};

// A uniformly drawn order (Fisher and Yates).
template <typename T>
void shuffle(std::span<T> values, SeededGenerator& generator) {
  for (std::size_t left = values.size(); left > 1; --left) {
    std::swap(values[left - 1], values[generator.below(left)]);
  }
}

}  // namespace chorus::dataset
