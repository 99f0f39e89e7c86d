// A device that follows the protocol, and everything that it ever sent. The machine is the library's own; a control
// brings one with a defence switched off.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "client/round/sum_member.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::attacks {

// One defence off each. They exist in tests alone.
struct WithoutRosterLeaves : client::FullChecks {
  static constexpr bool roster_leaves = false;
};
struct WithoutDealerSetSize : client::FullChecks {
  static constexpr bool dealer_set_size = false;
  static constexpr bool share_authenticity = false;  // a small U2 cannot bring t shares
};
struct WithoutSurvivorSetSize : client::FullChecks {
  static constexpr bool survivor_set_size = false;
};
struct WithoutOneVote : client::FullChecks {
  static constexpr bool one_vote = false;
};
struct WithoutQuorum : client::FullChecks {
  static constexpr bool quorum = false;
};
struct WithoutDealerSignatures : client::FullChecks {
  static constexpr bool dealer_signatures = false;
};
// Nothing stops a member that was told another story than its peers.
struct WithoutTranscript : client::FullChecks {
  static constexpr bool roster_leaves = false;
  static constexpr bool dealer_signatures = false;
  static constexpr bool share_authenticity = false;
};
// Verifies no signature: for rounds among the honest that are run by the thousand.
struct WithoutSignatures : client::FullChecks {
  static constexpr bool roster_leaves = false;
  static constexpr bool dealer_signatures = false;
  static constexpr bool quorum = false;
};

struct Released {
  Bytes leaf;
  std::optional<Bytes> shares;
  std::optional<client::MaskedUpdate> masked;
  std::optional<crypto::Signature> vote;
  std::optional<Bytes> openings;
};

struct MemberSetting {
  client::SumTerms terms;
  client::SumIdentity identity;
  secagg::AdmissionRules rules;
  secagg::VerifiedStatements* verified = nullptr;
  Bytes update;
  std::uint64_t seed = 0;  // of its randomness: a member with the same seed is the same device, restored
  client::SumPromises* promises = nullptr;
};

class Member {
 public:
  virtual ~Member() = default;
  // Each gives the machine a message and keeps what it answers; an error is what the machine said.
  void advertise() { released_.leaf = do_advertise(); }
  Status hear_roster(ByteView bytes) { return keep(do_roster(bytes), released_.shares); }
  Status hear_delivery(ByteView bytes) { return keep(do_delivery(bytes), released_.masked); }
  Status hear_survivors(ByteView bytes);
  Status hear_certificate(ByteView bytes) { return keep(do_certificate(bytes), released_.openings); }
  virtual void finish() = 0;
  virtual void abort() = 0;

  [[nodiscard]] const Released& released() const noexcept { return released_; }
  [[nodiscard]] virtual client::SumMember::State state() const = 0;

 private:
  template <typename Reply>
  static Status keep(Result<std::optional<Reply>> said, std::optional<Reply>& where) {
    if (!said.has_value()) return fail(said.error());
    if (said->has_value()) where = std::move(**said);
    return {};
  }
  virtual Bytes do_advertise() = 0;
  virtual Result<std::optional<Bytes>> do_roster(ByteView bytes) = 0;
  virtual Result<std::optional<client::MaskedUpdate>> do_delivery(ByteView bytes) = 0;
  virtual Result<std::optional<Bytes>> do_survivors(ByteView bytes) = 0;
  virtual Result<std::optional<Bytes>> do_certificate(ByteView bytes) = 0;

  Released released_;
};

template <typename Checks>
class MemberWith final : public Member {
 public:
  explicit MemberWith(MemberSetting setting)
      : random_(setting.seed),
        machine_(std::move(setting.terms), setting.identity, setting.rules, *setting.verified,
                 crypto::ZeroizingBytes(setting.update.begin(), setting.update.end()), random_, *setting.promises) {}

  void finish() override { static_cast<void>(machine_.finish()); }
  void abort() override { machine_.abort(); }
  client::SumMember::State state() const override { return static_cast<client::SumMember::State>(machine_.state()); }

 private:
  Bytes do_advertise() override { return machine_.advertise(); }
  Result<std::optional<Bytes>> do_roster(ByteView bytes) override { return machine_.on_roster(bytes); }
  Result<std::optional<client::MaskedUpdate>> do_delivery(ByteView bytes) override {
    return machine_.on_delivery(bytes);
  }
  Result<std::optional<Bytes>> do_survivors(ByteView bytes) override { return machine_.on_survivors(bytes); }
  Result<std::optional<Bytes>> do_certificate(ByteView bytes) override { return machine_.on_certificate(bytes); }

  sim::SeededRandom random_;
  client::BasicSumMember<Checks> machine_;
};

template <typename Checks>
std::unique_ptr<Member> make_member(MemberSetting setting) {
  return std::make_unique<MemberWith<Checks>>(std::move(setting));
}
using MemberMaker = std::unique_ptr<Member> (*)(MemberSetting);

// The secrets of a member whose randomness is known: a corrupt one's, which follows the protocol and tells.
struct Confession {
  crypto::ExchangeSecret share;
  crypto::ExchangeSecret mask;
  crypto::SecretBytes<32> beta;
};
[[nodiscard]] Confession confess(std::uint64_t seed);

}  // namespace chorus::attacks

namespace chorus::client {
extern template class BasicSumMember<attacks::WithoutRosterLeaves>;
extern template class BasicSumMember<attacks::WithoutDealerSetSize>;
extern template class BasicSumMember<attacks::WithoutSurvivorSetSize>;
extern template class BasicSumMember<attacks::WithoutOneVote>;
extern template class BasicSumMember<attacks::WithoutQuorum>;
extern template class BasicSumMember<attacks::WithoutDealerSignatures>;
extern template class BasicSumMember<attacks::WithoutTranscript>;
extern template class BasicSumMember<attacks::WithoutSignatures>;
}  // namespace chorus::client
