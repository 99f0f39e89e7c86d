// Is this certificate the enrolment authority's word, now, for this role? The same question that TLS asks, without a
// connection.
#pragma once

#include <memory>

#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/revocation_list.hpp"

namespace chorus::identity {

// Holds an authority and its revocation list, parsed once. Thread-safe; movable.
class ChainVerifier {
 public:
  // Errors: bad_certificate, if `authority` is no authority's certificate.
  [[nodiscard]] static Result<ChainVerifier> create(const Certificate& authority, const RevocationList& list);
  ~ChainVerifier();
  ChainVerifier(ChainVerifier&&) noexcept;
  ChainVerifier& operator=(ChainVerifier&&) noexcept;

  // Errors:
  //   bad_certificate  another role or authority, or a signature, name or extension that does not hold
  //   revoked
  //   not_yet_valid    the certificate, the authority's own or the list
  //   expired          the certificate, the authority's own or the list (one that is out of date proves nothing)
  [[nodiscard]] Status verify(const Certificate& certificate, WallTime now, SubjectKind role) const;

 private:
  struct State;
  explicit ChainVerifier(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// ChainVerifier::create and verify at once.
[[nodiscard]] Status verify(const Certificate& certificate, const Certificate& authority, const RevocationList& list,
                            WallTime now, SubjectKind role);

}  // namespace chorus::identity
