// SHA-256 (FIPS 180-4).
#pragma once

#include <memory>

#include "common/base/bytes.hpp"

namespace chorus::crypto {

[[nodiscard]] Digest sha256(ByteView bytes);

// SHA-256 of a stream. Not thread-safe; movable.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256& update(ByteView bytes);
  // The digest of all that was fed; the object is then as new.
  [[nodiscard]] Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace chorus::crypto
