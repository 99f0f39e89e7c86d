// The part of an update that has come so far. Personal data: wiped when it goes. A vector with a wiping allocator
// copies byte by byte; at the rate of a network that is what a coordinator would spend its time on. Not thread-safe.
#pragma once

#include <cstring>
#include <memory>

#include "common/base/bytes.hpp"
#include "common/base/check.hpp"
#include "common/crypto/secret_bytes.hpp"

namespace chorus::coordinator {

class UploadBuffer {
 public:
  // Holds nothing.
  UploadBuffer() = default;
  UploadBuffer(const UploadBuffer&) = delete;
  UploadBuffer& operator=(const UploadBuffer&) = delete;
  UploadBuffer(UploadBuffer&& other) noexcept : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}
  UploadBuffer& operator=(UploadBuffer&& other) noexcept {
    if (this != &other) {
      clear();
      bytes_ = std::move(other.bytes_);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  ~UploadBuffer() { clear(); }

  // The first piece reserves `total` bytes; the system gives them as they are written.
  // REQUIRES: the same total each time, and room in it.
  void append(ByteView piece, std::size_t total) {
    CHORUS_ENSURE(piece.size() <= total - size_, "a piece fits what was announced");
    if (bytes_ == nullptr) bytes_ = std::make_unique_for_overwrite<std::uint8_t[]>(total);
    std::memcpy(bytes_.get() + size_, piece.data(), piece.size());
    size_ += piece.size();
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] ByteView view() const noexcept { return {bytes_.get(), size_}; }
  void clear() noexcept {
    crypto::wipe({bytes_.get(), size_});
    bytes_.reset();
    size_ = 0;
  }

 private:
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t size_ = 0;
};

}  // namespace chorus::coordinator
