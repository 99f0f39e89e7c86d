// The frames of one blob, for many sessions: a frame is encoded when the first session needs it and shared by all that
// need it at about the same time; nobody holds more than the frame it writes. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/protocol/messages.hpp"
#include "common/wire/frame.hpp"

namespace chorus::coordinator {

class BlobFrames {
 public:
  BlobFrames(protocol::BlobKind kind, std::uint64_t version, std::shared_ptr<const Bytes> bytes);
  [[nodiscard]] std::size_t count() const noexcept { return frames_.size(); }
  // REQUIRES: index < count().
  [[nodiscard]] wire::Frame frame(std::size_t index);

 private:
  protocol::BlobKind kind_;
  std::uint64_t version_;
  std::shared_ptr<const Bytes> bytes_;
  std::vector<std::weak_ptr<const Bytes>> frames_;
};

}  // namespace chorus::coordinator
