#include "common/secagg/member_set.hpp"

namespace chorus::secagg {

std::uint32_t MemberSet::size() const noexcept {
  int count = 0;
  for (const std::uint64_t word : words_) count += std::popcount(word);
  return static_cast<std::uint32_t>(count);
}

bool MemberSet::is_subset_of(const MemberSet& other) const noexcept {
  if (members_ != other.members_) return false;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    if ((words_[i] & ~other.words_[i]) != 0) return false;
  }
  return true;
}

std::vector<std::uint32_t> MemberSet::positions() const {
  std::vector<std::uint32_t> out;
  out.reserve(size());
  for (std::size_t i = 0; i < words_.size(); ++i) {
    for (std::uint64_t word = words_[i]; word != 0; word &= word - 1) {
      out.push_back(static_cast<std::uint32_t>(i * 64) + static_cast<std::uint32_t>(std::countr_zero(word)));
    }
  }
  return out;
}

void MemberSet::encode(ByteWriter& out) const {
  for (std::size_t byte = 0; byte < encoded_size(members_); ++byte) {
    out.u8(static_cast<std::uint8_t>(words_[byte / 8] >> (8 * (byte % 8))));
  }
}

MemberSet MemberSet::decode(ByteReader& in, std::uint32_t members) {
  MemberSet set(members);
  const ByteView bytes = in.view(encoded_size(members));
  for (std::size_t i = 0; i < bytes.size(); ++i) set.words_[i / 8] |= std::uint64_t{bytes[i]} << (8 * (i % 8));
  if (members % 8 != 0 && !bytes.empty() && (bytes.back() >> (members % 8)) != 0) {
    in.reject("a bitmap with bits beyond its members");
  }
  return set;
}

}  // namespace chorus::secagg
