// AES-256-CTR key stream from any block on, for the mask kernel (common/ring): like Prg, without the interface's
// indirection, and seekable.
#pragma once

#include <cstdint>
#include <span>

#include "common/crypto/secret_bytes.hpp"

struct evp_cipher_ctx_st;

namespace chorus::crypto {

// Initial counter block: `stream` (8 bytes, big-endian) ‖ block number (8 bytes, big-endian). Not thread-safe; moves.
class KeyStream {
 public:
  KeyStream(const SecretBytes<32>& seed, std::uint64_t stream, std::uint64_t first_block);
  ~KeyStream();
  KeyStream(KeyStream&& other) noexcept;
  KeyStream& operator=(KeyStream&& other) noexcept;

  // The next out.size() bytes of the stream, written over `out`. REQUIRES: out.size() ≤ 64 KiB.
  void next(std::span<std::uint8_t> out) noexcept;

 private:
  evp_cipher_ctx_st* context_;
};

}  // namespace chorus::crypto
