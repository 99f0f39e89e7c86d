// Members whose connections break in mid-round.
#include "coordinator/federation/federation.hpp"

#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;

JobStart start_of(std::uint64_t rounds) {
  return new_job(make_job(rounds), make_items(20), make_key()).value();
}

TEST(Federation, AMemberWhoseConnectionBreaksGoesOnWhereItWas) {
  auto settings = make_settings();
  settings.reconnect_grace = 5s;
  Town town(settings, start_of(1));
  Town::Device& subject = town.add(1);
  subject.manner = Manner::vanishes_half_way;
  town.connect(1, 5);
  town.advance(5s);
  ASSERT_TRUE(town.federation().collecting());  // its update is waited for
  const ByteArray<32> session = subject.part->session;
  subject.asks = false;
  town.connect(1);
  subject.manner = Manner::delivers;
  subject.upload_from = 10;  // a piece of it is there
  town.say(1, protocol::Resume{.session = session});
  ASSERT_NE(subject.last<protocol::Resumed>(), nullptr);
  EXPECT_TRUE(subject.last<protocol::Resumed>()->in_round);
  EXPECT_EQ(subject.last<protocol::Resumed>()->received, 10U);
  ASSERT_GE(town.logged<RoundClosed>().size(), 1U);
  EXPECT_EQ(town.logged<RoundClosed>()[0].survivors, 5U);
}

TEST(Federation, AMemberThatDoesNotComeBackInTimeIsLost) {
  auto settings = make_settings();
  settings.reconnect_grace = 5s;
  Town town(settings, start_of(1));
  Town::Device& subject = town.add(1);
  subject.manner = Manner::vanishes_half_way;
  town.connect(1, 5);
  town.advance(5s + 5s - 1ns);
  EXPECT_TRUE(town.logged<RoundClosed>().empty());
  const ByteArray<32> session = subject.part->session;
  town.advance(1ns);
  ASSERT_GE(town.logged<RoundClosed>().size(), 1U);
  EXPECT_EQ(town.logged<RoundClosed>()[0].survivors, 4U);
  subject.asks = false;
  town.connect(1);
  town.say(1, protocol::Resume{.session = session});
  ASSERT_NE(subject.last<protocol::Resumed>(), nullptr);
  EXPECT_FALSE(subject.last<protocol::Resumed>()->in_round);
}

TEST(Federation, AnotherDeviceCannotTakeAMembersPlace) {
  auto settings = make_settings();
  settings.reconnect_grace = 5s;
  Town town(settings, start_of(1));
  town.add(1).manner = Manner::vanishes_half_way;
  town.connect(1, 5);
  town.advance(5s);
  const ByteArray<32> session = town.device(1).part->session;
  town.add(9).asks = false;
  town.connect(9);
  town.say(9, protocol::Resume{.session = session});
  ASSERT_NE(town.device(9).last<protocol::Resumed>(), nullptr);
  EXPECT_FALSE(town.device(9).last<protocol::Resumed>()->in_round);
}

}  // namespace
}  // namespace chorus::coordinator
