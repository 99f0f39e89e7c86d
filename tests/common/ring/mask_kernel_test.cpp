#include "common/ring/mask_kernel.hpp"

#include <cstring>

#include <gtest/gtest.h>

#include "common/crypto/key_stream.hpp"
#include "common/crypto/prg.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::ring {
namespace {

std::vector<crypto::SecretBytes<32>> seeds(std::size_t count, std::uint64_t from) {
  sim::SeededRandom random(from);
  std::vector<crypto::SecretBytes<32>> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(random.secret<32>());
  return out;
}

std::vector<Mask> masks_of(const std::vector<crypto::SecretBytes<32>>& keys) {
  std::vector<Mask> masks;
  for (std::size_t i = 0; i < keys.size(); ++i) masks.push_back({&keys[i], i % 3 == 0});
  return masks;
}

// Whole masks, one after the other, from the generator of common/crypto.
template <typename Lane>
std::vector<Lane> reference(std::size_t size, std::span<const Mask> masks, std::uint64_t vector) {
  std::vector<Lane> sum(size);
  for (const Mask& mask : masks) {
    std::vector<std::uint8_t> bytes(size * sizeof(Lane));
    crypto::Prg(*mask.seed, vector).fill(bytes);
    std::vector<Lane> words(size);
    std::memcpy(words.data(), bytes.data(), bytes.size());
    for (std::size_t k = 0; k < size; ++k) {
      sum[k] = static_cast<Lane>(mask.subtract ? sum[k] - words[k] : sum[k] + words[k]);
    }
  }
  return sum;
}

// FIPS 197, appendix C.3: the key 00 01 … 1f encrypts the block 00 11 … ff to 8ea2b7ca516745bfeafc49904b496089. Here
// that block is vector 0x0011223344556677 and block number 0x8899aabbccddeeff.
TEST(KeyStream, UsesVectorAndBlockNumberAsTheBigEndianCounterBlock) {
  ByteArray<32> key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  const crypto::SecretBytes<32> seed{std::span<const std::uint8_t, 32>(key)};
  crypto::KeyStream stream(seed, 0x0011223344556677ULL, 0x8899aabbccddeeffULL);
  ByteArray<16> block{};
  stream.next(block);
  EXPECT_EQ(to_hex(block), "8ea2b7ca516745bfeafc49904b496089");
}

TEST(MaskKernel, AddsTheSameAsWholeMasksForEverySizeAroundABlock) {
  const auto keys = seeds(3, 11);
  const auto masks = masks_of(keys);
  for (const std::size_t size : {1UL, 7UL, 8UL, 4095UL, 4096UL, 4097UL, 8191UL, 10'000UL}) {
    std::vector<std::uint32_t> wide(size);
    add_masks(std::span<std::uint32_t>(wide), masks, 5, 0);
    EXPECT_EQ(wide, reference<std::uint32_t>(size, masks, 5)) << size;
    std::vector<std::uint16_t> narrow(size);
    add_masks(std::span<std::uint16_t>(narrow), masks, 5, 0);
    EXPECT_EQ(narrow, reference<std::uint16_t>(size, masks, 5)) << size;
  }
}

TEST(MaskKernel, MoreMasksThanABatchHoldsAddTheSame) {
  const auto keys = seeds(300, 12);
  const auto masks = masks_of(keys);
  std::vector<std::uint32_t> lanes(500);
  add_masks(std::span<std::uint32_t>(lanes), masks, 1, 0);
  EXPECT_EQ(lanes, reference<std::uint32_t>(500, masks, 1));
}

TEST(MaskKernel, ARangeBeginsAnywhereInTheStream) {
  const auto keys = seeds(2, 13);
  const auto masks = masks_of(keys);
  const std::vector<std::uint32_t> whole = reference<std::uint32_t>(5000, masks, 2);
  for (const std::size_t first : {8UL, 4096UL, 4104UL}) {
    std::vector<std::uint32_t> part(5000 - first);
    add_masks(std::span<std::uint32_t>(part), masks, 2, first);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(first)));
  }
}

plan::UpdateLayout layout_of(int bits) {
  plan::TensorLayout rows{
      .name = "rows", .rows = 900, .columns = 17, .per_item = true, .limbs = 1, .scale_log2 = 4, .clip = 1};
  plan::TensorLayout rest{
      .name = "rest", .rows = 1, .columns = 13, .per_item = false, .limbs = 1, .scale_log2 = 4, .clip = 1};
  return plan::UpdateLayout::create({rows, rest}, bits, 8).value();
}

TEST(MaskKernel, TheResultDoesNotDependOnTheNumberOfThreads) {
  const auto keys = seeds(9, 14);
  const auto masks = masks_of(keys);
  for (const int bits : {16, 24, 32}) {
    const plan::UpdateLayout layout = layout_of(bits);
    std::vector<std::uint32_t> one(layout.dimension(), 77);
    add_masks(layout, one, masks, 1);
    for (const unsigned threads : {2U, 3U, 8U}) {
      std::vector<std::uint32_t> many(layout.dimension(), 77);
      add_masks(layout, many, masks, threads);
      EXPECT_EQ(many, one) << bits << " bits, " << threads << " threads";
    }
  }
}

TEST(MaskKernel, EachTensorHasAStreamOfItsOwn) {
  const auto keys = seeds(1, 15);
  const Mask mask{&keys[0], false};
  const plan::UpdateLayout layout = layout_of(32);
  std::vector<std::uint32_t> lanes(layout.dimension());
  add_masks(layout, lanes, std::span(&mask, 1), 1);
  const auto second = reference<std::uint32_t>(13, std::span(&mask, 1), 1);
  EXPECT_TRUE(std::equal(second.begin(), second.end(), lanes.begin() + static_cast<std::ptrdiff_t>(layout.offset(1))));
}

TEST(MaskKernel, AddingAndSubtractingAMaskLeavesWhatWasThere) {
  const auto keys = seeds(1, 16);
  const std::array<Mask, 2> both{Mask{&keys[0], false}, Mask{&keys[0], true}};
  std::vector<std::uint32_t> lanes(5000, 123);
  add_masks(std::span<std::uint32_t>(lanes), both, 0, 0);
  EXPECT_EQ(lanes, std::vector<std::uint32_t>(5000, 123));
}

}  // namespace
}  // namespace chorus::ring
