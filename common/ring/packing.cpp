#include "common/ring/packing.hpp"

#include <bit>
#include <cstring>
#include <limits>

namespace chorus::ring {
namespace {

std::uint32_t load32(const std::uint8_t* in) noexcept {
  return std::uint32_t{in[0]} | std::uint32_t{in[1]} << 8 | std::uint32_t{in[2]} << 16 | std::uint32_t{in[3]} << 24;
}

// Coordinates as wide as a machine's word. The bytes lie in memory as they are encoded: little-endian.
template <typename Word>
void add_words(std::span<std::uint32_t> sum, const std::uint8_t* in) noexcept {
  constexpr std::uint32_t mask = std::numeric_limits<Word>::max();
  for (std::size_t k = 0; k < sum.size(); ++k) {
    Word word;
    std::memcpy(&word, in + k * sizeof word, sizeof word);
    sum[k] = (sum[k] + word) & mask;
  }
}
static_assert(std::endian::native == std::endian::little);

// Four coordinates are three words.
void add24_baseline(std::span<std::uint32_t> sum, const std::uint8_t* in) noexcept {
  constexpr std::uint32_t mask = 0xFFFFFF;
  std::size_t k = 0;
  for (; k + 4 <= sum.size(); k += 4, in += 12) {
    const std::uint32_t a = load32(in);
    const std::uint32_t b = load32(in + 4);
    const std::uint32_t c = load32(in + 8);
    sum[k] = (sum[k] + a) & mask;
    sum[k + 1] = (sum[k + 1] + (a >> 24 | b << 8)) & mask;
    sum[k + 2] = (sum[k + 2] + (b >> 16 | c << 16)) & mask;
    sum[k + 3] = (sum[k + 3] + (c >> 8)) & mask;
  }
  for (; k < sum.size(); ++k, in += 3) {
    sum[k] = (sum[k] + (std::uint32_t{in[0]} | std::uint32_t{in[1]} << 8 | std::uint32_t{in[2]} << 16)) & mask;
  }
}

#if defined(__x86_64__) && !defined(__clang__)
// The same with a byte shuffle, which the baseline instruction set lacks. Compilers do not find it by themselves.
__attribute__((target("avx2"))) void add24_avx2(std::span<std::uint32_t> sum, const std::uint8_t* in) noexcept {
  using Bytes16 = std::uint8_t __attribute__((vector_size(16)));
  using Lanes4 = std::uint32_t __attribute__((vector_size(16)));
  // Each coordinate's three bytes, and a fourth that the mask takes away.
  constexpr Bytes16 spread = {0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11};
  constexpr std::uint32_t mask = 0xFFFFFF;
  std::size_t k = 0;
  for (; k + 6 <= sum.size(); k += 4, in += 12) {  // 16 bytes are read: five coordinates and a third
    Bytes16 bytes;
    std::memcpy(&bytes, in, sizeof bytes);
    bytes = __builtin_shuffle(bytes, spread);
    Lanes4 words;
    std::memcpy(&words, &bytes, sizeof words);
    Lanes4 lanes;
    std::memcpy(&lanes, sum.data() + k, sizeof lanes);
    lanes = (lanes + words) & mask;
    std::memcpy(sum.data() + k, &lanes, sizeof lanes);
  }
  add24_baseline(sum.subspan(k), in);
}
#endif

void add24(std::span<std::uint32_t> sum, const std::uint8_t* in) noexcept {
#if defined(__x86_64__) && !defined(__clang__)
  static const bool shuffles = __builtin_cpu_supports("avx2") != 0;
  if (shuffles) return add24_avx2(sum, in);
#endif
  add24_baseline(sum, in);
}

template <std::size_t kBytes>
void pack_as(std::span<const std::uint32_t> lanes, std::uint8_t* out) noexcept {
  for (const std::uint32_t lane : lanes) {
    for (std::size_t b = 0; b < kBytes; ++b) *out++ = static_cast<std::uint8_t>(lane >> (8 * b));
  }
}

}  // namespace

void add_packed(int bits, ByteView packed, std::span<std::uint32_t> sum) noexcept {
  switch (bits) {
    case 16:
      return add_words<std::uint16_t>(sum, packed.data());
    case 24:
      return add24(sum, packed.data());
    default:
      return add_words<std::uint32_t>(sum, packed.data());
  }
}

void pack(int bits, std::span<const std::uint32_t> lanes, std::span<std::uint8_t> out) noexcept {
  switch (bits) {
    case 16:
      return pack_as<2>(lanes, out.data());
    case 24:
      return pack_as<3>(lanes, out.data());
    default:
      return pack_as<4>(lanes, out.data());
  }
}

}  // namespace chorus::ring
