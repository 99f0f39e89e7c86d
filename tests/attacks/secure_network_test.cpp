// The members of a cohort and the coordinator's half on a network that a seed drives: messages are lost, late, out of
// order, twice or cut short, connections break and come back, devices restart. Whatever happens, the sum is exact or
// the round ends by name, in bounded time, and nobody's shares of both kinds are out.
#include <functional>
#include <map>
#include <queue>

#include <gtest/gtest.h>

#include "tests/attacks/honest_coordinator.hpp"

namespace chorus::attacks {
namespace {

using client::FullChecks;
using client::SumMember;
using coordinator::SecureSum;
using coordinator::SumRecovery;
using secagg::MemberSet;
using secagg::ShareKind;

// Per mille of messages; each session has its own.
struct Weather {
  std::uint64_t lost = 0;
  std::uint64_t doubled = 0;
  std::uint64_t cut = 0;
  std::uint64_t slow = 0;      // by seconds, beyond a phase's deadline at times
  std::uint64_t broken = 0;    // the connection breaks, and the device comes back
  std::uint64_t restarts = 0;  // of the device: its session is gone
};

class Network {
 public:
  explicit Network(std::uint64_t seed)
      : random_(seed),
        weather_(draw_weather()),
        play_(scene(seed)),
        sum_({play_.scene().h0, play_.scene().layout, {6, 8, {1, 8}, {2, 8}}}, ids(),
             {play_.devices().authority(), kToday, std::chrono::seconds{0}, nullptr}, play_.verified(), now_) {}

