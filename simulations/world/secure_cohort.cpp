#include "simulations/world/secure_cohort.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "common/base/check.hpp"

namespace chorus::sim {

using coordinator::SecureSum;
using coordinator::SumRecovery;

Status MemoryPromises::charge(std::uint32_t honest) {
  static_cast<void>(honest);
  ++charged_;
  return {};
}

Status MemoryPromises::vote(const Digest& h3) {
  if (voted_ && *voted_ != h3) return fail(ErrorCode::already_signed, "another survivor set was voted for");
  voted_ = h3;
  return {};
}

EnrolledDevices::EnrolledDevices(std::uint32_t count, WallTime enrolled_at, WallTime expires_at,
                                 crypto::RandomSource& random)
    : authority_(crypto::SigningKey::generate(random)) {
  devices_.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    crypto::SigningKey key = crypto::SigningKey::generate(random);
    identity::IdentityStatement statement;
    random.fill(statement.id.bytes);
    statement.key = key.public_key();
    statement.enrolled_at = enrolled_at;
    statement.expires_at = expires_at;
    devices_.push_back({identity::sign(statement, authority_), std::move(key)});
  }
}

namespace {

class Session {
 public:
  Session(const EnrolledDevices& devices, CohortRun run, crypto::RandomSource& random)
      : run_(std::move(run)),
        n_(static_cast<std::uint32_t>(run_.devices.size())),
        promises_(n_),
        sent_(n_, SentBytes{}),
        bytes_down_(n_, 0),
        sum_(run_.terms, ids(devices), rules(devices), coordinator_statements(), now_) {
    for (std::uint32_t m = 0; m < n_; ++m) {
      const EnrolledDevices::Device& device = devices[run_.devices[m]];
      members_.emplace_back(client::SumTerms{run_.terms.h0, run_.terms.layout, run_.terms.bounds},
                            client::SumIdentity{&device.statement, &device.key}, rules(devices), member_statements(),
                            std::move(run_.updates[m]), random, promises_[m]);
    }
    run_.silence.resize(n_, Silence::never);
  }

  Result<CohortOutcome> run() {
    leaves();
    while (sum_.phase() != SecureSum::Phase::done && sum_.phase() != SecureSum::Phase::aborted) {
      step();
      // Whoever did not answer is silent: its phase ends at its deadline.
      if (const std::optional<Moment> deadline = sum_.next_deadline(); deadline && pending_.empty()) {
        now_ = *deadline;
        on_coordinator([&] { return sum_.on_time(now_); });
      }
    }
    if (const Error* const reason = sum_.reason()) return fail(*reason);
    for (client::SumMember& member : members_) {
      if (member.state() == client::SumMember::State::unmasked) CHORUS_TRY_DO(member.finish());
    }
    std::vector<std::uint64_t> bytes_up;
    for (const SentBytes& sent : sent_) bytes_up.push_back(std::accumulate(sent.begin(), sent.end(), std::uint64_t{0}));
    return CohortOutcome{*sum_.sum(), sum_.survivors(), std::move(bytes_up), std::move(sent_), std::move(bytes_down_)};
  }

 private:
  std::vector<identity::DeviceId> ids(const EnrolledDevices& devices) const {
    std::vector<identity::DeviceId> out;
    for (const std::uint32_t device : run_.devices) out.push_back(devices[device].statement.id);
    return out;
  }
  secagg::AdmissionRules rules(const EnrolledDevices& devices) const {
    return {devices.authority(), run_.today, std::chrono::seconds{0}, nullptr};
  }
  secagg::VerifiedStatements& coordinator_statements() {
    return run_.coordinator_knows != nullptr ? *run_.coordinator_knows : own_statements_;
  }
  secagg::VerifiedStatements& member_statements() {
    return run_.members_know != nullptr ? *run_.members_know : own_statements_;
  }

  template <typename Work>
  auto on_member(std::uint32_t member, Work&& work) {
    if (run_.meter != nullptr) run_.meter->begin_member(member);
    auto result = work(members_[member]);
    if (run_.meter != nullptr) run_.meter->end_member(member);
    return result;
  }
  // `work` gives the coordinator's actions, or refuses one member's message.
  template <typename Work>
  SecureSum::Actions metered(bool recovery, Work&& work) {
    if (run_.meter != nullptr) run_.meter->begin_coordinator(recovery);
    SecureSum::Actions actions = work();
    if (run_.meter != nullptr) run_.meter->end_coordinator(recovery);
    return actions;
  }
  template <typename Work>
  void on_coordinator(Work&& work) {
    carry_out(metered(false, std::forward<Work>(work)));
  }
  void carry_out(SecureSum::Actions actions) {
    for (SecureSum::Action& action : actions) {
      if (auto* const entered = std::get_if<SecureSum::Entered>(&action)) pending_ = std::move(entered->members);
      if (auto* const recover = std::get_if<SecureSum::Recover>(&action)) {
        SumRecovery& recovery = *recover->work;
        carry_out(metered(true, [&] { return sum_.on_recovered(recovery.run(run_.threads), recovery); }));
      }
    }
  }
  static SecureSum::Actions accepted(Result<SecureSum::Actions> result) {
    CHORUS_ENSURE(result.has_value(), "an honest member's message is accepted");
    return std::move(*result);
  }

