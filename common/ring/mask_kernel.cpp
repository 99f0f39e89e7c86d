#include "common/ring/mask_kernel.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "common/base/check.hpp"
#include "common/crypto/key_stream.hpp"

namespace chorus::ring {

namespace {

// Streams that are expanded before they are added, so that the lanes are loaded and stored once for all of them.
constexpr std::size_t kGroup = 4;
// One block of key stream. A group of them, the zeros that they encrypt and the lanes fill a 32 KiB first-level cache.
constexpr std::size_t kBlockBytes = std::size_t{4} * 1024;
// Contexts that are open at a time: their key schedules stay in the second-level cache.
constexpr std::size_t kBatch = 128;
// Lanes of one unit of work for a thread: long enough that opening the contexts is nothing beside it.
constexpr std::size_t kRangeLanes = std::size_t{256} * 1024;

using Block = std::array<std::uint8_t, kBlockBytes>;

// What a group of streams does to the lanes: adds them, and subtracts those that `flip` says, for x - w = x + ~w + 1.
template <typename Lane>
struct Group {
  std::array<const Lane*, kGroup> words;
  std::array<Lane, kGroup> flip;  // all ones for a stream that is subtracted
};

template <typename Lane>
using Combine = void (*)(Lane* lanes, const Group<Lane>& group, std::size_t count);

// Separate functions for the two instruction sets; the bodies are the same, and the compiler vectorises them. The lanes
// are unsigned: addition wraps, which is the ring's addition.
#define CHORUS_COMBINE(name, attribute)                                                                          \
  template <typename Lane>                                                                                       \
  attribute void name(Lane* __restrict lanes, const Group<Lane>& group, std::size_t count) {                     \
    static_assert(kGroup == 4);                                                                                  \
    const Lane* const __restrict w0 = static_cast<const Lane*>(__builtin_assume_aligned(group.words[0], 64));    \
    const Lane* const __restrict w1 = static_cast<const Lane*>(__builtin_assume_aligned(group.words[1], 64));    \
    const Lane* const __restrict w2 = static_cast<const Lane*>(__builtin_assume_aligned(group.words[2], 64));    \
    const Lane* const __restrict w3 = static_cast<const Lane*>(__builtin_assume_aligned(group.words[3], 64));    \
    const auto [f0, f1, f2, f3] = group.flip;                                                                    \
    const Lane ones = static_cast<Lane>(-f0 - f1 - f2 - f3);                                                     \
    for (std::size_t k = 0; k < count; ++k) {                                                                    \
      lanes[k] = static_cast<Lane>(lanes[k] + (w0[k] ^ f0) + (w1[k] ^ f1) + (w2[k] ^ f2) + (w3[k] ^ f3) + ones); \
    }                                                                                                            \
  }
CHORUS_COMBINE(combine_baseline, )
#if defined(__x86_64__)
CHORUS_COMBINE(combine_avx2, __attribute__((target("avx2"))))
#endif
#undef CHORUS_COMBINE

template <typename Lane>
Combine<Lane> fastest_combine() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return &combine_avx2<Lane>;
#endif
  return &combine_baseline<Lane>;
}

template <typename Lane>
void add_masks_of(std::span<Lane> lanes, std::span<const Mask> masks, std::uint64_t vector, std::uint64_t first) {
  static const Combine<Lane> combine = fastest_combine<Lane>();
  constexpr std::size_t kBlockLanes = kBlockBytes / sizeof(Lane);
  constexpr std::size_t kLanesOfCipherBlock = 16 / sizeof(Lane);
  CHORUS_ENSURE(first % 8 == 0, "a range begins at a cipher block");
  alignas(64) static constexpr Block kNothing = {};  // stands in where a group is not full
  alignas(64) std::array<Block, kGroup> blocks;
  std::vector<crypto::KeyStream> streams;
  for (std::size_t begin = 0; begin < masks.size(); begin += kBatch) {
    const std::span<const Mask> batch = masks.subspan(begin, std::min(kBatch, masks.size() - begin));
    streams.clear();
    streams.reserve(batch.size());
    for (const Mask& mask : batch) streams.emplace_back(*mask.seed, vector, first / kLanesOfCipherBlock);
    for (std::size_t at = 0; at < lanes.size(); at += kBlockLanes) {
      const std::size_t count = std::min(kBlockLanes, lanes.size() - at);
      for (std::size_t s = 0; s < batch.size(); s += kGroup) {
        Group<Lane> group;
        for (std::size_t g = 0; g < kGroup; ++g) {
          const bool there = s + g < batch.size();
          if (there) streams[s + g].next(std::span(blocks[g]).first(count * sizeof(Lane)));
          group.words[g] = reinterpret_cast<const Lane*>((there ? blocks[g] : kNothing).data());
          group.flip[g] = static_cast<Lane>(there && batch[s + g].subtract ? -1 : 0);
        }
        combine(lanes.data() + at, group, count);
      }
    }
  }
  for (Block& block : blocks) crypto::wipe(block);
}

struct Range {
  std::size_t tensor;
  std::size_t first;  // within the tensor
  std::size_t count;
};

}  // namespace

void add_masks(std::span<std::uint32_t> lanes, std::span<const Mask> masks, std::uint64_t vector, std::uint64_t first) {
  add_masks_of<std::uint32_t>(lanes, masks, vector, first);
}

void add_masks(std::span<std::uint16_t> lanes, std::span<const Mask> masks, std::uint64_t vector, std::uint64_t first) {
  add_masks_of<std::uint16_t>(lanes, masks, vector, first);
}

void add_masks(const plan::UpdateLayout& layout, std::span<std::uint32_t> lanes, std::span<const Mask> masks,
               unsigned threads) {
  CHORUS_ENSURE(lanes.size() == layout.dimension(), "one lane a coordinate");
  std::vector<Range> ranges;
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
    const std::size_t size = layout.tensors()[t].coordinates();
    // Even pieces, so that the last thread is not left with a long one.
    const std::size_t wanted =
        std::max((size + kRangeLanes - 1) / kRangeLanes, std::min<std::size_t>(threads, (size + 16383) / 16384));
    const std::size_t piece = wanted == 0 ? 0 : ((size + wanted - 1) / wanted + 7) / 8 * 8;
    for (std::size_t first = 0; first < size; first += piece) {
      ranges.push_back({t, first, std::min(piece, size - first)});
    }
  }
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t r = next.fetch_add(1); r < ranges.size(); r = next.fetch_add(1)) {
      const Range& range = ranges[r];
      const std::span<std::uint32_t> part = lanes.subspan(layout.offset(range.tensor) + range.first, range.count);
      if (layout.bits() > 16) {
        add_masks_of<std::uint32_t>(part, masks, range.tensor, range.first);
        continue;
      }
      std::vector<std::uint16_t> narrow(range.count);
      std::transform(part.begin(), part.end(), narrow.begin(),
                     [](std::uint32_t lane) { return static_cast<std::uint16_t>(lane); });
      add_masks_of<std::uint16_t>(narrow, masks, range.tensor, range.first);
      std::copy(narrow.begin(), narrow.end(), part.begin());
      crypto::wipe({reinterpret_cast<std::uint8_t*>(narrow.data()), narrow.size() * sizeof(std::uint16_t)});
    }
  };
  std::vector<std::jthread> helpers;
  for (unsigned i = 1; i < std::min<std::size_t>(threads, ranges.size()); ++i) helpers.emplace_back(work);
  work();
}

}  // namespace chorus::ring
