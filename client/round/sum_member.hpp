// One member's half of a secure sum (CSA/1; design: secure aggregation, section 2), sans-IO: messages in, messages out,
// no clock, no socket.
//
//   idle ─advertise()→ advertised ─roster→ shared ─delivery→ uploaded ─survivors→ voted ─certificate→ unmasked
//   ─finish()→ done
//
// Each state takes one message; the same bytes again are ignored (nullopt), different ones abort. Any error aborts:
// every secret is wiped with the state that owned it, and nothing of the session is ever sent again.
#pragma once

#include <memory>
#include <optional>

#include "common/crypto/random_source.hpp"
#include "common/plan/update_layout.hpp"
#include "common/secagg/messages.hpp"
#include "common/secagg/roster.hpp"

namespace chorus::client {

// What a plan says of its secure sum, and the hash of the manifest that said it.
struct SumTerms {
  Digest h0{};
  plan::UpdateLayout layout;
  secagg::Roster::Bounds bounds;
};

// Promises that must survive a crash, kept by the device's store: what is promised is durable when it returns. An error
// aborts.
class SumPromises {
 public:
  virtual ~SumPromises() = default;
  // When the roster has told what the round would cost, before this member's shares leave: whether charge(honest) would
  // be granted now. Promises nothing and writes nothing. Errors: budget_exhausted, cost_above_policy.
  [[nodiscard]] virtual Status afford(std::uint32_t honest) = 0;
  // Before the first byte of the masked update leaves: the update counts as released, whatever becomes of the round.
  // `honest` is N, the honest contributors that hide this one. Errors: budget_exhausted, cost_above_policy.
  [[nodiscard]] virtual Status charge(std::uint32_t honest) = 0;
  // Before the vote on h3 leaves. Errors: already_signed, if another h3 was ever voted for in this session.
  [[nodiscard]] virtual Status vote(const Digest& h3) = 0;
};

struct SumIdentity {
  const identity::IdentityStatement* statement = nullptr;
  const crypto::SigningKey* key = nullptr;
};

// The masked update: the packed vector, sent in pieces, and the message that ends it.
struct MaskedUpdate {
  Bytes vector;
  Bytes end;  // secagg::Masked
};

// What a member checks. Daemons and the library have no other; a test that needs a defence switched off brings a type
// of its own (tests/).
struct FullChecks {
  static constexpr bool roster_leaves = true;       // step 2: identities, and the signatures on keys
  static constexpr bool dealer_signatures = true;   // step 4: whose lie it is that a share does not open
  static constexpr bool share_authenticity = true;  // step 4: at least t shares open
  static constexpr bool dealer_set_size = true;     // step 4: |U2| ≥ n − D
  static constexpr bool survivor_set_size = true;   // step 6: |U3| ≥ n − D, U3 ⊆ U2
  static constexpr bool one_vote = true;            // step 6
  static constexpr bool quorum = true;              // step 7
};

// Not thread-safe. The referenced objects outlive it.
template <typename Checks = FullChecks>
class BasicSumMember {
 public:
  // `update`: the encoded update, packed as the layout says; it is wiped when it has been masked.
  BasicSumMember(SumTerms terms, SumIdentity identity, secagg::AdmissionRules rules,
                 secagg::VerifiedStatements& verified, crypto::ZeroizingBytes update, crypto::RandomSource& random,
                 SumPromises& promises);
  ~BasicSumMember();
  BasicSumMember(BasicSumMember&&) noexcept;
  BasicSumMember& operator=(BasicSumMember&&) noexcept;

  // The leaf to send (step 1). REQUIRES: idle.
  [[nodiscard]] Bytes advertise();
  // Steps 2 and 3: the roster → this member's shares. Errors: those of secagg::Roster; malformed (own leaf missing);
  // those of SumPromises::afford.
  [[nodiscard]] Result<std::optional<Bytes>> on_roster(ByteView bytes);
  // Steps 4 and 5: the others' shares → the masked update. Errors: malformed, cohort_too_small (U2), bad_signature,
  // bad_key, share_not_authentic, those of SumPromises::charge.
  [[nodiscard]] Result<std::optional<MaskedUpdate>> on_delivery(ByteView bytes);
  // Step 6: the survivors → the vote (a signature on h3). Errors: bad_survivors, cohort_too_small, those of
  // SumPromises::vote.
  [[nodiscard]] Result<std::optional<Bytes>> on_survivors(ByteView bytes);
  // Steps 7 and 8: the certificate → the openings. Errors: bad_quorum, malformed.
  [[nodiscard]] Result<std::optional<Bytes>> on_certificate(ByteView bytes);
  // The result came (step 10). Errors: out_of_phase.
  [[nodiscard]] Status finish();
  // Wipes everything.
  void abort() noexcept;

  enum class State { idle, advertised, shared, uploaded, voted, unmasked, done, aborted };
  [[nodiscard]] State state() const noexcept;
  // Known from `shared` on.
  [[nodiscard]] std::optional<secagg::Parameters> parameters() const noexcept;

 private:
  struct Machine;
  std::unique_ptr<Machine> machine_;
};

extern template class BasicSumMember<FullChecks>;
using SumMember = BasicSumMember<>;

}  // namespace chorus::client