  void run() {
    for (std::uint32_t p = 0; p < play_.size(); ++p) {
      play_.part(p).member->advertise();
      speak(p);
    }
    int steps = 0;
    while (!ended()) {
      ASSERT_LT(++steps, 20'000) << "it hangs";
      const std::optional<Moment> deadline = sum_.next_deadline();
      ASSERT_TRUE(deadline || !events_.empty()) << "nothing will ever happen";
      if (!events_.empty() && (!deadline || events_.top().at < *deadline)) {
        // A copy, as running it may add others.
        const Event event = events_.top();
        events_.pop();
        now_ = std::max(now_, event.at);
        event.run();
      } else {
        now_ = *deadline;
        carry_out(sum_.on_time(now_));
      }
    }
    ASSERT_LE(now_ - Moment{}, 61s);  // the phases' deadlines together
    judge();
  }

  [[nodiscard]] bool summed() const { return sum_.phase() == SecureSum::Phase::done; }
  [[nodiscard]] std::string reason() const { return sum_.reason() != nullptr ? sum_.reason()->to_string() : "summed"; }

 private:
  struct Event {
    Moment at;
    std::uint64_t order = 0;
    std::function<void()> run;
    bool operator<(const Event& other) const { return std::tie(other.at, other.order) < std::tie(at, order); }
  };

  static Scene scene(std::uint64_t seed) {
    Scene scene;
    scene.seed = seed;
    return scene;
  }
  Weather draw_weather() {
    // A third of the kinds of trouble are absent, and some sessions have only a little of the others.
    const auto draw = [&](std::uint64_t most) { return random_.below(3) == 0 ? 0 : random_.below(most + 1); };
    Weather weather;
    weather.lost = draw(150);
    weather.doubled = draw(300);
    weather.cut = draw(80);
    weather.slow = draw(150);
    weather.broken = draw(150);
    weather.restarts = draw(50);
    return weather;
  }
  std::vector<identity::DeviceId> ids() {
    std::vector<identity::DeviceId> all;
    for (std::uint32_t p = 0; p < play_.size(); ++p) all.push_back(play_.device(p).statement.id);
    return all;
  }
  bool happens(std::uint64_t per_mille) { return random_.below(1000) < per_mille; }
  bool ended() const { return sum_.phase() == SecureSum::Phase::done || sum_.phase() == SecureSum::Phase::aborted; }
  void later(Duration delay, std::function<void()> run) { events_.push({now_ + delay, random_.u64(), std::move(run)}); }

  // Brings bytes to whoever takes them, or something like it.
  void transmit(std::uint32_t p, Bytes bytes, const std::function<void(const Bytes&)>& take) {
    const std::uint64_t copies = happens(weather_.doubled) ? 2 : 1;
    for (std::uint64_t copy = 0; copy < copies; ++copy) {
      if (happens(weather_.broken)) break_connection(p);
      if (happens(weather_.lost)) {
        // TCP loses nothing: the connection breaks sooner or later.
        later(std::chrono::milliseconds(random_.below(3000)), [this, p] { break_connection(p); });
        continue;
      }
      Bytes sent = bytes;
      if (happens(weather_.cut)) sent.resize(random_.below(sent.size() + 1));
      const std::uint64_t most = happens(weather_.slow) ? 12'000 : 400;
      later(std::chrono::milliseconds(random_.below(most)), [take, sent = std::move(sent)] { take(sent); });
    }
  }

  // A device's connection breaks; at times it is back soon, and each side says again what the other may have missed.
  void break_connection(std::uint32_t p) {
    if (happens(300)) carry_out(sum_.on_gone(p, now_));
    later(std::chrono::milliseconds(random_.below(4000)), [this, p] {
      sum_.on_returned(p);
      tell(p);
      speak(p);
    });
  }

  // The coordinator's message of this phase to a member.
  void tell(std::uint32_t p) {
    if (ended()) return;
    const std::optional<Bytes> message = sum_.message_for(p);
    if (!message) return;
    const SecureSum::Phase phase = sum_.phase();
    transmit(p, *message, [this, p, phase](const Bytes& bytes) { hear(p, phase, bytes); });
  }

  void hear(std::uint32_t p, SecureSum::Phase phase, const Bytes& bytes) {
    Play::Part& part = play_.part(p);
    Member& member = *part.member;
    if (member.state() == SumMember::State::aborted) return;
    if (happens(weather_.restarts)) {
      // What the device had is gone, and its store lets it into no round twice.
      member.abort();
      return;
    }
    const SumMember::State before = member.state();
    Status said;
    switch (phase) {
      case SecureSum::Phase::sharing:
        said = member.hear_roster(bytes);
        if (said.has_value() && before != member.state()) {
          part.roster = std::make_shared<const secagg::Roster>(
              secagg::Roster::decode(bytes, play_.scene().h0, {1, 512, {1, 8}, {2, 8}}).value());
        }
        break;
      case SecureSum::Phase::masking:
        said = member.hear_delivery(bytes);
        if (said.has_value() && before != member.state()) {
          const std::optional<std::uint32_t> own = part.roster->position_of(play_.device(p).statement.id);
          part.u2 = secagg::decode_delivery(bytes, part.roster->size(), *own)->dealers;
          part.h2 = secagg::dealers_hash(part.roster->h1(), part.u2);
        }
        break;
      case SecureSum::Phase::voting:
        said = member.hear_survivors(bytes);
        if (said.has_value() && before != member.state()) {
          part.u3 = secagg::decode_survivors(bytes, part.roster->size())->survivors;
        }
        break;
      default:
        said = member.hear_certificate(bytes);
        break;
    }
    if (said.has_value() && before != member.state()) speak(p);
    EXPECT_TRUE(said.has_value() || member.state() == SumMember::State::aborted);
  }

  // A member says, or says again, what its state stands for.
  void speak(std::uint32_t p) {
    if (ended()) return;
    const Released& said = play_.released(p);
    switch (play_.part(p).member->state()) {
      case SumMember::State::advertised:
        return transmit(p, said.leaf, [this, p](const Bytes& in) { take(p, sum_.on_leaf(p, in, kToday, now_)); });
      case SumMember::State::shared:
        return transmit(p, *said.shares, [this, p](const Bytes& in) { take(p, sum_.on_shares(p, in, now_)); });
      case SumMember::State::uploaded:
        return upload(p);
      case SumMember::State::voted:
        return transmit(p, Bytes(said.vote->begin(), said.vote->end()),
                        [this, p](const Bytes& in) { take(p, sum_.on_vote(p, in, now_)); });
      case SumMember::State::unmasked:
        return transmit(p, *said.openings, [this, p](const Bytes& in) { take(p, sum_.on_openings(p, in, now_)); });
      default:
        return;
    }
  }

  // The next piece of the vector that the coordinator has not, or the end.
  void upload(std::uint32_t p) {
    const client::MaskedUpdate& update = *play_.released(p).masked;
    const std::size_t at = sum_.phase() == SecureSum::Phase::masking ? sum_.received(p) : update.vector.size();
    if (at == update.vector.size()) {
      return transmit(p, update.end, [this, p](const Bytes& in) { take(p, sum_.on_masked(p, in, now_)); });
    }
    const std::size_t size = std::min<std::size_t>(1 + random_.below(16), update.vector.size() - at);
    const auto from = update.vector.begin() + static_cast<std::ptrdiff_t>(at);
    transmit(p, Bytes(from, from + static_cast<std::ptrdiff_t>(size)), [this, p, at](const Bytes& in) {
      const std::size_t total = play_.released(p).masked->vector.size();
      const Status taken = sum_.on_piece(p, at, total, in, now_);
      if (taken.has_value()) {
        upload(p);
      } else {
        refused(p);
      }
    });
  }

  void take(std::uint32_t p, Result<SecureSum::Actions> result) {
    if (!result.has_value()) return refused(p);
    carry_out(std::move(*result));
  }
  // The coordinator hangs up on what it cannot take.
  void refused(std::uint32_t p) {
    if (++refusals_[p] < 20) later(500ms, [this, p] { break_connection(p); });
  }
  void carry_out(SecureSum::Actions actions) {
    for (SecureSum::Action& action : actions) {
      if (auto* const entered = std::get_if<SecureSum::Entered>(&action)) {
        for (const std::uint32_t p : entered->members) tell(p);
      }
      if (auto* const recover = std::get_if<SecureSum::Recover>(&action)) {
        // On a pool, it takes its time.
        const std::shared_ptr<SumRecovery> work = std::move(recover->work);
        later(std::chrono::milliseconds(random_.below(300)),
              [this, work] { carry_out(sum_.on_recovered(work->run(1), *work)); });
      }
      EXPECT_FALSE(std::holds_alternative<SecureSum::Named>(action)) << "an honest member is accused";
    }
  }

  void judge() {
    if (summed()) {
      const std::vector<std::uint32_t> survivors = sum_.survivors();
      MemberSet set(play_.size());
      for (const std::uint32_t p : survivors) set.insert(p);
      EXPECT_EQ(Lanes(sum_.sum()->coordinates().begin(), sum_.sum()->coordinates().end()), play_.sum_of(set));
      EXPECT_GE(survivors.size(), 5U);  // of a roster of six, D = 1
    } else {
      ASSERT_NE(sum_.reason(), nullptr);
      const ErrorCode code = sum_.reason()->code();
      EXPECT_TRUE(code == ErrorCode::below_threshold || code == ErrorCode::cohort_too_small) << reason();
    }
    // Of each client, in the order of the roster that was, one kind at most.
    std::map<std::uint32_t, std::vector<bool>> kinds;
    for (std::uint32_t p = 0; p < play_.size(); ++p) {
      Play::Part& part = play_.part(p);
      if (!part.member->released().openings) continue;
      const MemberSet held = secagg::decode_masked(part.member->released().masked->end, part.roster->size())->held;
      for (const std::uint32_t dealer : held.positions()) kinds[dealer].push_back(part.u3.contains(dealer));
    }
    for (const auto& [dealer, said] : kinds) {
      EXPECT_EQ(std::count(said.begin(), said.end(), said.front()), static_cast<std::ptrdiff_t>(said.size()))
          << "both kinds of shares of " << dealer;
    }
  }

  sim::SeededRandom random_;
  Weather weather_;
  Moment now_{};
  Play play_;
  SecureSum sum_;
  std::priority_queue<Event> events_;
  std::map<std::uint32_t, int> refusals_;
};

TEST(SecureNetwork, EndsInTheExactSumOrByNameInAnyWeather) {
  constexpr std::uint64_t kSessions = 250;
  std::uint64_t summed = 0;
  for (std::uint64_t seed = 1; seed <= kSessions; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Network network(seed);
    network.run();
    if (::testing::Test::HasFailure()) return;
    summed += network.summed() ? 1U : 0U;
  }
  RecordProperty("summed", std::to_string(summed));
  // Weather in which nothing or everything got through would test nothing.
  EXPECT_GT(summed, kSessions / 4);
  EXPECT_LT(summed, kSessions * 19 / 20);
}

// Five clients, D = 2, t = 3. Every subset falls silent at every step.
TEST(SecureNetwork, EveryDropoutSubsetOfFiveAtEveryStepIsExactOrEnds) {
  for (const Step step : {Step::leaf, Step::shares, Step::masked, Step::vote, Step::openings}) {
    for (std::uint32_t subset = 0; subset < 32; ++subset) {
      SCOPED_TRACE("step " + std::to_string(static_cast<int>(step)) + ", subset " + std::to_string(subset));
      Scene scene;
      scene.members = 5;
      scene.least_members = 3;
      scene.corrupt = {0, 1};
      scene.dropout = {2, 5};
      scene.seed = subset + 1;
      Play play(scene);
      HonestRun run;
      run.silent_from.resize(5);
      MemberSet there(5);
      for (std::uint32_t p = 0; p < 5; ++p) {
        if (((subset >> p) & 1) != 0) {
          run.silent_from[p] = step;
        } else {
          there.insert(p);
        }
      }
      const HonestOutcome outcome = run_honestly(play, run);
      ASSERT_EQ(outcome.sum.has_value(), there.size() >= 3);
      if (!outcome.sum) {
        EXPECT_TRUE(outcome.reason->code() == ErrorCode::below_threshold ||
                    outcome.reason->code() == ErrorCode::cohort_too_small);
        continue;
      }
      // From the vote on the survivors are fixed, and their sum is found without those who are gone.
      EXPECT_EQ(*outcome.sum, play.sum_of(step >= Step::vote ? play.everybody() : there));
    }
  }
}

}  // namespace
}  // namespace chorus::attacks
