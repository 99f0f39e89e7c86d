// Secrets that die where they should.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <vector>

#include "common/base/bytes.hpp"

namespace chorus::crypto {

// Overwrites memory in a way that the compiler keeps (OPENSSL_cleanse).
void wipe(std::span<std::uint8_t> memory) noexcept;
// Compares without a data-dependent branch; false if the lengths differ.
[[nodiscard]] bool equal_constant_time(ByteView a, ByteView b) noexcept;

// N secret bytes. Cannot be copied; a move wipes the source; the destructor wipes; comparison is constant-time;
// it cannot be printed. `expose()` is the one door, and tests/architecture lists the files that may use it.
// Not thread-safe.
template <std::size_t N>
class SecretBytes {
 public:
  SecretBytes() noexcept = default;
  explicit SecretBytes(std::span<const std::uint8_t, N> bytes) noexcept { copy_from(bytes.data()); }
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  SecretBytes(SecretBytes&& other) noexcept {
    copy_from(other.bytes_.data());
    wipe(other.bytes_);
  }
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    if (this != &other) {
      copy_from(other.bytes_.data());
      wipe(other.bytes_);
    }
    return *this;
  }
  ~SecretBytes() { wipe(bytes_); }

  [[nodiscard]] std::span<const std::uint8_t, N> expose() const noexcept { return bytes_; }
  // For the functions that produce a secret in place.
  [[nodiscard]] std::span<std::uint8_t, N> expose() noexcept { return bytes_; }

  friend bool operator==(const SecretBytes& a, const SecretBytes& b) noexcept {
    return equal_constant_time(a.bytes_, b.bytes_);
  }
  friend std::ostream& operator<<(std::ostream&, const SecretBytes&) = delete;

 private:
  void copy_from(const std::uint8_t* source) noexcept {
    for (std::size_t i = 0; i < N; ++i) bytes_[i] = source[i];
  }

  std::array<std::uint8_t, N> bytes_{};
};

// For containers of personal or secret values: memory is wiped before it is given back.
template <typename T>
struct ZeroizingAllocator {
  using value_type = T;
  ZeroizingAllocator() noexcept = default;
  template <typename U>
  explicit(false) ZeroizingAllocator(const ZeroizingAllocator<U>&) noexcept {}
  [[nodiscard]] T* allocate(std::size_t n) { return std::allocator<T>().allocate(n); }
  void deallocate(T* memory, std::size_t n) noexcept {
    wipe({reinterpret_cast<std::uint8_t*>(memory), n * sizeof(T)});
    std::allocator<T>().deallocate(memory, n);
  }
  template <typename U>
  friend bool operator==(const ZeroizingAllocator&, const ZeroizingAllocator<U>&) noexcept {
    return true;
  }
};

template <typename T>
using ZeroizingVector = std::vector<T, ZeroizingAllocator<T>>;
using ZeroizingBytes = ZeroizingVector<std::uint8_t>;

}  // namespace chorus::crypto
