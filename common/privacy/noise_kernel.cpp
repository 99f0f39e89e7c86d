#include "common/privacy/noise_kernel.hpp"

#include <cstring>

namespace chorus::privacy {

namespace {

constexpr std::uint64_t kWithoutTop = ~std::uint64_t{0} >> 1;
constexpr std::uint64_t kTop = ~kWithoutTop;

// v < t ⇔ v − t is negative, as a 128-bit difference of numbers below 2^127.
void draw_baseline(const std::uint64_t* words, std::span<const Threshold> table, std::int64_t factor,
                   std::int64_t* out) {
  const auto size = static_cast<std::int64_t>(table.size());
  for (std::size_t k = 0; k < kNoiseBlock; ++k) {
    const std::uint64_t high = words[k];
    const unsigned __int128 v = static_cast<unsigned __int128>(high & kWithoutTop) << 64 | words[kNoiseBlock + k];
    std::int64_t below = 0;
    for (const Threshold& threshold : table) {
      const unsigned __int128 t = static_cast<unsigned __int128>(threshold.high) << 64 | (threshold.low_flipped ^ kTop);
      below += static_cast<std::int64_t>(static_cast<std::uint64_t>((v - t) >> 64) >> 63);
    }
    const std::int64_t sign = -static_cast<std::int64_t>(high >> 63);  // 0 or −1
    out[k] += factor * (((size - below) ^ sign) - sign);
  }
}

#if defined(__x86_64__)

using Four = std::int64_t __attribute__((vector_size(32)));
using FourUnsigned = std::uint64_t __attribute__((vector_size(32)));

// Four numbers on their way through the table.
struct Group {
  Four high;
  Four low;
  Four sign;           // 0 or −1
  FourUnsigned below;  // thresholds above the number
};

#define CHORUS_AVX2 __attribute__((target("avx2"), always_inline)) inline

CHORUS_AVX2 void load(Group& group, const std::uint64_t* words) {
  std::memcpy(&group.high, words, sizeof group.high);
  std::memcpy(&group.low, words + kNoiseBlock, sizeof group.low);
  group.sign = group.high < 0;
  group.high &= static_cast<std::int64_t>(kWithoutTop);
  group.low ^= static_cast<std::int64_t>(kTop);
  group.below = FourUnsigned{};
}

// The low words' comparison gives the borrow (−1 where there is one), added to the high words' difference; the top bit
// of that says v < t.
CHORUS_AVX2 void meet(Group& group, const Four& t_high, const Four& t_low) {
  const Four difference = group.high - t_high + (group.low < t_low);
  group.below += reinterpret_cast<FourUnsigned>(difference) >> 63;
}

CHORUS_AVX2 void add(const Group& group, std::int64_t size, std::int64_t factor, std::int64_t* out) {
  Four sum;
  std::memcpy(&sum, out, sizeof sum);
  sum += factor * (((size - reinterpret_cast<Four>(group.below)) ^ group.sign) - group.sign);
  std::memcpy(out, &sum, sizeof sum);
}

// The same, four numbers in a register and four registers at a time: named one by one, or GCC 12 keeps them in memory.
__attribute__((target("avx2"))) void draw_avx2(const std::uint64_t* words, std::span<const Threshold> table,
                                               std::int64_t factor, std::int64_t* out) {
  const auto size = static_cast<std::int64_t>(table.size());
  for (std::size_t at = 0; at < kNoiseBlock; at += 16) {
    Group a;
    Group b;
    Group c;
    Group d;
    load(a, words + at);
    load(b, words + at + 4);
    load(c, words + at + 8);
    load(d, words + at + 12);
    for (const Threshold& threshold : table) {
      const Four t_high = Four{} + static_cast<std::int64_t>(threshold.high);
      const Four t_low = Four{} + static_cast<std::int64_t>(threshold.low_flipped);
      meet(a, t_high, t_low);
      meet(b, t_high, t_low);
      meet(c, t_high, t_low);
      meet(d, t_high, t_low);
    }
    add(a, size, factor, out + at);
    add(b, size, factor, out + at + 4);
    add(c, size, factor, out + at + 8);
    add(d, size, factor, out + at + 12);
  }
}

#undef CHORUS_AVX2

#endif

}  // namespace

NoiseKernel noise_kernel() noexcept {
#if defined(__x86_64__)
  static const NoiseKernel chosen = __builtin_cpu_supports("avx2") ? &draw_avx2 : &draw_baseline;
  return chosen;
#else
  return &draw_baseline;
#endif
}

NoiseKernel baseline_noise_kernel() noexcept {
  return &draw_baseline;
}

}  // namespace chorus::privacy
