#include "coordinator/io/blob_frames.hpp"

#include <algorithm>

#include "common/base/check.hpp"

namespace chorus::coordinator {

BlobFrames::BlobFrames(protocol::BlobKind kind, std::uint64_t version, std::shared_ptr<const Bytes> bytes)
    : kind_(kind),
      version_(version),
      bytes_(std::move(bytes)),
      frames_((bytes_->size() + protocol::kChunkSize - 1) / protocol::kChunkSize) {
  CHORUS_ENSURE(!frames_.empty(), "a catalogue or a model is not empty");
}

wire::Frame BlobFrames::frame(std::size_t index) {
  if (auto shared = frames_[index].lock()) return shared;
  const std::size_t offset = index * protocol::kChunkSize;
  const std::size_t size = std::min(protocol::kChunkSize, bytes_->size() - offset);
  const auto begin = bytes_->begin() + static_cast<std::ptrdiff_t>(offset);
  wire::Frame made = wire::encode(protocol::Blob{.kind = kind_,
                                                 .version = version_,
                                                 .offset = offset,
                                                 .total = bytes_->size(),
                                                 .data = Bytes(begin, begin + static_cast<std::ptrdiff_t>(size))});
  frames_[index] = made;
  return made;
}

}  // namespace chorus::coordinator
