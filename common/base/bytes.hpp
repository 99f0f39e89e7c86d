// Byte strings and the canonical encoding: everything that is hashed or signed is written by ByteWriter and
// read by ByteReader. Little-endian fixed-width integers; strings and byte strings are prefixed by a 32-bit
// length; floats are the bits of their IEEE 754 form. A value has exactly one encoding.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"

namespace chorus {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

template <std::size_t N>
using ByteArray = std::array<std::uint8_t, N>;

// SHA-256 digests (common/crypto/hash.hpp computes them).
using Digest = ByteArray<32>;

[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Lower-case hexadecimal.
[[nodiscard]] std::string to_hex(ByteView bytes);
// Errors: malformed, if `text` has an odd length or a character outside [0-9a-fA-F].
[[nodiscard]] Result<Bytes> from_hex(std::string_view text);
// As above, and exactly out.size() bytes.
[[nodiscard]] Status from_hex_into(std::string_view text, std::span<std::uint8_t> out);

// Appends canonical encodings to a byte string. Not thread-safe.
class ByteWriter {
 public:
  void u8(std::uint8_t value) { bytes_.push_back(value); }
  void u16(std::uint16_t value) { little_endian(value, 2); }
  void u32(std::uint32_t value) { little_endian(value, 4); }
  void u64(std::uint64_t value) { little_endian(value, 8); }
  void i64(std::int64_t value) { u64(static_cast<std::uint64_t>(value)); }
  void f32(float value);
  void f64(double value);
  // The bytes alone, for fixed-length fields.
  void raw(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  // A 32-bit length, then the bytes.
  void bytes(ByteView bytes);
  void string(std::string_view text) { bytes(as_bytes(text)); }
  // Many floats at once, without a length.
  void f32s(std::span<const float> values);

  void reserve(std::size_t size) { bytes_.reserve(size); }
  [[nodiscard]] const Bytes& view() const noexcept { return bytes_; }
  [[nodiscard]] Bytes take() && noexcept { return std::move(bytes_); }

 private:
  void little_endian(std::uint64_t value, int width);

  Bytes bytes_;
};

// Reads what ByteWriter wrote. The first error sticks: further reads return zeros, and `finish()` reports it,
// so a parser reads its fields in one run and asks once. Never allocates more than the input holds.
// Not thread-safe; the input must outlive the reader.
class ByteReader {
 public:
  explicit ByteReader(ByteView input) : input_(input) {}

  std::uint8_t u8();
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u64();
  std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
  float f32();
  double f64();
  // Exactly out.size() bytes.
  void raw(std::span<std::uint8_t> out);
  template <std::size_t N>
  ByteArray<N> array() {
    ByteArray<N> out{};
    raw(out);
    return out;
  }
  // A view of exactly `size` bytes of the input (empty after an error).
  ByteView view(std::size_t size);
  // A length-prefixed byte string of at most `max` bytes, as a view of the input.
  ByteView bytes(std::size_t max);
  std::string string(std::size_t max);
  void f32s(std::span<float> out);
  // A 32-bit element count, at most `max` and such that `count * element_size` bytes are still there.
  std::size_t count(std::size_t max, std::size_t element_size);

  [[nodiscard]] std::size_t remaining() const noexcept { return input_.size() - position_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  // Marks the input as malformed: `reason` says what was expected.
  void reject(std::string_view reason);
  // Errors: malformed, if any read failed or bytes are left over. `what` names the structure.
  [[nodiscard]] Status finish(std::string_view what) const;

 private:
  std::uint64_t little_endian(std::size_t width);

  ByteView input_;
  std::size_t position_ = 0;
  bool failed_ = false;
  std::string reason_;
};

}  // namespace chorus
