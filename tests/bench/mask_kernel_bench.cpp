// The mask kernel beside the cipher alone and beside a plain expand-then-add, in the same run on one thread.
#include <algorithm>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/crypto/key_stream.hpp"
#include "common/crypto/prg.hpp"
#include "common/ring/mask_kernel.hpp"
#include "tests/bench/bench_report.hpp"

namespace chorus::bench {
namespace {

struct Work {
  std::size_t dimension = 1'000'000;
  std::size_t seeds = 100;
  int repeats = 5;
};

std::vector<crypto::SecretBytes<32>> make_seeds(std::size_t count) {
  const auto random = crypto::make_system_random();
  std::vector<crypto::SecretBytes<32>> seeds;
  for (std::size_t i = 0; i < count; ++i) seeds.push_back(random->secret<32>());
  return seeds;
}

// The fastest of some repeats: what the machine can do when nothing else disturbs it, for each candidate alike.
template <typename Function>
double fastest(int repeats, Function&& function) {
  double best = 1e300;
  for (int i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    function();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

struct Rates {
  double kernel = 0;
  double cipher = 0;
  double bytewise = 0;
};

template <typename Lane>
Rates measure(const Work& work) {
  const std::vector<crypto::SecretBytes<32>> seeds = make_seeds(work.seeds);
  std::vector<ring::Mask> masks;
  for (std::size_t i = 0; i < seeds.size(); ++i) masks.push_back({&seeds[i], i % 2 == 1});
  std::vector<Lane> lanes(work.dimension);
  const double bytes = static_cast<double>(work.dimension * sizeof(Lane) * work.seeds);

  Rates rates;
  rates.kernel = bytes / fastest(work.repeats, [&] { ring::add_masks(std::span<Lane>(lanes), masks, 0, 0); });

  std::vector<std::uint8_t> block(std::size_t{16} * 1024);
  rates.cipher = bytes / fastest(work.repeats, [&] {
                   for (const crypto::SecretBytes<32>& seed : seeds) {
                     crypto::KeyStream stream(seed, 0, 0);
                     std::size_t left = work.dimension * sizeof(Lane);
                     while (left > 0) {
                       const std::size_t size = std::min(left, block.size());
                       stream.next(std::span(block).first(size));
                       left -= size;
                     }
                   }
                 });

  // A whole mask in memory, then a word at a time, each word put together from its bytes.
  std::vector<std::uint8_t> mask(work.dimension * sizeof(Lane));
  rates.bytewise = bytes / fastest(1, [&] {
                     for (std::size_t s = 0; s < seeds.size(); ++s) {
                       crypto::Prg(seeds[s], 0).fill(mask);
                       for (std::size_t k = 0; k < lanes.size(); ++k) {
                         Lane word = 0;
                         for (std::size_t b = 0; b < sizeof(Lane); ++b) {
                           // The compiler must not turn the bytes back into words: that is what is compared.
                           std::uint8_t byte = mask[k * sizeof(Lane) + b];
                           asm volatile("" : "+r"(byte));
                           word = static_cast<Lane>(word | static_cast<Lane>(Lane{byte} << (8 * b)));
                         }
                         lanes[k] = static_cast<Lane>(masks[s].subtract ? lanes[k] - word : lanes[k] + word);
                       }
                     }
                   });
  return rates;
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  using namespace chorus::bench;
  CLI::App app("mask kernel against the cipher alone and against expand-then-add");
  Work work;
  app.add_option("--dimension", work.dimension, "lanes")->capture_default_str();
  app.add_option("--seeds", work.seeds, "masks added")->capture_default_str();
  app.add_option("--repeats", work.repeats, "the fastest of so many runs")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::fprintf(stderr, "mask-kernel: %zu lanes, %zu seeds, one thread\n", work.dimension, work.seeds);
  const Rates wide = measure<std::uint32_t>(work);
  const Rates narrow = measure<std::uint16_t>(work);
  auto json = report("mask-kernel", 1);
  json["bytes_per_s"] = wide.kernel;
  json["cipher_bytes_per_s"] = wide.cipher;
  json["bytewise_bytes_per_s"] = wide.bytewise;
  json["ratio_to_cipher"] = wide.kernel / wide.cipher;
  json["ratio_to_bytewise"] = wide.kernel / wide.bytewise;
  json["lane16_bytes_per_s"] = narrow.kernel;
  json["lane16_cipher_bytes_per_s"] = narrow.cipher;
  json["lane16_ratio_to_cipher"] = narrow.kernel / narrow.cipher;
  json["lane16_ratio_to_bytewise"] = narrow.kernel / narrow.bytewise;
  print(json);
  return 0;
}
