// The coordinator's half of a secure sum (CSA/1; design: secure aggregation, section 2), sans-IO: one cohort. It
// passes the members' keys, sealed shares, votes and openings on, and learns the survivors' sum and nothing else of any
// update. Owned by the cohort's round, on the federation's thread.
//
//   advertising ─→ sharing ─→ masking ─→ voting ─→ unmasking ─→ recovering ─→ done
//        └───────────┴──────────┴──────────┴──────────┴────────────┴──→ aborted
//
// A phase ends when all its members have answered, or at its deadline if enough have; with too few the sum aborts. With
// over-selection it goes on sooner: when its patience is over and as many have answered as were wanted. What
// a member sends late is dropped unread. Entering a phase means that the members named get the phase's message
// (message_for), also again after a reconnection.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "common/base/time.hpp"
#include "common/crypto/merkle.hpp"
#include "common/plan/round_plan.hpp"
#include "common/ring/fixed_point.hpp"
#include "common/secagg/messages.hpp"
#include "common/secagg/roster.hpp"
#include "coordinator/round/upload_buffer.hpp"

namespace chorus::coordinator {

struct SecureSumTerms {
  Digest h0{};
  plan::UpdateLayout layout;
  secagg::Roster::Bounds bounds;
  // How long advertising, sharing, masking, voting and unmasking may take.
  plan::PhaseDeadlines phases = plan::kDefaultDeadlines;
  // Invited over wanted, at least 1: so many more were invited than have to come. What follows from n (its dropouts,
  // its quorum, its noise) is not touched by it: no phase goes on with fewer than the protocol asks for.
  plan::Ratio over_selection{1, 1};
  plan::PhaseDeadlines patience{};  // how long a phase waits for all, at least
};

// The work that finds the sum from what the members opened: agreements, key streams, additions. It runs anywhere (a
// pool, inline) and owns all that it needs; secrets are wiped with it.
class SumRecovery {
 public:
  struct Lie {
    // Of the dealer whose committed shares make a wrong secret, or of the member that signed another update's hash.
    std::uint32_t position = 0;
    Error error;
  };
  // The cohort's sum, on up to `threads` threads. Errors: bad_dealer (a committed secret is wrong), bad_signature (an
  // update is not the one whose hash its member signed): lie() names who.
  [[nodiscard]] Result<ring::CohortSum> run(unsigned threads);
  [[nodiscard]] const std::optional<Lie>& lie() const noexcept { return lie_; }

 private:
  friend class SecureSum;
  struct Secret {
    std::uint32_t position = 0;
    secagg::ShareKind kind = secagg::ShareKind::beta;
    std::vector<std::uint32_t> holders;  // the first t whose openings match
    std::vector<secagg::Share> shares;
  };
  explicit SumRecovery(plan::UpdateLayout layout) : layout_(std::move(layout)) {}

  plan::UpdateLayout layout_;
  std::shared_ptr<const secagg::Roster> roster_;
  Digest h2_{};
  secagg::MemberSet survivors_;
  std::vector<Digest> seed_commitments_;  // [n]
  std::vector<Secret> secrets_;
  std::vector<UploadBuffer> vectors_;  // the survivors' masked updates
  std::vector<Digest> hashes_;         // of them, as signed
  std::optional<Lie> lie_;
};

class SecureSum {
 public:
  enum class Phase : std::uint8_t { advertising, sharing, masking, voting, unmasking, recovering, done, aborted };

  // What the owner has to do after an event.
  struct Entered {  // the members get message_for()
    Phase phase = Phase::advertising;
    std::vector<std::uint32_t> members;
  };
  struct Recover {  // run it, then call on_recovered
    std::unique_ptr<SumRecovery> work;
  };
  struct Named {  // a member whose own signed or sealed words prove a lie
    std::uint32_t member = 0;
    Error error;
  };
  struct Ended {};  // sum() or reason() says how
  // How many members came how far, whatever became of the sum.
  struct Funnel {
    std::uint32_t keys = 0;      // sent their keys
    std::uint32_t masked = 0;    // sent a whole masked update
    std::uint32_t unmasked = 0;  // helped to remove the masks

    Funnel& operator+=(const Funnel& other) noexcept {
      keys += other.keys;
      masked += other.masked;
      unmasked += other.unmasked;
      return *this;
    }
  };
  using Action = std::variant<Entered, Recover, Named, Ended>;
  using Actions = std::vector<Action>;

  // `invited` were sent the manifest at `opened`; a member is a position in it. `rules.now` is refreshed by on_leaf.
  SecureSum(SecureSumTerms terms, std::vector<identity::DeviceId> invited, secagg::AdmissionRules rules,
            secagg::VerifiedStatements& verified, Moment opened);

  // Each takes one member's message of the current phase. After an error nothing has changed; out_of_phase and late for
  // another phase's, duplicate for a second, different one (the same bytes again are ignored).
  [[nodiscard]] Result<Actions> on_leaf(std::uint32_t member, ByteView bytes, WallTime today, Moment now);
  [[nodiscard]] Result<Actions> on_shares(std::uint32_t member, ByteView bytes, Moment now);
  // Pieces of the masked vector, in order. Errors: malformed (a gap, another total), too_large. Whether they make the
  // update whose hash the member signs is held against it where the sum is found: to hash all that arrives here would
  // take more of this thread than TLS does. A member that lies costs its cohort the round, as one whose shares are
  // wrong, or whose update is noise, and is named.
  [[nodiscard]] Status on_piece(std::uint32_t member, std::uint64_t offset, std::uint64_t total, ByteView data,
                                Moment now);
  [[nodiscard]] Result<Actions> on_masked(std::uint32_t member, ByteView bytes, Moment now);
  [[nodiscard]] Result<Actions> on_vote(std::uint32_t member, ByteView bytes, Moment now);
  [[nodiscard]] Result<Actions> on_openings(std::uint32_t member, ByteView bytes, Moment now);
  [[nodiscard]] Actions on_recovered(Result<ring::CohortSum> sum, const SumRecovery& work);
  // A member that declined or is gone for good. (One that may reconnect is simply waited for.)
  [[nodiscard]] Actions on_gone(std::uint32_t member, Moment now);
  // A member that was thought gone is there again: it is waited for.
  void on_returned(std::uint32_t member);
  [[nodiscard]] Actions on_time(Moment now);
  [[nodiscard]] Actions abort(Error reason);

