// What keeps a hostile payload small in memory. Cereal resizes a container by the length that it read, before it reads
// the elements; here a length is held against the limit of its field and against the bytes that are left. For
// codec.cpp alone: no other file includes Cereal.
#pragma once

#include <algorithm>
#include <cstdint>
#include <istream>
#include <optional>
#include <streambuf>
#include <string>

#include <cereal/archives/portable_binary.hpp>

#include "common/base/bytes.hpp"
#include "common/base/check.hpp"

namespace chorus::wire {

// Appends to a byte string.
class ByteSink final : public std::streambuf {
 public:
  explicit ByteSink(Bytes& out) : out_(out) {}

 protected:
  std::streamsize xsputn(const char* data, std::streamsize size) override {
    const auto* const first = reinterpret_cast<const std::uint8_t*>(data);
    out_.insert(out_.end(), first, first + size);
    return size;
  }

 private:
  Bytes& out_;
};

// Reads a payload, and says how much of it is left.
class PayloadSource final : public std::streambuf {
 public:
  explicit PayloadSource(ByteView payload) : left_(payload) {}
  [[nodiscard]] std::size_t remaining() const noexcept { return left_.size(); }

 protected:
  std::streamsize xsgetn(char* data, std::streamsize size) override {
    const std::size_t taken = std::min(static_cast<std::size_t>(size), left_.size());
    std::copy_n(left_.begin(), taken, reinterpret_cast<std::uint8_t*>(data));
    left_ = left_.subspan(taken);
    return static_cast<std::streamsize>(taken);
  }

 private:
  ByteView left_;
};

using OutputArchive = cereal::PortableBinaryOutputArchive;

// Cereal's archive, which knows besides how much of the payload is left.
class InputArchive final : public cereal::PortableBinaryInputArchive {
 public:
  // REQUIRES: `stream` reads `source`; both outlive the archive.
  InputArchive(const PayloadSource& source, std::istream& stream)
      : cereal::PortableBinaryInputArchive(stream), source_(source) {}
  [[nodiscard]] std::size_t remaining() const noexcept { return source_.remaining(); }

 private:
  const PayloadSource& source_;
};

[[noreturn]] inline void refuse(const char* reason) {
  throw cereal::Exception(reason);
}

// A container of bytes (Bytes or std::string) of at most Max: a 32-bit length, then the bytes.
template <typename Container, std::size_t Max>
struct Bounded {
  static_assert(sizeof(typename Container::value_type) == 1);
  Container& value;

  template <typename Archive>
  void save(Archive& archive) const {
    CHORUS_ENSURE(value.size() <= Max, "the sender keeps the limits of the protocol");
    archive(static_cast<std::uint32_t>(value.size()));
    archive(cereal::binary_data(value.data(), value.size()));
  }
  // REQUIRES: the archive is an InputArchive; Cereal passes its base on.
  void load(cereal::PortableBinaryInputArchive& archive) {
    std::uint32_t size = 0;
    archive(size);
    if (size > Max) refuse("a field is longer than its limit");
    if (size > static_cast<InputArchive&>(archive).remaining()) refuse("a field is longer than the message");
    value.resize(size);
    archive(cereal::binary_data(value.data(), value.size()));
  }
};
template <std::size_t Max, typename Container>
Bounded<Container, Max> bounded(Container& value) {
  return {value};
}

// An enumerator from First to Last, as one byte.
template <auto First, auto Last>
struct Enumerated {
  using Enum = decltype(First);
  static_assert(sizeof(Enum) == 1);
  Enum& value;

  template <typename Archive>
  void save(Archive& archive) const {
    archive(static_cast<std::uint8_t>(value));
  }
  template <typename Archive>
  void load(Archive& archive) {
    std::uint8_t byte = 0;
    archive(byte);
    if (byte < static_cast<std::uint8_t>(First) || byte > static_cast<std::uint8_t>(Last)) refuse("an unknown kind");
    value = static_cast<Enum>(byte);
  }
};

// One byte, 0 or 1.
struct Flag {
  bool& value;

  template <typename Archive>
  void save(Archive& archive) const {
    archive(static_cast<std::uint8_t>(value ? 1 : 0));
  }
  template <typename Archive>
  void load(Archive& archive) {
    std::uint8_t byte = 0;
    archive(byte);
    if (byte > 1) refuse("a flag that is neither 0 nor 1");
    value = byte == 1;
  }
};

// A flag, then the value if it is there.
template <typename T>
struct Maybe {
  std::optional<T>& value;

  template <typename Archive>
  void save(Archive& archive) const {
    bool there = value.has_value();
    archive(Flag{there});
    if (there) archive(*value);
  }
  template <typename Archive>
  void load(Archive& archive) {
    bool there = false;
    archive(Flag{there});
    if (!there) {
      value.reset();
      return;
    }
    archive(value.emplace());
  }
};

// A fixed number of bytes.
template <std::size_t N>
auto fixed(ByteArray<N>& bytes) {
  return cereal::binary_data(bytes.data(), bytes.size());
}

}  // namespace chorus::wire
