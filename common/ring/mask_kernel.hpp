// The mask kernel: adds many key streams to a vector of ring coordinates without ever holding a whole mask. A block of
// coordinates is outside, the seeds are inside, and each block of key stream is added while it is in the first-level
// cache (design: secure aggregation, section 5).
//
// A seed's stream for vector `v` is AES-256-CTR under the seed, initial counter block = v (8 bytes, big-endian) ‖ block
// counter from 0 (8 bytes, big-endian); coordinate k takes the k-th little-endian lane: 16 bits wide for a 16-bit ring,
// 32 bits wide for 24 and 32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/crypto/secret_bytes.hpp"
#include "common/plan/update_layout.hpp"

namespace chorus::ring {

struct Mask {
  const crypto::SecretBytes<32>* seed = nullptr;  // outlives the call
  bool subtract = false;
};

// lanes[k] ±= stream(mask, vector)[first + k] for every mask, modulo the lane's width (a 24-bit ring is cut to its
// width when it is packed). REQUIRES: first is a multiple of 8 lanes. Safe from several threads on disjoint lanes.
void add_masks(std::span<std::uint32_t> lanes, std::span<const Mask> masks, std::uint64_t vector, std::uint64_t first);
void add_masks(std::span<std::uint16_t> lanes, std::span<const Mask> masks, std::uint64_t vector, std::uint64_t first);

// All tensors of a layout, tensor t as vector t, on up to `threads` threads; the result does not depend on how many.
// lanes: [layout.dimension()], in the layout's order. A 16-bit layout's coordinates are each in the low half of a lane:
// callers cut to the ring's width.
void add_masks(const plan::UpdateLayout& layout, std::span<std::uint32_t> lanes, std::span<const Mask> masks,
               unsigned threads);

}  // namespace chorus::ring
