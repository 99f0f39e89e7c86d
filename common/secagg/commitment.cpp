#include "common/secagg/commitment.hpp"

#include "common/crypto/hash.hpp"
#include "common/crypto/merkle.hpp"

namespace chorus::secagg {

namespace {

// The preimage holds a secret; it lives in a buffer that is wiped.
template <std::size_t N>
struct Preimage {
  ByteArray<N> bytes{};
  std::size_t size = 0;
  ~Preimage() { crypto::wipe(bytes); }
  void put(ByteView part) {
    std::copy(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    size += part.size();
  }
  void put(std::uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes[size++] = static_cast<std::uint8_t>(value >> (8 * i));
  }
  [[nodiscard]] Digest hash() const { return crypto::sha256(ByteView(bytes).first(size)); }
};

}  // namespace

Digest commit(ShareKind kind, const Digest& h1, std::uint32_t dealer, std::uint32_t holder, const Opening& opening) {
  static constexpr std::string_view kLabel = "CSA/1/share-commitment";
  Preimage<kLabel.size() + 2 + 32 + 8 + Opening::kSize> preimage;
  preimage.put(as_bytes(kLabel));
  preimage.put(ByteArray<2>{0, static_cast<std::uint8_t>(kind)});
  preimage.put(h1);
  preimage.put(dealer);
  preimage.put(holder);
  preimage.put(opening.share.expose());
  preimage.put(opening.salt.expose());
  return preimage.hash();
}

Digest commit_seed(const Digest& h1, std::uint32_t dealer, const crypto::SecretBytes<32>& beta) {
  static constexpr std::string_view kLabel = "CSA/1/seed-commitment";
  Preimage<kLabel.size() + 1 + 32 + 4 + 32> preimage;
  preimage.put(as_bytes(kLabel));
  preimage.put(ByteArray<1>{0});
  preimage.put(h1);
  preimage.put(dealer);
  preimage.put(beta.expose());
  return preimage.hash();
}

Digest ShareCommitments::leaf() const {
  ByteArray<kSize> both;
  std::copy(beta.begin(), beta.end(), both.begin());
  std::copy(kappa.begin(), kappa.end(), both.begin() + 32);
  return crypto::merkle_leaf(both);
}

Bytes dealer_statement(const Digest& h1, const Digest& root, const Digest& seed_commitment) {
  ByteWriter writer;
  writer.raw(h1);
  writer.raw(root);
  writer.raw(seed_commitment);
  return std::move(writer).take();
}

}  // namespace chorus::secagg
