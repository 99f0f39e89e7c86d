#include "common/ring/packing.hpp"

namespace chorus::ring {
namespace {

std::uint32_t load32(const std::uint8_t* in) noexcept {
  return std::uint32_t{in[0]} | std::uint32_t{in[1]} << 8 | std::uint32_t{in[2]} << 16 | std::uint32_t{in[3]} << 24;
}

void add16(std::span<std::uint32_t> sum, const std::uint8_t* in) noexcept {
  for (std::size_t k = 0; k < sum.size(); ++k) {
    sum[k] = (sum[k] + (std::uint32_t{in[2 * k]} | std::uint32_t{in[2 * k + 1]} << 8)) & 0xFFFFU;
  }
}

// Four coordinates are three words.
void add24(std::span<std::uint32_t> sum, const std::uint8_t* in) noexcept {
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

void add32(std::span<std::uint32_t> sum, const std::uint8_t* in) noexcept {
  for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += load32(in + 4 * k);
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
      return add16(sum, packed.data());
    case 24:
      return add24(sum, packed.data());
    default:
      return add32(sum, packed.data());
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
