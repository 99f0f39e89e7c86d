#include "tests/attacks/honest_coordinator.hpp"

namespace chorus::attacks {

using coordinator::SecureSum;
using coordinator::SumRecovery;

namespace {

class Session {
 public:
  Session(Play& play, const HonestRun& run)
      : play_(play), run_(run), sum_(terms(play), ids(play), rules(play), play.verified(), now_) {}

  HonestOutcome run() {
    for (std::uint32_t p = 0; p < play_.size(); ++p) {
      play_.part(p).member->advertise();
      Bytes said = play_.released(p).leaf;
      if (speaks(Step::leaf, p, said)) take(p, sum_.on_leaf(p, said, kToday, now_));
    }
    while (sum_.phase() != SecureSum::Phase::done && sum_.phase() != SecureSum::Phase::aborted) {
      const SecureSum::Phase phase = sum_.phase();
      std::vector<std::uint32_t> members;
      members.swap(entered_);
      for (const std::uint32_t p : members) {
        if (sum_.phase() == phase) answer(phase, p, *sum_.message_for(p));
      }
      if (sum_.phase() != phase) continue;
      // Whoever did not answer is silent: the phase ends at its deadline.
      now_ = *sum_.next_deadline();
      carry_out(sum_.on_time(now_));
    }
    if (const Error* const reason = sum_.reason()) outcome_.reason = *reason;
    if (const ring::CohortSum* const found = sum_.sum()) {
      outcome_.sum = Lanes(found->coordinates().begin(), found->coordinates().end());
      outcome_.survivors = sum_.survivors();
    }
    return std::move(outcome_);
  }

 private:
  static coordinator::SecureSumTerms terms(const Play& play) {
    const Scene& scene = play.scene();
    return {scene.h0, scene.layout, {scene.least_members, 64, scene.corrupt, scene.dropout}};
  }
  static std::vector<identity::DeviceId> ids(const Play& play) {
    std::vector<identity::DeviceId> all;
    for (std::uint32_t p = 0; p < play.size(); ++p) all.push_back(play.device(p).statement.id);
    return all;
  }
  static secagg::AdmissionRules rules(const Play& play) {
    return {play.devices().authority(), kToday, std::chrono::seconds{0}, nullptr};
  }

  // Whether the member says anything at this step; what it says is then as it wants it.
  bool speaks(Step step, std::uint32_t p, Bytes& said) const {
    if (p < run_.silent_from.size() && run_.silent_from[p] && *run_.silent_from[p] <= step) return false;
    if (run_.tamper) run_.tamper(step, p, said);
    return true;
  }
  void take(std::uint32_t p, Result<SecureSum::Actions> result) {
    if (result.has_value()) {
      carry_out(std::move(*result));
    } else {
      outcome_.refused.emplace_back(p, result.error());
    }
  }
  void carry_out(SecureSum::Actions actions) {
    for (SecureSum::Action& action : actions) {
      if (auto* const entered = std::get_if<SecureSum::Entered>(&action)) entered_ = std::move(entered->members);
      if (auto* const named = std::get_if<SecureSum::Named>(&action)) {
        outcome_.named.emplace_back(named->member, named->error);
      }
      if (auto* const recover = std::get_if<SecureSum::Recover>(&action)) {
        SumRecovery& work = *recover->work;
        carry_out(sum_.on_recovered(work.run(run_.threads), work));
      }
    }
  }

  void answer(SecureSum::Phase phase, std::uint32_t p, ByteView message) {
    Play::Part& part = play_.part(p);
    Member& member = *part.member;
    Bytes said;
    switch (phase) {
      case SecureSum::Phase::sharing: {
        EXPECT_EQ(code_of(member.hear_roster(message)), std::nullopt);
        // What a corrupt member knows of the roster when it deals.
        part.roster = std::make_shared<const secagg::Roster>(
            secagg::Roster::decode(message, play_.scene().h0, {1, 512, play_.scene().corrupt, play_.scene().dropout})
                .value());
        said = *member.released().shares;
        if (speaks(Step::shares, p, said)) take(p, sum_.on_shares(p, said, now_));
        return;
      }
      case SecureSum::Phase::masking: {
        EXPECT_EQ(code_of(member.hear_delivery(message)), std::nullopt);
        const Bytes& vector = member.released().masked->vector;
        said = member.released().masked->end;
        if (!speaks(Step::masked, p, said)) return;
        EXPECT_TRUE(sum_.on_piece(p, 0, vector.size(), vector, now_).has_value());
        take(p, sum_.on_masked(p, said, now_));
        return;
      }
      case SecureSum::Phase::voting:
        EXPECT_EQ(code_of(member.hear_survivors(message)), std::nullopt);
        said.assign(member.released().vote->begin(), member.released().vote->end());
        if (speaks(Step::vote, p, said)) take(p, sum_.on_vote(p, said, now_));
        return;
      default:
        EXPECT_EQ(code_of(member.hear_certificate(message)), std::nullopt);
        said = *member.released().openings;
        if (speaks(Step::openings, p, said)) take(p, sum_.on_openings(p, said, now_));
        return;
    }
  }

  Play& play_;
  const HonestRun& run_;
  Moment now_{};
  SecureSum sum_;
  std::vector<std::uint32_t> entered_;
  HonestOutcome outcome_;
};

}  // namespace

HonestOutcome run_honestly(Play& play, const HonestRun& run) {
  return Session(play, run).run();
}

}  // namespace chorus::attacks
