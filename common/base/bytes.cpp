#include "common/base/bytes.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/base/check.hpp"

namespace chorus {

static_assert(std::endian::native == std::endian::little, "float runs are copied as they lie in memory");

namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 0x0f]);
  }
  return text;
}

Status from_hex_into(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != out.size() * 2) {
    return fail(ErrorCode::malformed, "expected " + std::to_string(out.size() * 2) + " hexadecimal digits, found " +
                                          std::to_string(text.size()) + " characters");
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return fail(ErrorCode::malformed, "expected hexadecimal digits");
    out[i] = static_cast<std::uint8_t>((high << 4) | low);
  }
  return {};
}

Result<Bytes> from_hex(std::string_view text) {
  Bytes out(text.size() / 2);
  CHORUS_TRY_DO(from_hex_into(text, out));
  return out;
}

void ByteWriter::little_endian(std::uint64_t value, int width) {
  for (int i = 0; i < width; ++i) bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void ByteWriter::f32(float value) { u32(std::bit_cast<std::uint32_t>(value)); }
void ByteWriter::f64(double value) { u64(std::bit_cast<std::uint64_t>(value)); }

void ByteWriter::bytes(ByteView bytes) {
  CHORUS_ENSURE(bytes.size() <= UINT32_MAX, "a byte string fits its 32-bit length");
  u32(static_cast<std::uint32_t>(bytes.size()));
  raw(bytes);
}

void ByteWriter::f32s(std::span<const float> values) {
  raw({reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()});
}

void ByteReader::reject(std::string_view reason) {
  if (failed_) return;
  failed_ = true;
  reason_ = reason;
}

ByteView ByteReader::view(std::size_t size) {
  if (failed_ || size > remaining()) {
    reject("truncated");
    return {};
  }
  const ByteView taken = input_.subspan(position_, size);
  position_ += size;
  return taken;
}

std::uint64_t ByteReader::little_endian(std::size_t width) {
  const ByteView taken = view(width);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < taken.size(); ++i) value |= std::uint64_t{taken[i]} << (8 * i);
  return value;
}

std::uint8_t ByteReader::u8() { return static_cast<std::uint8_t>(little_endian(1)); }
std::uint16_t ByteReader::u16() { return static_cast<std::uint16_t>(little_endian(2)); }
std::uint32_t ByteReader::u32() { return static_cast<std::uint32_t>(little_endian(4)); }
std::uint64_t ByteReader::u64() { return little_endian(8); }
float ByteReader::f32() { return std::bit_cast<float>(u32()); }
double ByteReader::f64() { return std::bit_cast<double>(u64()); }

void ByteReader::raw(std::span<std::uint8_t> out) {
  const ByteView taken = view(out.size());
  if (taken.size() == out.size()) {
    std::copy(taken.begin(), taken.end(), out.begin());
  } else {
    std::fill(out.begin(), out.end(), std::uint8_t{0});
  }
}

ByteView ByteReader::bytes(std::size_t max) {
  const std::size_t size = u32();
  if (size > max) {
    reject("a byte string of " + std::to_string(size) + " bytes, more than the " + std::to_string(max) + " allowed");
    return {};
  }
  return view(size);
}

std::string ByteReader::string(std::size_t max) {
  const ByteView taken = bytes(max);
  return {taken.begin(), taken.end()};
}

void ByteReader::f32s(std::span<float> out) {
  const ByteView taken = view(out.size_bytes());
  if (taken.size() == out.size_bytes()) {
    if (!taken.empty()) std::memcpy(out.data(), taken.data(), taken.size());
  } else {
    std::fill(out.begin(), out.end(), 0.0F);
  }
}

std::size_t ByteReader::count(std::size_t max, std::size_t element_size) {
  const std::size_t count = u32();
  if (count > max) {
    reject("a count of " + std::to_string(count) + ", more than the " + std::to_string(max) + " allowed");
    return 0;
  }
  if (element_size != 0 && count > remaining() / element_size) {
    reject("truncated");
    return 0;
  }
  return failed_ ? 0 : count;
}

Status ByteReader::finish(std::string_view what) const {
  if (failed_) return fail(ErrorCode::malformed, std::string(what) + " is malformed: " + reason_);
  if (remaining() != 0) {
    return fail(ErrorCode::malformed,
                std::string(what) + " is malformed: " + std::to_string(remaining()) + " bytes after its end");
  }
  return {};
}

}  // namespace chorus