  [[nodiscard]] bool silent(std::uint32_t member, Silence from) const {
    return run_.silence[member] != Silence::never && run_.silence[member] <= from;
  }

  std::uint64_t& sent(std::uint32_t member, Sent kind) { return sent_[member][static_cast<std::size_t>(kind)]; }

  void leaves() {
    for (std::uint32_t m = 0; m < n_; ++m) {
      if (silent(m, Silence::before_advertising)) continue;
      const Bytes leaf = on_member(m, [](client::SumMember& member) { return member.advertise(); });
      sent(m, Sent::leaf) += leaf.size();
      on_coordinator([&] { return accepted(sum_.on_leaf(m, leaf, run_.today, now_)); });
    }
  }

  // Everybody whom the phase concerns gets its message and answers.
  void step() {
    std::vector<std::uint32_t> members;
    members.swap(pending_);
    const SecureSum::Phase phase = sum_.phase();
    // As a coordinator sends them: some at a time, and nobody's answer is waited for between two.
    constexpr std::size_t kAtOnce = 32;
    for (std::size_t first = 0; first < members.size() && sum_.phase() == phase; first += kAtOnce) {
      const auto batch = std::span(members).subspan(first, std::min(kAtOnce, members.size() - first));
      if (run_.meter != nullptr) run_.meter->begin_coordinator(false);
      std::vector<std::optional<Bytes>> messages;
      for (const std::uint32_t m : batch) messages.push_back(sum_.message_for(m));
      if (run_.meter != nullptr) run_.meter->end_coordinator(false);
      for (std::size_t k = 0; k < batch.size(); ++k) {
        if (sum_.phase() != phase) return;  // enough have answered
        CHORUS_ENSURE(messages[k].has_value(), "whom a phase concerns gets its message");
        bytes_down_[batch[k]] += messages[k]->size();
        answer(batch[k], phase, *messages[k]);
        messages[k].reset();
      }
    }
  }

  void answer(std::uint32_t m, SecureSum::Phase phase, ByteView message) {
    const auto reply = [&](Silence last, Sent kind, auto&& ask, auto&& give) {
      if (silent(m, last)) return;
      Result<std::optional<Bytes>> said = on_member(m, ask);
      CHORUS_ENSURE(said.has_value() && said->has_value(), "an honest coordinator's message is accepted");
      sent(m, kind) += (*said)->size();
      on_coordinator([&] { return accepted(give(**said)); });
    };
    switch (phase) {
      case SecureSum::Phase::sharing:
        return reply(
            Silence::before_shares, Sent::shares, [&](client::SumMember& member) { return member.on_roster(message); },
            [&](const Bytes& said) { return sum_.on_shares(m, said, now_); });
      case SecureSum::Phase::masking:
        return masked(m, message);
      case SecureSum::Phase::voting:
        return reply(
            Silence::before_vote, Sent::vote, [&](client::SumMember& member) { return member.on_survivors(message); },
            [&](const Bytes& said) { return sum_.on_vote(m, said, now_); });
      default:
        return reply(
            Silence::before_openings, Sent::openings,
            [&](client::SumMember& member) { return member.on_certificate(message); },
            [&](const Bytes& said) { return sum_.on_openings(m, said, now_); });
    }
  }

  void masked(std::uint32_t m, ByteView message) {
    if (silent(m, Silence::before_masked)) return;
    const auto said = on_member(m, [&](client::SumMember& member) { return member.on_delivery(message); });
    CHORUS_ENSURE(said.has_value() && said->has_value(), "an honest coordinator's message is accepted");
    const client::MaskedUpdate& update = **said;
    sent(m, Sent::masked) += update.vector.size() + update.end.size();
    on_coordinator([&] {
      const Status taken = sum_.on_piece(m, 0, update.vector.size(), update.vector, now_);
      CHORUS_ENSURE(taken.has_value(), "an honest member's vector is accepted");
      return accepted(sum_.on_masked(m, update.end, now_));
    });
  }

  CohortRun run_;
  std::uint32_t n_;
  Moment now_{};
  secagg::VerifiedStatements own_statements_;
  std::vector<MemoryPromises> promises_;
  std::vector<SentBytes> sent_;
  std::vector<std::uint64_t> bytes_down_;
  SecureSum sum_;
  std::vector<client::SumMember> members_;
  std::vector<std::uint32_t> pending_;
};

}  // namespace

Result<CohortOutcome> run_cohort(const EnrolledDevices& devices, CohortRun run, crypto::RandomSource& random) {
  CHORUS_ENSURE(run.devices.size() == run.updates.size(), "one update a member");
  return Session(devices, std::move(run), random).run();
}

}  // namespace chorus::sim
