// Who may be enrolled: the invitations that were given out, and the keys that wait for an operator. A value; certs/io
// keeps it in enrolments.tsv.
//
// Text, UTF-8, one entry a line, fields separated by tabs, dates in UTC, "-" where there is nothing:
//
//   # chorus-certs enrolments 1
//   invitation  number  hash  made  ends  state  key  device      state: open, used, withdrawn
//   request     key     asked  ends  state  device                state: waiting, approved, declined
//
// Of an invitation's secret there is only a hash: whoever reads the file can enrol nobody.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/crypto/random_source.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/device_id.hpp"
#include "common/protocol/enrolment.hpp"

namespace chorus::certs {

// How long an invitation holds unless a caller says otherwise.
inline constexpr std::chrono::days kInvitationLifetime{7};
// How long a key waits for an operator, and an approved one may be fetched.
inline constexpr std::chrono::days kRequestLifetime{7};
// Keys that wait at a time; anybody may ask.
inline constexpr std::size_t kMostWaiting = 1'000;

// Who was admitted: the key that asked, and the device that it became.
struct Admitted {
  crypto::PublicKey key{};
  identity::DeviceId device;

  friend bool operator==(const Admitted&, const Admitted&) = default;
};

struct InvitationRecord {
  ByteArray<8> number{};
  Digest hash{};
  WallTime made{};
  WallTime ends{};
  std::optional<Admitted> used;  // by whom, once
  bool withdrawn = false;

  friend bool operator==(const InvitationRecord&, const InvitationRecord&) = default;
};

struct RequestRecord {
  enum class State : std::uint8_t { waiting, approved, declined };

  crypto::PublicKey key{};
  WallTime asked{};
  WallTime ends{};
  State state = State::waiting;
  std::optional<identity::DeviceId> device;  // once approved

  friend bool operator==(const RequestRecord&, const RequestRecord&) = default;
};
[[nodiscard]] std::string_view to_string(RequestRecord::State state) noexcept;

// Not thread-safe.
class EnrolmentDesk {
 public:
  // Errors: malformed ("line 3: ..."), unsupported_version.
  [[nodiscard]] static Result<EnrolmentDesk> parse(std::string_view text);
  [[nodiscard]] std::string text() const;

  // In the order in which they were made.
  [[nodiscard]] const std::vector<InvitationRecord>& invitations() const noexcept { return invitations_; }
  [[nodiscard]] const std::vector<RequestRecord>& requests() const noexcept { return requests_; }

  [[nodiscard]] protocol::enrolment::Token invite(WallTime now, std::chrono::seconds lifetime,
                                                  crypto::RandomSource& random);
  // Errors: not_found; already_exists (it was used: revoke the device).
  [[nodiscard]] Status withdraw(const ByteArray<8>& number);

  // Uses up the invitation, and says which device the key becomes. The same key again, as after an answer that was
  // lost, becomes the same device. Errors: bad_identity, one sentence for each cause that the bearer need not know
  // apart: unknown, a wrong secret, used by another key, withdrawn, out of date.
  [[nodiscard]] Result<identity::DeviceId> redeem(const protocol::enrolment::Token& token, const crypto::PublicKey& key,
                                                  WallTime now, crypto::RandomSource& random);
  // A key without an invitation: the device that it was approved as, or nothing while it waits.
  // Errors: bad_identity (declined); overloaded (too many wait).
  [[nodiscard]] Result<std::optional<identity::DeviceId>> ask(const crypto::PublicKey& key, WallTime now);
  // The operator's word on a key that waits. Errors: not_found.
  [[nodiscard]] Status approve(const crypto::PublicKey& key, WallTime now, crypto::RandomSource& random);
  [[nodiscard]] Status decline(const crypto::PublicKey& key, WallTime now);

 private:
  // Forgets what ended. An invitation that was used is kept for a while: its bearer may ask why it no longer holds.
  void tidy(WallTime now);
  [[nodiscard]] Result<RequestRecord*> waiting(const crypto::PublicKey& key, WallTime now);

  std::vector<InvitationRecord> invitations_;
  std::vector<RequestRecord> requests_;
};

}  // namespace chorus::certs
