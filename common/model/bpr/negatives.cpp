#include "common/model/bpr/negatives.hpp"

#include "common/base/check.hpp"

namespace chorus::model::bpr {
namespace {

// A stream for each person and round.
std::uint64_t stream_of(std::uint64_t round, std::span<const Observation> training) {
  std::uint64_t state = round;
  std::uint64_t stream = dataset::split_mix(state);
  for (const Observation& event : training) {
    state = stream ^ event.item;
    stream = dataset::split_mix(state);
  }
  return stream;
}

}  // namespace

NegativeSampler::NegativeSampler(std::uint64_t seed, std::uint64_t round, std::span<const Observation> training,
                                 std::uint32_t items)
    : training_(training), items_(items), generator_(seed, stream_of(round, training)) {
  CHORUS_ENSURE(training.empty() || training.back().item < items, "events are of items of the catalogue");
}

std::uint32_t NegativeSampler::next() {
  CHORUS_ENSURE(possible(), "there is an item to draw");
  const auto place = static_cast<std::uint32_t>(generator_.below(items_ - training_.size()));
  // The place-th item that is not chosen: place and how many chosen ones come before it. Before the k-th chosen item
  // t_k there are t_k − k others.
  std::size_t first = 0;
  std::size_t last = training_.size();
  while (first < last) {
    const std::size_t middle = first + (last - first) / 2;
    if (training_[middle].item - middle <= place) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return place + static_cast<std::uint32_t>(first);
}

}  // namespace chorus::model::bpr