  [[nodiscard]] Phase phase() const noexcept { return static_cast<Phase>(state_.index()); }
  [[nodiscard]] std::optional<Moment> next_deadline() const;
  // What the current phase told this member; absent if it has no part in the phase.
  [[nodiscard]] std::optional<Bytes> message_for(std::uint32_t member) const;
  // How far a member's vector has come, for one that reconnects in mid-upload.
  [[nodiscard]] std::uint64_t received(std::uint32_t member) const noexcept;

  [[nodiscard]] const Funnel& funnel() const noexcept { return funnel_; }
  // From sharing on.
  [[nodiscard]] const std::optional<secagg::Parameters>& parameters() const noexcept { return parameters_; }
  // From voting on: members whose updates are in the sum.
  [[nodiscard]] std::vector<std::uint32_t> survivors() const;
  [[nodiscard]] const ring::CohortSum* sum() const noexcept;
  [[nodiscard]] const Error* reason() const noexcept;

 private:
  struct Advertising {
    std::vector<std::optional<secagg::Leaf>> leaves;  // [invited]
  };
  struct Sharing {
    std::vector<std::optional<secagg::Shares>> shares;     // [n]
    std::vector<std::optional<crypto::MerkleTree>> trees;  // [n]
    Bytes roster;                                          // as every member gets it
  };
  struct Masking {
    std::vector<std::optional<secagg::Shares>> shares;
    secagg::MemberSet dealers;  // U2
    Digest h2{};
    std::vector<std::optional<crypto::MerkleTree>> trees;  // [n]
    std::vector<UploadBuffer> vectors;                     // [n], growing
    std::vector<std::optional<secagg::Masked>> ends;       // [n]
  };
  struct Voting {
    std::vector<std::optional<secagg::Shares>> shares;
    secagg::MemberSet dealers;
    secagg::MemberSet survivors;  // U3
    Digest h2{};
    Digest h3{};
    std::vector<secagg::MemberSet> held;  // [n]
    std::vector<UploadBuffer> vectors;    // of survivors
    std::vector<Digest> hashes;           // of survivors, as signed
    std::vector<std::optional<crypto::Signature>> votes;
    secagg::Certificate certificate;  // of the votes that came first, verified, in the order of their coming
  };
  struct Unmasking {
    std::vector<std::optional<secagg::Shares>> shares;
    secagg::MemberSet dealers;
    secagg::MemberSet survivors;
    Digest h2{};
    Digest h3{};
    std::vector<secagg::MemberSet> held;
    std::vector<UploadBuffer> vectors;
    std::vector<Digest> hashes;
    Bytes certificate;
    std::vector<SumRecovery::Secret> secrets;  // [n], of the dealers
    std::vector<Digest> taken;                 // [n]
  };
  struct Recovering {
    secagg::MemberSet survivors;
  };
  struct Done {
    secagg::MemberSet survivors;
    ring::CohortSum sum;
  };
  struct Aborted {
    Error reason;
  };

  template <typename State>
  [[nodiscard]] Result<State*> in_phase(std::uint32_t member, std::string_view what, Moment now);
  void begin_phase(plan::SumPhase phase, Moment now);
  [[nodiscard]] bool waits_for_more() const;
  // With over-selection: as many have answered as the phase wants.
  [[nodiscard]] bool has_enough() const;
  [[nodiscard]] Actions advance_if_complete(Moment now);
  [[nodiscard]] Actions advance(Moment now);
  [[nodiscard]] Actions form_roster(Advertising& from, Moment now);
  [[nodiscard]] Actions fix_dealers(Sharing& from, Moment now);
  [[nodiscard]] Actions fix_survivors(Masking& from, Moment now);
  [[nodiscard]] Actions certify(Voting& from, Moment now);
  [[nodiscard]] Actions recover(Unmasking& from);
  [[nodiscard]] Actions fail_with(ErrorCode code, std::string sentence);
  [[nodiscard]] Entered entered(std::vector<std::uint32_t> positions) const;
  [[nodiscard]] std::optional<std::uint32_t> position_of(std::uint32_t member) const;

  SecureSumTerms terms_;
  std::vector<identity::DeviceId> invited_;
  secagg::AdmissionRules rules_;
  secagg::VerifiedStatements* verified_;
  std::vector<bool> gone_;                              // [invited]
  std::shared_ptr<const secagg::Roster> roster_;        // from sharing on
  std::vector<std::optional<std::uint32_t>> position_;  // [invited]
  std::vector<std::uint32_t> member_;                   // [n]
  std::optional<secagg::Parameters> parameters_;
  Funnel funnel_;
  std::variant<Advertising, Sharing, Masking, Voting, Unmasking, Recovering, Done, Aborted> state_;
  std::optional<Moment> deadline_;
  Moment patient_until_{};
};

}  // namespace chorus::coordinator
