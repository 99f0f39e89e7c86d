// A stream of frames, cut into fragments as the first bytes say, gives what it gives in one piece.
#include <optional>
#include <vector>

#include "common/wire/frame.hpp"
#include "tests/common/wire/samples.hpp"
#include "tests/fuzz/targets.hpp"

namespace chorus::fuzz {
namespace {

struct Outcome {
  std::vector<protocol::Message> messages;
  std::optional<ErrorCode> error;
  bool mid_frame = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// `sizes` gives the lengths of the fragments, over and over; empty: one fragment.
Outcome read(ByteView stream, ByteView sizes) {
  wire::FrameReader reader;
  Outcome outcome;
  std::size_t turn = 0;
  while (!stream.empty()) {
    const std::size_t wanted = sizes.empty() ? stream.size() : std::size_t{1} + sizes[turn++ % sizes.size()];
    ByteView fragment = stream.first(std::min(wanted, stream.size()));
    stream = stream.subspan(fragment.size());
    while (!fragment.empty()) {
      auto fed = reader.feed(fragment);
      if (!fed) {
        outcome.error = fed.error().code();
        return outcome;
      }
      CHORUS_ENSURE(fed->consumed > 0, "a reader makes progress");
      fragment = fragment.subspan(fed->consumed);
      if (fed->message) outcome.messages.push_back(std::move(*fed->message));
    }
  }
  outcome.mid_frame = reader.mid_frame();
  return outcome;
}

constexpr std::size_t kSizes = 4;

}  // namespace

bool read_frames(ByteView input) {
  if (input.size() < kSizes) return false;
  const ByteView stream = input.subspan(kSizes);
  const Outcome whole = read(stream, {});
  CHORUS_ENSURE(read(stream, input.first(kSizes)) == whole, "fragments do not change what is read");
  return !whole.messages.empty();
}

std::vector<Bytes> frame_seeds() {
  std::vector<Bytes> seeds;
  for (const protocol::Message& message : wire::sample_messages()) {
    Bytes seed{0, 6, 40, 255};
    for (const protocol::Message& each : {message, protocol::Message(protocol::Finished{})}) {
      const wire::Frame frame = wire::encode(each);
      seed.insert(seed.end(), frame->begin(), frame->end());
    }
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

}  // namespace chorus::fuzz
