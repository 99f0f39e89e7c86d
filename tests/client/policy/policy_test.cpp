// What a device agrees to: each rule with a plan just inside it and one just outside. tests/attacks has the coordinator
// that tries them on a whole device.
#include "client/policy/policy.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "common/dataset/rating.hpp"
#include "common/model/registry.hpp"

namespace chorus::client {
namespace {

constexpr plan::Floors kFloors{.least_survivors = 8, .most_members = 64, .longest_phase = 60s};
// What a coordinator may write down, whatever a device thinks of it.
constexpr plan::Floors kNoFloors{.least_survivors = 1,
                                 .most_members = 0xffff,
                                 .most_dropout = {999, 1000},
                                 .least_corrupt = {0, 1},
                                 .least_noise = 0,
                                 .most_coordinates = plan::UpdateLayout::kMaxCoordinates,
                                 .longest_phase = 24h};
constexpr Consent kConsent{.without_noise = true};

class PolicyTest : public ::testing::Test {
 protected:
  PolicyTest()
      : model_(
            std::move(model::make_model("mf", {{"rank", "3"}},
                                        {.items = 40,
                                         .contract = {.minimum = 1, .maximum = 5, .step = 1, .max_items_per_user = 100},
                                         .max_contributors = 128})
                          .value())) {
    held_.job = job_;
    held_.version = ModelVersion(4);
    held_.model_id = {7, 7};
    held_.catalogue = {6};
    fields_.job = job_;
    fields_.round = RoundId(10);
    fields_.model_version = held_.version;
    fields_.model_id = held_.model_id;
    fields_.catalogue = held_.catalogue;
    fields_.revocations = {5};
    fields_.least_members = 10;  // ⌈8 / (1 − .15)⌉
    fields_.most_members = 64;
  }
  Status check(const std::function<void(plan::RoundPlanFields&)>& change, const Consent& consent = kConsent,
               const plan::Floors& floors = kFloors) const {
    plan::RoundPlanFields fields = fields_;
    change(fields);
    const auto plan = plan::RoundPlan::create(fields, model_->layout(plan::Purpose::train, 0), kNoFloors);
    EXPECT_TRUE(plan) << plan.error().to_string();
    return Policy(floors, consent)
        .check(*plan, {.job = job_, .model = *model_, .held = held_, .highest_round = highest_, .attempts = attempts_});
  }
  Status check() const {
    return check([](auto&) {});
  }
  // The field that an error names, with its code.
  static std::string refusal(const Status& status) {
    return status ? "agreed" : std::string(to_string(status.error().code())) + " " + status.error().where();
  }

