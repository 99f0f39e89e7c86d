#include "common/secagg/transcript.hpp"

#include "common/crypto/hash.hpp"
#include "common/crypto/hkdf.hpp"

namespace chorus::secagg {

namespace {

ByteWriter labelled(std::string_view label) {
  ByteWriter writer;
  writer.raw(as_bytes(label));
  writer.u8(0);
  return writer;
}

Digest set_hash(std::string_view label, const Digest& before, const MemberSet& set) {
  ByteWriter writer = labelled(label);
  writer.raw(before);
  set.encode(writer);
  return crypto::sha256(writer.view());
}

crypto::SecretBytes<32> derive(const crypto::SecretBytes<32>& from, const Digest& salt, std::string_view label,
                               std::initializer_list<std::uint32_t> positions) {
  ByteWriter info = labelled(label);
  for (const std::uint32_t position : positions) info.u32(position);
  return crypto::hkdf_sha256(from.expose(), salt, info.view());
}

}  // namespace

Digest roster_hash(const Digest& h0, std::uint32_t members, ByteView leaves) {
  ByteWriter writer = labelled("CSA/1/h1");
  writer.raw(h0);
  writer.u32(members);
  writer.raw(crypto::sha256(leaves));
  return crypto::sha256(writer.view());
}

Digest dealers_hash(const Digest& h1, const MemberSet& dealers) {
  return set_hash("CSA/1/h2", h1, dealers);
}

Digest survivors_hash(const Digest& h2, const MemberSet& survivors) {
  return set_hash("CSA/1/h3", h2, survivors);
}

crypto::SecretBytes<32> share_key(const crypto::SecretBytes<32>& agreed, const Digest& h1, std::uint32_t dealer,
                                  std::uint32_t holder) {
  return derive(agreed, h1, "CSA/1/share", {dealer, holder});
}

crypto::SecretBytes<32> pair_mask_seed(const crypto::SecretBytes<32>& agreed, const Digest& h2, std::uint32_t a,
                                       std::uint32_t b) {
  return derive(agreed, h2, "CSA/1/mask", {std::min(a, b), std::max(a, b)});
}

crypto::SecretBytes<32> self_mask_seed(const crypto::SecretBytes<32>& beta, const Digest& h2, std::uint32_t member) {
  return derive(beta, h2, "CSA/1/self", {member});
}

}  // namespace chorus::secagg
