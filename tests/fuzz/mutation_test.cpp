// Every fuzz target on mutations of its seeds: a short, repeatable run of what libFuzzer does at length.
#include <string>

#include <gtest/gtest.h>

#include "common/dataset/seeded_generator.hpp"
#include "tests/fuzz/targets.hpp"

namespace chorus::fuzz {
namespace {

using dataset::SeededGenerator;

constexpr std::uint64_t kSeed = 20'240'607;
constexpr int kMutations = 20'000;

// What parsers get wrong: a flipped bit, a length at its limits, bytes that are missing, doubled or another message's.
void mutate(Bytes& bytes, const std::vector<Bytes>& seeds, SeededGenerator& random) {
  constexpr std::uint8_t kEdges[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
  const std::size_t at = random.below(bytes.size() + 1);
  const std::size_t length = std::min<std::size_t>(1 + random.below(8), bytes.size() - at);
  const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  const auto last = first + static_cast<std::ptrdiff_t>(length);
  switch (random.below(6)) {
    case 0:
      if (length > 0) *first = static_cast<std::uint8_t>(*first ^ (1U << random.below(8)));
      break;
    case 1:
      std::fill(first, last, kEdges[random.below(std::size(kEdges))]);
      break;
    case 2:
      bytes.erase(first, last);
      break;
    case 3: {
      const Bytes copy(first, last);
      bytes.insert(first, copy.begin(), copy.end());
      break;
    }
    case 4:
      bytes.resize(at);
      break;
    default: {
      const Bytes& other = seeds[random.below(seeds.size())];
      const std::size_t from = std::min(at, other.size());
      bytes.resize(at);
      bytes.insert(bytes.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
    }
  }
}

class FuzzTargets : public ::testing::TestWithParam<Target> {};

TEST_P(FuzzTargets, AcceptTheirSeeds) {
  for (const Bytes& seed : GetParam().seeds()) EXPECT_TRUE(GetParam().run(seed)) << to_hex(seed);
}

TEST_P(FuzzTargets, KeepTheirPromisesOnMutatedSeeds) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  const std::vector<Bytes> seeds = GetParam().seeds();
  SeededGenerator random(kSeed);
  int accepted = 0;
  int refused = 0;
  for (int i = 0; i < kMutations; ++i) {
    Bytes bytes = seeds[random.below(seeds.size())];
    for (std::uint64_t times = 1 + random.below(4); times > 0; --times) mutate(bytes, seeds, random);
    ++(GetParam().run(bytes) ? accepted : refused);
  }
  // Both ways through each parser were taken.
  EXPECT_GT(accepted, kMutations / 100);
  EXPECT_GT(refused, kMutations / 100);
}

INSTANTIATE_TEST_SUITE_P(All, FuzzTargets, ::testing::ValuesIn(targets().begin(), targets().end()),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

}  // namespace
}  // namespace chorus::fuzz