  const Digest job_ = {1, 2, 3};
  std::unique_ptr<model::Model> model_;
  protocol::ModelHeader held_;
  plan::RoundPlanFields fields_;
  RoundId highest_{9};
  std::uint32_t attempts_ = 0;
};

TEST_F(PolicyTest, AnHonestPlanIsAgreedTo) {
  EXPECT_EQ(refusal(check()), "agreed");
}

TEST_F(PolicyTest, WithoutTheUsersConsentAPlanNeedsNoise) {
  const auto without = [](auto& fields) { fields.local_noise = 0; };
  const auto with = [](auto& fields) { fields.local_noise = 4; };
  EXPECT_EQ(refusal(check(without, Consent{})), "parameter_below_floor field 'local_noise'");
  EXPECT_EQ(refusal(check(with, Consent{})), "agreed");
  EXPECT_EQ(refusal(check(without, kConsent)), "agreed");
  // Consent is to no noise by name, not to noise that is too weak to be any.
  EXPECT_EQ(check([](auto& fields) { fields.local_noise = 3.9; }, kConsent).error().code(),
            ErrorCode::parameter_below_floor);
}

TEST_F(PolicyTest, ALargerCohortThanTheFloorsIsTheUsersToAskFor) {
  const auto insists_on = [](std::uint32_t least) { return [=](auto& fields) { fields.least_members = least; }; };
  const Consent consent{.without_noise = true, .least_cohort = 32};
  EXPECT_EQ(refusal(check(insists_on(32), consent)), "agreed");
  EXPECT_EQ(refusal(check(insists_on(31), consent)), "cohort_too_small field 'least_members'");
}

TEST_F(PolicyTest, ByDefaultNothingIsConsentedToAndIdentitiesAreAMonthOld) {
  EXPECT_FALSE(Policy(kFloors).consent().without_noise);
  EXPECT_EQ(Policy(kFloors).consent().least_identity_age, std::chrono::days(30));
}

TEST_F(PolicyTest, TheCatalogueIsTheOneOfTheModelThatTheDeviceHolds) {
  EXPECT_EQ(refusal(check([](auto& fields) { fields.catalogue[31] ^= 1; })), "wrong_model field 'catalogue'");
}

TEST_F(PolicyTest, VersionAndIdAreThoseOfTheModelThatTheDeviceHolds) {
  EXPECT_EQ(refusal(check([](auto& fields) { fields.model_version = ModelVersion(3); })),
            "wrong_model field 'model_version'");
  EXPECT_EQ(refusal(check([](auto& fields) { fields.model_id[0] ^= 1; })), "wrong_model field 'model_id'");
}

TEST_F(PolicyTest, AnotherJobIsNoneOfTheDevices) {
  EXPECT_EQ(refusal(check([](auto& fields) { fields.job[0] ^= 1; })), "wrong_job field 'job'");
}

TEST_F(PolicyTest, RoundsGoUpAndNotTooFar) {
  EXPECT_EQ(refusal(check([](auto& fields) { fields.round = RoundId(9); })), "stale_round field 'round'");
  const std::uint64_t jump = kFloors.most_round_jump;
  EXPECT_EQ(refusal(check([&](auto& fields) { fields.round = RoundId(9 + jump); })), "agreed");
  EXPECT_EQ(refusal(check([&](auto& fields) { fields.round = RoundId(9 + jump + 1); })), "stale_round field 'round'");
}

TEST_F(PolicyTest, ALayoutIsTheModelsOwnForItsPurpose) {
  EXPECT_EQ(refusal(check([](auto& fields) { fields.purpose = plan::Purpose::measure; })),
            "wrong_model field 'layout'");
}

TEST_F(PolicyTest, OneModelIsAskedThreeTimesForOnePurpose) {
  attempts_ = Policy::kMostAttempts - 1;
  EXPECT_EQ(refusal(check()), "agreed");
  attempts_ = Policy::kMostAttempts;
  EXPECT_EQ(refusal(check()), "model_reused field 'model_id'");
}

TEST_F(PolicyTest, TheDevicesOwnFloorsHoldWhateverThePlanWasReadUnder) {
  EXPECT_EQ(check([](auto& fields) { fields.least_members = 9; }).error().code(), ErrorCode::parameter_below_floor);
  EXPECT_EQ(check([](auto& fields) { fields.most_members = 65; }).error().code(), ErrorCode::parameter_above_ceiling);
  EXPECT_EQ(check([](auto& fields) {
              fields.dropout = {2, 5};
              fields.least_members = 14;
            })
                .error()
                .code(),
            ErrorCode::parameter_above_ceiling);
  EXPECT_EQ(check([](auto& fields) { fields.corrupt = {1, 21}; }).error().code(), ErrorCode::parameter_below_floor);
  for (std::size_t phase = 0; phase < plan::kSumPhases; ++phase) {
    EXPECT_EQ(refusal(check([&](auto& fields) { fields.deadlines[phase] = 60s; })), "agreed");
    EXPECT_EQ(check([&](auto& fields) { fields.deadlines[phase] = 60'001ms; }).error().code(),
              ErrorCode::parameter_above_ceiling);
  }
}

TEST_F(PolicyTest, DownloadsHaveCeilings) {
  const Policy policy(kFloors);
  protocol::ModelHeader model;
  model.size = Policy::kMostModelBytes;
  EXPECT_TRUE(policy.check_size(model));
  ++model.size;
  EXPECT_EQ(policy.check_size(model).error().code(), ErrorCode::too_large);
  protocol::CatalogueHeader catalogue;
  catalogue.size = Policy::kMostCatalogueBytes;
  catalogue.items = dataset::kMaxItems;
  EXPECT_TRUE(policy.check_size(catalogue));
  ++catalogue.size;
  EXPECT_EQ(policy.check_size(catalogue).error().code(), ErrorCode::too_large);
  --catalogue.size;
  ++catalogue.items;
  EXPECT_EQ(policy.check_size(catalogue).error().code(), ErrorCode::too_large);
}

TEST_F(PolicyTest, WhatAnotherAttemptCannotMendIsPermanent) {
  for (const ErrorCode code : {ErrorCode::bad_key, ErrorCode::wrong_job, ErrorCode::revoked, ErrorCode::corrupt}) {
    EXPECT_TRUE(is_permanent(code)) << to_string(code);
  }
  for (const ErrorCode code : {ErrorCode::aborted, ErrorCode::timeout, ErrorCode::model_reused, ErrorCode::stale_round,
                               ErrorCode::overloaded, ErrorCode::closed}) {
    EXPECT_FALSE(is_permanent(code)) << to_string(code);
  }
}

}  // namespace
}  // namespace chorus::client
