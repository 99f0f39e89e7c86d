// Work over a range in a fixed number of chunks: which thread does a chunk is chance, what a chunk is never depends on
// the number of threads. Sums taken chunk by chunk, and then in the order of the chunks, are therefore the same bytes
// on one core and on many.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace chorus::sim {

inline constexpr std::size_t kChunks = 16;

struct Chunk {
  std::size_t index = 0;  // below kChunks
  std::size_t first = 0;
  std::size_t last = 0;
};

// Calls work(Chunk) for the kChunks parts of [0, size), several at a time on `threads` threads (0 counts as 1), and
// returns when all are done. REQUIRES: `work` does not throw and may run concurrently.
template <typename Work>
void for_each_chunk(std::size_t size, unsigned threads, const Work& work) {
  std::atomic<std::size_t> next = 0;
  const auto run = [&] {
    for (std::size_t c = next++; c < kChunks; c = next++) {
      work(Chunk{.index = c, .first = size * c / kChunks, .last = size * (c + 1) / kChunks});
    }
  };
  std::vector<std::jthread> helpers;
  for (unsigned t = 1; t < threads; ++t) helpers.emplace_back(run);
  run();
}

}  // namespace chorus::sim
