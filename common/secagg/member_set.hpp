// A set of roster positions: the bitmaps U2, U3 and `held`. One encoding: ⌈n/8⌉ bytes, position i at bit i mod 8 of
// byte i/8, padding bits zero. A bitmap cannot say that a member is both in and out.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/check.hpp"

namespace chorus::secagg {

class MemberSet {
 public:
  MemberSet() = default;
  explicit MemberSet(std::uint32_t members) : members_(members), words_((members + 63) / 64) {}

  [[nodiscard]] std::uint32_t members() const noexcept { return members_; }
  [[nodiscard]] bool contains(std::uint32_t position) const noexcept {
    return position < members_ && ((words_[position / 64] >> (position % 64)) & 1) != 0;
  }
  void insert(std::uint32_t position) {
    CHORUS_ENSURE(position < members_, "a position is below the roster's size");
    words_[position / 64] |= std::uint64_t{1} << (position % 64);
  }
  void erase(std::uint32_t position) {
    CHORUS_ENSURE(position < members_, "a position is below the roster's size");
    words_[position / 64] &= ~(std::uint64_t{1} << (position % 64));
  }
  [[nodiscard]] std::uint32_t size() const noexcept;
  [[nodiscard]] bool is_subset_of(const MemberSet& other) const noexcept;
  // In increasing order.
  [[nodiscard]] std::vector<std::uint32_t> positions() const;

  [[nodiscard]] static constexpr std::size_t encoded_size(std::uint32_t members) noexcept { return (members + 7) / 8; }
  void encode(ByteWriter& out) const;
  // Rejects padding bits that are set. `members` is known from the roster: no length travels.
  [[nodiscard]] static MemberSet decode(ByteReader& in, std::uint32_t members);

  friend bool operator==(const MemberSet&, const MemberSet&) = default;

 private:
  std::uint32_t members_ = 0;
  std::vector<std::uint64_t> words_;
};

}  // namespace chorus::secagg
