// Promises before bytes: a leaf leaves when its round is reserved, an update when it is charged, a vote when it is
// written down; and a process that dies in a round has left it. The store is a real file; what makes it fail is another
// process's lock on it.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/round/cohort.hpp"
#include "tests/client/round/fake_coordinator.hpp"
#include "tests/client/round/test_device.hpp"
#include "tests/client/store/temporary_folder.hpp"

namespace chorus::client {
namespace {

using protocol::DevicePhase;
using testing::Cohort;
using testing::FakeCoordinator;
using testing::TestDevice;

class PromiseOrder : public ::testing::Test {
 protected:
  PromiseOrder() : device(coordinator, {.file = folder.path() / "device.db"}) {
    device.rate("item-3", 5);
    device.join(coordinator);
    device.sent.clear();
  }
  // What a process that starts now would find.
  std::unique_ptr<Store> on_disk() const {
    auto store = open_store(folder.path() / "device.db");
    EXPECT_TRUE(store) << store.error().to_string();
    return std::move(store).value();
  }
  std::uint32_t attempts() const { return *on_disk()->attempts(coordinator.header().model_id, plan::Purpose::train); }
  Ending ending() const { return (*on_disk()->history(1)).at(0).ending; }
  // Another process writes, and does not end.
  class Locked {
   public:
    explicit Locked(const TemporaryFolder& folder)
        : database_((folder.path() / "device.db").string(), SQLite::OPEN_READWRITE),
          transaction_(database_, SQLite::TransactionBehavior::IMMEDIATE) {}

   private:
    SQLite::Database database_;
    SQLite::Transaction transaction_;
  };

  TemporaryFolder folder;
  FakeCoordinator coordinator;
  TestDevice device;
};

TEST_F(PromiseOrder, TheRoundIsReservedBeforeTheLeafLeaves) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(9));
  device.hear(cohort.manifest());
  EXPECT_TRUE(device.sent.empty());
  EXPECT_EQ(*on_disk()->highest_round(), RoundId(9));
  EXPECT_EQ(ending(), Ending::withheld);
  EXPECT_EQ(attempts(), 0U);
}

TEST_F(PromiseOrder, WithoutAReservationNoLeafLeaves) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  {
    const Locked locked(folder);
    device.invite(cohort.manifest());
  }
  EXPECT_EQ(device.end_code(), ErrorCode::io);
  EXPECT_EQ(device.last<protocol::Decline>()->code, ErrorCode::aborted) << "the coordinator does not hear why";
  EXPECT_EQ(device.sent.size(), 1U);
  EXPECT_EQ(*on_disk()->highest_round(), RoundId(0));
}

TEST_F(PromiseOrder, TheUpdateIsChargedBeforeItsFirstByteLeaves) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.invite(cohort.manifest());
  cohort.run_to(device, DevicePhase::shared);
  EXPECT_EQ(attempts(), 0U);
  EXPECT_EQ(ending(), Ending::withheld);
  while (device.released.empty()) ASSERT_TRUE(cohort.pass(device));
  EXPECT_EQ(attempts(), 1U);
  EXPECT_EQ(ending(), Ending::lost);
}

TEST_F(PromiseOrder, WithoutAChargeNotAByteOfTheUpdateLeaves) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.invite(cohort.manifest());
  cohort.run_to(device, DevicePhase::shared);
  {
    const Locked locked(folder);
    cohort.run(device);
  }
  EXPECT_TRUE(device.released.empty());
  EXPECT_TRUE(device.all_sent<protocol::Update>().empty());
  EXPECT_TRUE(device.all_sent<protocol::Masked>().empty());
  EXPECT_EQ(device.last<protocol::Decline>()->code, ErrorCode::io);
  EXPECT_EQ(device.end_code(), ErrorCode::aborted);
  EXPECT_EQ(device.round(), nullptr);
  EXPECT_EQ(ending(), Ending::withheld);
  EXPECT_EQ(attempts(), 0U);
}

TEST_F(PromiseOrder, AVoteIsWrittenDownBeforeItLeaves) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.invite(cohort.manifest());
  cohort.run_to(device, DevicePhase::voted);
  ASSERT_TRUE(device.last<protocol::Vote>());
  EXPECT_EQ(on_disk()->vote(RoundId(1), Digest{1}).error().code(), ErrorCode::already_signed);
}

TEST_F(PromiseOrder, WithoutItBeingWrittenNoVoteLeaves) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.invite(cohort.manifest());
  cohort.run_to(device, DevicePhase::uploaded);
  while (cohort.to_device.empty()) ASSERT_TRUE(cohort.pass(device));
  {
    const Locked locked(folder);
    cohort.run(device);
  }
  EXPECT_TRUE(device.all_sent<protocol::Vote>().empty());
  EXPECT_EQ(device.last<protocol::Decline>()->code, ErrorCode::io);
  EXPECT_EQ(device.round(), nullptr);
  EXPECT_TRUE(on_disk()->vote(RoundId(1), Digest{1})) << "nor was it half written";
}

TEST_F(PromiseOrder, ADeviceThatVotedForOtherSurvivorsOfTheRoundDoesNotVoteAgain) {
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  device.invite(cohort.manifest());
  cohort.run_to(device, DevicePhase::uploaded);
  ASSERT_TRUE(on_disk()->vote(RoundId(1), Digest{1}));
  cohort.run(device);
  EXPECT_TRUE(device.all_sent<protocol::Vote>().empty());
  EXPECT_TRUE(device.all_sent<protocol::Openings>().empty());
  EXPECT_EQ(device.last<protocol::Decline>()->code, ErrorCode::already_signed);
}

TEST_F(PromiseOrder, AProcessThatDiesInARoundHasLeftIt) {
  std::uint64_t number = 0;
  for (const DevicePhase phase : {DevicePhase::preparing, DevicePhase::advertised, DevicePhase::shared,
                                  DevicePhase::uploaded, DevicePhase::voted, DevicePhase::unmasked}) {
    TemporaryFolder own;
    TestDevice each(coordinator, {.file = own.path() / "device.db"});
    each.join(coordinator);
    Cohort cohort(coordinator, each, coordinator.plan_fields(++number));
    each.hear(cohort.manifest());
    if (phase != DevicePhase::preparing) {
      each.advance(Participant::kSlot);
      cohort.run_to(each, phase);
    }
    cohort.drop(each);
    each.restart(coordinator);
    each.sent.clear();
    const std::size_t released = each.released.size();
    each.join(coordinator);
    EXPECT_TRUE(each.all_sent<protocol::Resume>().empty());
    ASSERT_TRUE(each.last<protocol::Ready>());
    EXPECT_EQ(each.latest().ending, phase < DevicePhase::uploaded ? Ending::withheld : Ending::lost);
    each.invite(cohort.manifest());
    EXPECT_EQ(each.last<protocol::Decline>()->code, ErrorCode::stale_round);
    EXPECT_TRUE(each.all_sent<protocol::Advertise>().empty());
    EXPECT_EQ(each.released.size(), released);
  }
}

}  // namespace
}  // namespace chorus::client
