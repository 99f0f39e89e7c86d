// Ring coordinates packed for the wire: coordinate k at bits [k·b, (k+1)·b), little-endian, b = 16, 24 or 32.
#pragma once

#include <cstdint>
#include <span>

#include "common/base/bytes.hpp"

namespace chorus::ring {

// sum[k] += coordinate k, modulo 2^bits. REQUIRES: packed.size() == sum.size() · bits / 8, and sum[k] < 2^bits.
void add_packed(int bits, ByteView packed, std::span<std::uint32_t> sum) noexcept;
// Cuts every lane to its low `bits` and packs it. REQUIRES: out.size() == lanes.size() · bits / 8.
void pack(int bits, std::span<const std::uint32_t> lanes, std::span<std::uint8_t> out) noexcept;

}  // namespace chorus::ring
