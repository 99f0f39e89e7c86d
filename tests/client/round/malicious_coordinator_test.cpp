// A coordinator that lies in its documents: every row names the lie, the exact code it must meet, and that neither a
// leaf nor a byte of an update was handed out. Lies in the steps of a round are in malicious_round_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/round/cohort.hpp"
#include "tests/client/round/fake_coordinator.hpp"
#include "tests/client/round/test_device.hpp"

namespace chorus::client {
namespace {

using protocol::DevicePhase;
using testing::Cohort;
using testing::FakeCoordinator;
using testing::TestDevice;

class MaliciousCoordinatorTest : public ::testing::Test {
 protected:
  MaliciousCoordinatorTest() : device(coordinator) {
    device.rate("item-3", 5);
    device.rate("item-7", 2);
  }
  // The plan is refused with this code, by Decline or by hanging up, and nothing was given away.
  void expect_refused(const protocol::Manifest& manifest, ErrorCode code, bool declined) {
    const std::size_t before = device.released.size();
    device.sent.clear();
    device.invite(manifest);
    EXPECT_EQ(device.end_code(), code) << device.end->error.to_string();
    EXPECT_TRUE(device.ended());
    EXPECT_EQ(device.released.size(), before);
    EXPECT_EQ(device.sent.size(), declined ? 1U : 0U);
    const auto decline = device.last<protocol::Decline>();
    EXPECT_EQ(decline.has_value(), declined);
    if (decline) {
      EXPECT_EQ(decline->code, code);
    }
  }
  void expect_nothing_stored() {
    EXPECT_FALSE(*device.store().model());
    EXPECT_TRUE(device.released.empty());
  }
  FakeCoordinator coordinator;
  TestDevice device;
};

TEST_F(MaliciousCoordinatorTest, ControlAnHonestPlanReleasesTheUpdate) {
  device.join(coordinator);
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  cohort.play(device);
  EXPECT_FALSE(device.released.empty());
  EXPECT_NE(cohort.sum().sum(), nullptr);
}

TEST_F(MaliciousCoordinatorTest, APlanSignedByAnotherKeyIsRefused) {
  device.join(coordinator);
  FakeCoordinator other(99);
  protocol::Manifest manifest = coordinator.manifest(coordinator.plan_fields(1));
  manifest.plan = protocol::sign_document(protocol::kManifestLabel, manifest.plan.document, other.signing_key());
  expect_refused(manifest, ErrorCode::bad_signature, false);
}

TEST_F(MaliciousCoordinatorTest, APlanSignedUnderAnotherLabelIsRefused) {
  device.join(coordinator);
  protocol::Manifest manifest = coordinator.manifest(coordinator.plan_fields(1));
  manifest.plan = protocol::sign_document(protocol::kResultLabel, manifest.plan.document, coordinator.signing_key());
  expect_refused(manifest, ErrorCode::bad_signature, false);
}

TEST_F(MaliciousCoordinatorTest, OneChangedBitOfAPlanIsRefused) {
  device.join(coordinator);
  protocol::Manifest manifest = coordinator.manifest(coordinator.plan_fields(1));
  manifest.plan.document[40] ^= 1;
  expect_refused(manifest, ErrorCode::bad_signature, false);
}

TEST_F(MaliciousCoordinatorTest, ARoundThatWasServedIsNotServedAgain) {
  device.join(coordinator);
  const auto fields = coordinator.plan_fields(5);
  const auto manifest = coordinator.manifest(fields);
  device.invite(manifest);
  device.hear(coordinator.result(fields, protocol::Outcome::aborted, ModelVersion(1)));
  expect_refused(manifest, ErrorCode::stale_round, true);
  device.restart(coordinator);
  device.join(coordinator);
  expect_refused(coordinator.manifest(coordinator.plan_fields(4)), ErrorCode::stale_round, true);
}

TEST_F(MaliciousCoordinatorTest, ARoundIsNotServedTwiceAfterACrash) {
  device.join(coordinator);
  Cohort cohort(coordinator, device, coordinator.plan_fields(5));
  device.invite(cohort.manifest());
  cohort.run_to(device, DevicePhase::uploaded);
  EXPECT_FALSE(device.released.empty());
  device.restart(coordinator);  // the process died with the update half sent
  device.join(coordinator);
  expect_refused(cohort.manifest(), ErrorCode::stale_round, true);
}

TEST_F(MaliciousCoordinatorTest, ARoundNumberThatJumpsTooFarIsRefused) {
  device.join(coordinator);
  expect_refused(coordinator.manifest(coordinator.plan_fields((std::uint64_t{1} << 20) + 1)), ErrorCode::stale_round,
                 true);
}

TEST_F(MaliciousCoordinatorTest, TheSameModelIsAnsweredThreeTimesAndNoMore) {
  device.join(coordinator);
  for (std::uint64_t round = 1; round <= 3; ++round) {
    Cohort cohort(coordinator, device, coordinator.plan_fields(round));
    cohort.play(device);
    EXPECT_FALSE(device.ended()) << round;
    device.hear(coordinator.result(cohort.fields(), protocol::Outcome::aborted, ModelVersion(1)));
  }
  expect_refused(coordinator.manifest(coordinator.plan_fields(4)), ErrorCode::model_reused, true);
}

TEST_F(MaliciousCoordinatorTest, APlanWithoutNoiseIsDeclinedUnlessTheUserAgreedToIt) {
  TestDevice careful(coordinator, {.consent = {.without_noise = false, .least_identity_age = 0s}});
  careful.join(coordinator);
  careful.sent.clear();
  careful.invite(coordinator.manifest(coordinator.plan_fields(1)));
  EXPECT_EQ(careful.end_code(), ErrorCode::parameter_below_floor);
  EXPECT_EQ(careful.last<protocol::Decline>()->code, ErrorCode::parameter_below_floor);
  EXPECT_EQ(careful.sent.size(), 1U);
  EXPECT_EQ(*careful.store().highest_round(), RoundId(0));
}

TEST_F(MaliciousCoordinatorTest, APlanForAnotherCatalogueIsRefused) {
  device.join(coordinator);
  auto fields = coordinator.plan_fields(1);
  fields.catalogue[5] ^= 1;
  expect_refused(coordinator.manifest(fields), ErrorCode::wrong_model, true);
}

TEST_F(MaliciousCoordinatorTest, ARevocationListThatIsNotTheAuthoritysPresentOneIsRefused) {
  const testing::Authority& authority = coordinator.authority;
  const auto with = [&](Bytes list, ErrorCode code) {
    TestDevice careful(coordinator);
    careful.join(coordinator);
    careful.sent.clear();
    FakeCoordinator liar(1);  // the same key
    liar.revocations = std::move(list);
    careful.invite(liar.manifest(liar.plan_fields(1)));
    EXPECT_EQ(careful.end_code(), code) << careful.end->error.to_string();
    ASSERT_TRUE(careful.last<protocol::Decline>());
    EXPECT_EQ(careful.last<protocol::Decline>()->code, code);
    EXPECT_EQ(careful.sent.size(), 1U);
    EXPECT_EQ(*careful.store().highest_round(), RoundId(0));
  };
  with(authority.revocations(1).der(), ErrorCode::stale_round);  // the device has list 2
  with(testing::Authority(8).revocations(3).der(), ErrorCode::bad_certificate);
  with(authority.revocations(3, {}, testing::kToday - 24h, testing::kToday).der(), ErrorCode::expired);
  with(authority.revocations(3, {}, testing::kToday + 1h, testing::kToday + 2h).der(), ErrorCode::not_yet_valid);
  with(Bytes(100, 7), ErrorCode::bad_certificate);
  with({}, ErrorCode::bad_certificate);
}

TEST_F(MaliciousCoordinatorTest, ARevocationListThatThePlanDoesNotNameIsRefused) {
  device.join(coordinator);
  protocol::Manifest manifest = coordinator.manifest(coordinator.plan_fields(1));
  manifest.revocations = coordinator.authority.revocations(3).der();
  expect_refused(manifest, ErrorCode::bad_certificate, true);
}

TEST_F(MaliciousCoordinatorTest, ANewerRevocationListIsTaken) {
  coordinator.revocations = coordinator.authority.revocations(9).der();
  device.join(coordinator);
  Cohort cohort(coordinator, device, coordinator.plan_fields(1));
  cohort.play(device);
  EXPECT_NE(cohort.sum().sum(), nullptr);
}

TEST_F(MaliciousCoordinatorTest, APlanOfAnotherJobIsRefused) {
  device.join(coordinator);
  auto fields = coordinator.plan_fields(1);
  fields.job[0] ^= 1;
  expect_refused(coordinator.manifest(fields), ErrorCode::wrong_job, true);
}

TEST_F(MaliciousCoordinatorTest, APlanForAModelThatWasNotAnnouncedIsRefused) {
  device.join(coordinator);
  auto fields = coordinator.plan_fields(1);
  fields.model_version = ModelVersion(2);
  expect_refused(coordinator.manifest(fields), ErrorCode::wrong_model, true);
}

TEST_F(MaliciousCoordinatorTest, APlanWithAnotherModelIdIsRefused) {
  device.join(coordinator);
  auto fields = coordinator.plan_fields(1);
  fields.model_id[7] ^= 1;
  expect_refused(coordinator.manifest(fields), ErrorCode::wrong_model, true);
}

TEST_F(MaliciousCoordinatorTest, ALayoutThatIsNotTheModelsOwnIsRefused) {
  device.join(coordinator);
  std::vector<plan::TensorLayout> tensors = coordinator.model().layout(plan::Purpose::train, 0).tensors();
  tensors[0].scale_log2 = static_cast<std::int8_t>(tensors[0].scale_log2 - 1);
  const auto layout = plan::UpdateLayout::create(tensors, 24, 8);
  ASSERT_TRUE(layout) << layout.error().to_string();
  expect_refused(coordinator.manifest(coordinator.plan_fields(1), *layout), ErrorCode::wrong_model, true);

  device.restart(coordinator);
  device.join(coordinator);
  expect_refused(
      coordinator.manifest(coordinator.plan_fields(2), coordinator.model().layout(plan::Purpose::measure, 0)),
      ErrorCode::wrong_model, true);
}

// The device cannot know where a later version has its session: it declines without one, and says what it speaks.
TEST_F(MaliciousCoordinatorTest, APlanOfALaterVersionIsDeclinedByName) {
  device.join(coordinator);
  protocol::Manifest manifest = coordinator.manifest(coordinator.plan_fields(1));
  Bytes& document = manifest.plan.document;
  constexpr std::size_t kVersionAt = 4 + std::string_view("CHORUS/1/plan").size();
  document[kVersionAt] = plan::RoundPlan::kVersion + 1;
  document.resize(document.size() + 100);
  manifest.plan = protocol::sign_document(protocol::kManifestLabel, document, coordinator.signing_key());
  expect_refused(manifest, ErrorCode::unsupported_version, true);
  ASSERT_TRUE(device.last<protocol::Decline>());
  EXPECT_EQ(device.last<protocol::Decline>()->session, ByteArray<32>{});
  EXPECT_EQ(device.last<protocol::Decline>()->sentence, "the plan has version 3; this build speaks 2");
  EXPECT_TRUE(is_permanent(device.end_code())) << "the answer is a newer program";
}

// Layouts that no coordinator could make: written by hand. None makes a device allocate what it announces.
TEST_F(MaliciousCoordinatorTest, AnUpdateOfNoCoordinatesOrOfTooManyForAnyMemoryIsDeclinedByName) {
  struct Tensor {
    std::uint32_t rows;
    std::uint32_t columns;
  };
  const auto with = [&](const std::vector<Tensor>& tensors, ErrorCode code) {
    const auto fields = coordinator.plan_fields(1);
    Bytes document = coordinator.manifest(fields).plan.document;
    ByteWriter own;
    coordinator.model().layout(fields.purpose, 0).encode(own);
    document.resize(document.size() - own.view().size());
    ByteWriter layout;
    layout.u8(32);  // bits
    layout.u32(8);  // contributors
    layout.u32(static_cast<std::uint32_t>(tensors.size()));
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      layout.string("tensor" + std::to_string(t));
      layout.u32(tensors[t].rows);
      layout.u32(tensors[t].columns);
      layout.u8(1);   // per item
      layout.u8(1);   // limbs
      layout.u8(0);   // scale
      layout.f64(8);  // clip
    }
    document.insert(document.end(), layout.view().begin(), layout.view().end());
    TestDevice each(coordinator, {.floors = plan::kProductionFloors});
    each.join(coordinator);
    each.sent.clear();
    each.hear(protocol::Manifest{
        .plan = protocol::sign_document(protocol::kManifestLabel, document, coordinator.signing_key()),
        .revocations = coordinator.revocations});
    EXPECT_EQ(each.end_code(), code) << each.end->error.to_string();
    ASSERT_TRUE(each.last<protocol::Decline>());
    EXPECT_EQ(each.last<protocol::Decline>()->code, code);
    EXPECT_EQ(each.sent.size(), 1U);
  };
  constexpr std::uint32_t kMost = 0xffffffff;
  with({}, ErrorCode::invalid_argument);
  with({{0, 0}}, ErrorCode::invalid_argument);
  with({{0, 3}}, ErrorCode::invalid_argument);
  with({{3, 0}}, ErrorCode::invalid_argument);
  with({{kMost, kMost}}, ErrorCode::too_large);
  with({{1U << 16, 1U << 16}}, ErrorCode::too_large);  // 2^32: zero, in 32 bits
  with({{1U << 14, 1U << 14}, {1U << 14, 1}}, ErrorCode::too_large);
}

TEST_F(MaliciousCoordinatorTest, PlansBelowTheFloorsAndAboveTheCeilingsAreRefused) {
  const plan::Floors floors{.least_survivors = 4,
                            .most_members = 7,
                            .most_dropout = {1, 3},
                            .most_coordinates = 1 << 20,
                            .longest_phase = std::chrono::seconds(60)};
  const auto with = [&](auto change, ErrorCode code) {
    TestDevice careful(coordinator, {.floors = floors});
    careful.rate("item-1", 3);
    careful.join(coordinator);
    auto fields = coordinator.plan_fields(1);
    fields.least_members = 6;
    fields.most_members = 7;
    change(fields);
    careful.invite(coordinator.manifest(fields));
    EXPECT_EQ(careful.end_code(), code) << careful.end->error.to_string();
    EXPECT_EQ(careful.last<protocol::Decline>()->code, code);
    EXPECT_TRUE(careful.all_sent<protocol::Advertise>().empty());
  };
  with([](auto& fields) { fields.least_members = 5; }, ErrorCode::parameter_below_floor);  // ⌈4 / (3/4)⌉ = 6
  with([](auto& fields) { fields.most_members = 8; }, ErrorCode::parameter_above_ceiling);
  with([](auto& fields) { fields.dropout = {2, 5}; }, ErrorCode::parameter_above_ceiling);
  with([](auto& fields) { fields.deadlines[2] = std::chrono::seconds(61); }, ErrorCode::parameter_above_ceiling);
}

TEST_F(MaliciousCoordinatorTest, ProductionFloorsRefuseACohortThatIsTooSmallToHideIn) {
  TestDevice careful(coordinator, {.floors = plan::kProductionFloors});
  careful.join(coordinator);
  careful.invite(coordinator.manifest(coordinator.plan_fields(1)));
  EXPECT_EQ(careful.end_code(), ErrorCode::parameter_below_floor);
  EXPECT_TRUE(careful.all_sent<protocol::Advertise>().empty());
}

TEST_F(MaliciousCoordinatorTest, AModelOfOtherBytesThanItsHeaderIsRefused) {
  coordinator.tensors()[100] ^= 1;
  device.join(coordinator);
  EXPECT_EQ(device.end_code(), ErrorCode::bad_signature);
  expect_nothing_stored();
}

TEST_F(MaliciousCoordinatorTest, AModelIdThatIsNotTheTensorsOwnIsRefused) {
  coordinator.header().model_id[0] ^= 1;
  device.join(coordinator);
  EXPECT_EQ(device.end_code(), ErrorCode::wrong_model);
  expect_nothing_stored();
}

TEST_F(MaliciousCoordinatorTest, AModelWithANumberThatIsNoneIsRefused) {
  coordinator.state().shared.tensors[0].values[5] = std::numeric_limits<float>::quiet_NaN();
  coordinator.publish(ModelVersion(1), 0);
  device.join(coordinator);
  EXPECT_EQ(device.end_code(), ErrorCode::non_finite);
  expect_nothing_stored();
}

TEST_F(MaliciousCoordinatorTest, AnotherModelUnderAKnownVersionIsRefused) {
  device.join(coordinator);
  coordinator.state().shared.tensors[0].values[0] += 1;
  coordinator.publish(ModelVersion(1), 0);
  device.hear(coordinator.published());
  EXPECT_EQ(device.end_code(), ErrorCode::wrong_model);
}

TEST_F(MaliciousCoordinatorTest, AnOlderModelIsRefused) {
  coordinator.publish(ModelVersion(7), 0);
  device.join(coordinator);
  coordinator.publish(ModelVersion(6), 0);
  device.restart(coordinator);
  device.start();
  device.hear(coordinator.welcome());
  EXPECT_EQ(device.end_code(), ErrorCode::wrong_model);
}

TEST_F(MaliciousCoordinatorTest, AnAnnouncementOfTooManyBytesIsNotFetched) {
  coordinator.header().size = Policy::kMostModelBytes + 1;
  device.start();
  device.hear(coordinator.welcome());
  EXPECT_EQ(device.end_code(), ErrorCode::too_large);
  EXPECT_FALSE(device.last<protocol::Fetch>());
}

TEST_F(MaliciousCoordinatorTest, PiecesThatDoNotFitTogetherAreRefused) {
  const auto with = [&](auto change, ErrorCode code) {
    TestDevice each(coordinator);
    each.start();
    each.hear(coordinator.welcome());
    const auto fetch = each.last<protocol::Fetch>();
    each.hear(coordinator.blobs(*fetch, 300)[0]);
    EXPECT_FALSE(each.ended());
    auto second = std::get<protocol::Blob>(coordinator.blobs(*fetch, 300)[1]);
    change(second);
    each.hear(second);
    EXPECT_EQ(each.end_code(), code);
    EXPECT_TRUE(each.ended());
    EXPECT_FALSE(*each.store().catalogue());
  };
  with([](auto& blob) { blob.offset += 1; }, ErrorCode::malformed);
  with([](auto& blob) { blob.total += 1; }, ErrorCode::malformed);
  with([](auto& blob) { blob.version += 1; }, ErrorCode::malformed);
  with([](auto& blob) { blob.kind = protocol::BlobKind::model; }, ErrorCode::malformed);
  with([](auto& blob) { blob.data.clear(); }, ErrorCode::malformed);
  with([](auto& blob) { blob.data.resize(100'000); }, ErrorCode::malformed);  // beyond the announced end
}

TEST_F(MaliciousCoordinatorTest, ACatalogueOfOtherBytesThanItsHeaderIsRefused) {
  device.start();
  device.hear(coordinator.welcome());
  auto fetch = device.last<protocol::Fetch>();
  auto pieces = coordinator.blobs(*fetch, 100'000);
  std::get<protocol::Blob>(pieces[0]).data.back() ^= 1;
  device.hear(pieces[0]);
  EXPECT_EQ(device.end_code(), ErrorCode::bad_signature);
  EXPECT_FALSE(*device.store().catalogue());
}

TEST_F(MaliciousCoordinatorTest, ACatalogueThatMovesItemsIsRefused) {
  device.join(coordinator);
  std::vector<dataset::CatalogueItem> items(coordinator.catalogue().items().begin(),
                                            coordinator.catalogue().items().end());
  std::swap(items[3], items[7]);
  coordinator.set_catalogue(*dataset::Catalogue::create(items, 2));
  coordinator.publish(ModelVersion(2), 0);
  device.restart(coordinator);
  device.join(coordinator);
  EXPECT_EQ(device.end_code(), ErrorCode::wrong_job);
  EXPECT_EQ((*device.store().catalogue())->bytes, testing::make_test_catalogue().encode());
}

TEST_F(MaliciousCoordinatorTest, AnotherCoordinatorIsNotEvenGreeted) {
  device.join(coordinator);
  FakeCoordinator other(99);
  device.restart(other);
  device.sent.clear();
  device.start();
  EXPECT_EQ(device.end_code(), ErrorCode::bad_key);
  EXPECT_TRUE(device.sent.empty());
}

TEST_F(MaliciousCoordinatorTest, AnotherJobThanTheOneJoinedIsRefused) {
  device.join(coordinator);
  FakeCoordinator same_key(1, testing::kItems);
  protocol::JobDescription job = same_key.job();
  job.round_goal = 77;
  protocol::Welcome welcome = same_key.welcome();
  welcome.job = same_key.sign(protocol::kJobLabel, job);
  device.restart(same_key);
  device.start();
  device.hear(welcome);
  EXPECT_EQ(device.end_code(), ErrorCode::wrong_job);
}

TEST_F(MaliciousCoordinatorTest, AJobOfAnotherNameThanTheUsersIsRefusedAndNothingIsPinned) {
  device.job = "books";
  device.restart(coordinator);
  device.start();
  device.hear(coordinator.welcome());
  EXPECT_EQ(device.end_code(), ErrorCode::wrong_job);
  EXPECT_FALSE(*device.store().coordinator_key());
}

TEST_F(MaliciousCoordinatorTest, AWelcomeWithOneBadSignatureIsNotBelievedAtAll) {
  const auto with = [&](auto change) {
    TestDevice each(coordinator);
    protocol::Welcome welcome = coordinator.welcome();
    change(welcome);
    each.start();
    each.hear(welcome);
    EXPECT_EQ(each.end_code(), ErrorCode::bad_signature);
    EXPECT_FALSE(*each.store().coordinator_key());
  };
  with([](auto& welcome) { welcome.job.signature[3] ^= 1; });
  with([](auto& welcome) { welcome.catalogue.signature[3] ^= 1; });
  with([](auto& welcome) { welcome.model->signature[3] ^= 1; });
}

TEST_F(MaliciousCoordinatorTest, AStoreThatLostItsModelGivesNothingAway) {
  device.join(coordinator);
  // The stored model was replaced behind the participant.
  ASSERT_TRUE(device.store().put_model({.header = {}, .items = 1, .tensors = Bytes(10)}));
  device.invite(coordinator.manifest(coordinator.plan_fields(1)));
  EXPECT_EQ(device.end_code(), ErrorCode::corrupt);
  EXPECT_TRUE(device.all_sent<protocol::Advertise>().empty());
  EXPECT_EQ(device.last<protocol::Decline>()->code, ErrorCode::aborted) << "the coordinator does not hear why";
}

}  // namespace
}  // namespace chorus::client
