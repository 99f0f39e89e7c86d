// A device whose process is killed (SIGKILL) between a charge and the sending that it pays for, or anywhere within a
// charge, gives no more updates than its budget allows.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/round/open_round.hpp"
#include "client/store/store.hpp"
#include "tests/client/store/temporary_folder.hpp"

namespace chorus::client {
namespace {

constexpr WallTime kNow{std::chrono::seconds(1'700'000'000)};

Participation started(RoundId round) {
  Participation line;
  line.round = round;
  line.when = kNow;
  return line;
}

constexpr std::uint64_t kAllowed = 69;  // z = 5, ε = 8, δ = 1e-5
constexpr std::uint32_t kHonest = 64;

// What a device tells of itself: 'b' before it charges, 'c' when the charge is durable, 's' when an update was sent.
void say(int pipe, char what) {
  if (::write(pipe, &what, 1) != 1) ::_exit(2);
}

enum class Death { none, between_charge_and_send };

// Takes part round after round until it is killed, or refused (exit code 0); sends nothing that it has not charged.
[[noreturn]] void live(const std::filesystem::path& file, int pipe, Death death, std::uint64_t dies_in) {
  auto store = open_store(file);
  if (!store) ::_exit(3);
  for (std::uint64_t rounds = 1;; ++rounds) {
    const RoundId round((*store)->highest_round()->value() + 1);
    if (!(*store)->reserve(started(round))) ::_exit(4);
    StorePromises promises(**store, round,
                           {.local_noise = 625,
                            .squared_sensitivity = 1'000'000,
                            .limits = {.budget = {.epsilon = 8, .delta = 1e-5}},
                            .now = kNow});
    say(pipe, 'b');
    if (const Status charged = promises.charge(kHonest); !charged) {
      ::_exit(charged.error().code() == ErrorCode::budget_exhausted ? 0 : 5);
    }
    say(pipe, 'c');
    if (death == Death::between_charge_and_send && rounds == dies_in) ::raise(SIGKILL);
    say(pipe, 's');
  }
}

struct Life {
  std::string said;
  int status = 0;
};

// `kill_at`: the parent kills the process when it has heard so many 'b': somewhere in that charge. 0: never.
Life run(const std::filesystem::path& file, Death death, std::uint64_t dies_in, std::uint64_t kill_at) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    live(file, ends[1], death, dies_in);
  }
  ::close(ends[1]);
  Life life;
  std::uint64_t charging = 0;
  for (char what = 0; ::read(ends[0], &what, 1) == 1;) {
    life.said += what;
    if (what == 'b' && ++charging == kill_at) ::kill(child, SIGKILL);
  }
  ::close(ends[0]);
  EXPECT_EQ(::waitpid(child, &life.status, 0), child);
  return life;
}

std::uint64_t count(const std::string& text, char what) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), what));
}

TEST(KilledProcess, BetweenChargeAndSendNeverSendsMoreThanTheBudgetAllows) {
  TemporaryFolder folder;
  const auto file = folder.path() / "device.db";
  std::uint64_t sent = 0;
  std::uint64_t killed = 0;
  Life life;
  for (;; ++killed) {
    life = run(file, Death::between_charge_and_send, 1 + killed % 4, 0);
    sent += count(life.said, 's');
    if (!WIFSIGNALED(life.status)) break;
    ASSERT_LE(killed, kAllowed);
  }
  ASSERT_TRUE(WIFEXITED(life.status));
  EXPECT_EQ(WEXITSTATUS(life.status), 0) << "refused with budget_exhausted";
  EXPECT_GT(killed, 20U);
  // Each kill wasted one charge, and none was free.
  EXPECT_EQ(sent + killed, kAllowed);
  const auto store = std::move(open_store(file).value());
  EXPECT_EQ(store->ledger()->seal().sequence, kAllowed);
}

TEST(KilledProcess, AnywhereInAChargeNeverSendsMoreThanTheBudgetAllows) {
  TemporaryFolder folder;
  const auto file = folder.path() / "device.db";
  std::uint64_t sent = 0;
  std::uint64_t killed = 0;
  Life life;
  // 300 lives: a life that is killed early enough charges nothing.
  for (std::uint64_t lives = 0; lives < 300; ++lives) {
    life = run(file, Death::none, 0, 1 + lives % 3);
    sent += count(life.said, 's');
    if (!WIFSIGNALED(life.status)) break;
    ++killed;
    const auto store = std::move(open_store(file).value());
    const auto ledger = store->ledger();
    ASSERT_TRUE(ledger.has_value()) << ledger.error().to_string();
    // What left was charged.
    ASSERT_GE(ledger->seal().sequence, sent);
    ASSERT_LE(ledger->seal().sequence, kAllowed);
  }
  EXPECT_GT(killed, 5U);
  life = run(file, Death::none, 0, 0);
  sent += count(life.said, 's');
  ASSERT_TRUE(WIFEXITED(life.status));
  EXPECT_EQ(WEXITSTATUS(life.status), 0);
  EXPECT_LE(sent, kAllowed);
  const auto store = std::move(open_store(file).value());
  EXPECT_EQ(store->ledger()->seal().sequence, kAllowed);
}

// The control: a device that charges after it has sent gives one more for each time it is killed in between.
TEST(KilledProcess, ControlChargingAfterSendingWouldOverspend) {
  TemporaryFolder folder;
  const auto file = folder.path() / "device.db";
  const auto store = std::move(open_store(file).value());
  std::uint64_t sent = 0;
  for (std::uint64_t round = 1;; ++round) {
    ASSERT_TRUE(store->reserve(started(RoundId(round))));
    StorePromises promises(*store, RoundId(round),
                           {.local_noise = 625,
                            .squared_sensitivity = 1'000'000,
                            .limits = {.budget = {.epsilon = 8, .delta = 1e-5}},
                            .now = kNow});
    if (!promises.afford(kHonest)) break;
    ++sent;
    if (round % 10 == 0) continue;  // killed before it pays
    ASSERT_TRUE(promises.charge(kHonest));
  }
  EXPECT_GT(sent, kAllowed);
}

}  // namespace
}  // namespace chorus::client
