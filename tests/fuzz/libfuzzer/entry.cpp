// libFuzzer's door to one target, CHORUS_FUZZ_TARGET. Now and then a mutation starts from a seed: with no corpus at
// hand, the fuzzer need not find a legal encoding by chance.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tests/fuzz/targets.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

const chorus::fuzz::Target& target() {
  static const auto& found =
      *std::ranges::find(chorus::fuzz::targets(), std::string_view(CHORUS_FUZZ_TARGET), &chorus::fuzz::Target::name);
  return found;
}

constexpr unsigned int kSeedOneIn = 64;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_cast<void>(target().run({data, size}));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned int chance) {
  static const std::vector<chorus::Bytes> seeds = target().seeds();
  if (chance % kSeedOneIn == 0) {
    const chorus::Bytes& seed = seeds[chance / kSeedOneIn % seeds.size()];
    if (seed.size() <= most) {
      std::ranges::copy(seed, data);
      // The first time the seed itself, so that all that it covers is known.
      static std::vector<bool> shown(seeds.size());
      const auto index = static_cast<std::size_t>(&seed - seeds.data());
      if (!shown[index]) {
        shown[index] = true;
        return seed.size();
      }
      size = seed.size();
    }
  }
  return LLVMFuzzerMutate(data, size, most);
}
