// Another enrolment authority takes over while devices are connected, and while a round runs.
#include <gtest/gtest.h>

#include "coordinator/federation/federation.hpp"
#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;
using protocol::MessageType;

JobStart start_of(std::uint64_t rounds) {
  return new_job(make_job(rounds), make_items(20), make_key()).value();
}

TEST(AuthorityChange, WhoWaitsIsSentAwayToComeBackWithItsNewIdentity) {
  Town town(make_settings(), start_of(1));
  town.connect(1, 3);
  town.run(town.federation().on_admission(Enrolment(8).admission(), town.now));
  ASSERT_EQ(town.closed.size(), 3U);
  for (std::uint32_t i = 1; i <= 3; ++i) {
    ASSERT_EQ(town.device(i).count(MessageType::refusal), 1U);
    EXPECT_EQ(town.device(i).last<protocol::Refusal>()->code, ErrorCode::closed) << "which a device tries again after";
    EXPECT_FALSE(town.device(i).session);
  }
  // Who comes under the new one is welcome; nobody of the old one is counted with them.
  town.device(1).manner = Manner::is_silent;
  town.connect(1);
  EXPECT_EQ(town.device(1).count(MessageType::welcome), 2U);
  EXPECT_EQ(town.device(1).last<protocol::Waiting>()->devices_ready, 1U);
  EXPECT_EQ(town.closed.size(), 3U);
}

TEST(AuthorityChange, ANewerListOfTheSameAuthoritySendsNobodyAway) {
  Town town(make_settings(), start_of(1));
  town.connect(1, 3);
  town.run(town.federation().on_admission(Enrolment().admission(), town.now));
  EXPECT_TRUE(town.closed.empty());
}

TEST(AuthorityChange, ARoundThatRunsEndsAsItBeganAndItsMembersGoThen) {
  Town town(make_settings(), start_of(3));
  town.on_round_opened = [&](std::size_t number) {
    if (number == 1) town.run(town.federation().on_admission(Enrolment(8).admission(), town.now));
  };
  town.connect(1, 5);
  town.advance(5s);
  ASSERT_EQ(town.logged<RoundClosed>().size(), 1U) << "the survey, and no further round";
  for (std::uint32_t i = 1; i <= 5; ++i) {
    EXPECT_EQ(town.device(i).count(MessageType::result), 1U);
    EXPECT_EQ(town.device(i).last<protocol::Refusal>()->code, ErrorCode::closed);
  }
  EXPECT_EQ(town.closed.size(), 5U);
}

}  // namespace
}  // namespace chorus::coordinator
