// What a device's policy, store and ledger refuse before anything leaves: rows 7, 9 and 15.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>

#include <gtest/gtest.h>

#include "client/policy/policy.hpp"
#include "client/round/open_round.hpp"
#include "client/store/store.hpp"
#include "common/model/registry.hpp"
#include "tests/attacks/play.hpp"

namespace chorus::attacks {
namespace {

using client::FullChecks;

constexpr std::uint32_t kVictim = 3;

std::unique_ptr<model::Model> make_model() {
  const dataset::DataContract contract{.minimum = 1, .maximum = 5, .step = 1, .max_items_per_user = 100};
  return std::move(
      model::make_model("mf", {{"rank", "3"}, {"lambda", "1"}},
                        {.items = 40, .contract = contract, .max_contributors = plan::kProductionFloors.most_members})
          .value());
}

// A coordinator may sign what it likes: these floors let everything be written down.
constexpr plan::Floors kNoFloors{.least_survivors = 1,
                                 .most_members = 0xffffffff,
                                 .most_dropout = {999, 1000},
                                 .least_corrupt = {0, 1},
                                 .least_noise = 0,
                                 .most_coordinates = plan::UpdateLayout::kMaxCoordinates,
                                 .longest_phase = 24h};

class Device {
 public:
  explicit Device(client::Store& store) : store_(store) {
    held_.job = job_;
    held_.version = ModelVersion(4);
    held_.model_id = {7, 7};
    held_.catalogue = {6};
  }

  [[nodiscard]] plan::RoundPlanFields fields(std::uint64_t round) const {
    plan::RoundPlanFields fields;
    fields.job = job_;
    fields.session = {1, static_cast<std::uint8_t>(round)};
    fields.round = RoundId(round);
    fields.model_version = held_.version;
    fields.model_id = held_.model_id;
    fields.catalogue = held_.catalogue;
    fields.least_members = 76;
    fields.most_members = 128;
    fields.local_noise = 4;
    return fields;
  }
  [[nodiscard]] plan::UpdateLayout layout() const { return model_->layout(plan::Purpose::train, 0); }

  // What the device's own policy, the production floors, says of the plan.
  Status consider(const plan::RoundPlanFields& fields, std::optional<plan::UpdateLayout> layout = {},
                  const client::Consent& consent = {}) {
    // Through its bytes, as it comes.
    const auto plan = plan::RoundPlan::create(fields, layout ? *layout : this->layout(), kNoFloors);
    if (!plan.has_value()) return fail(plan.error());
    const auto read = plan::RoundPlan::decode(plan->encode(), kNoFloors);
    EXPECT_TRUE(read.has_value());
    return client::Policy(plan::kProductionFloors, consent)
        .check(*read, {.job = job_,
                       .model = *model_,
                       .held = held_,
                       .highest_round = store_.highest_round().value(),
                       .attempts = store_.attempts(fields.model_id, fields.purpose).value()});
  }
  Status reserve(const plan::RoundPlanFields& fields) {
    client::Participation line;
    line.round = fields.round;
    line.purpose = fields.purpose;
    line.model_version = fields.model_version;
    line.model_id = fields.model_id;
    return store_.reserve(line);
  }

 private:
  client::Store& store_;
  Digest job_{5};
  std::unique_ptr<model::Model> model_ = make_model();
  protocol::ModelHeader held_;
};

class StoreFile {
 public:
  StoreFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "chorus-attack-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  StoreFile(const StoreFile&) = delete;
  StoreFile& operator=(const StoreFile&) = delete;
  ~StoreFile() { std::filesystem::remove_all(folder_); }
  [[nodiscard]] std::unique_ptr<client::Store> open() const {
    return std::move(client::open_store(folder_ / "store").value());
  }

 private:
  std::filesystem::path folder_;
};

TEST(Attack, Row07ARoundIsEnteredOnceAlsoAfterACrash) {
  const StoreFile file;
  {
    const auto store = file.open();
    Device device(*store);
    EXPECT_EQ(code_of(device.consider(device.fields(5))), std::nullopt);
    EXPECT_EQ(code_of(device.reserve(device.fields(5))), std::nullopt);
  }
  const auto store = file.open();
  Device device(*store);
  for (const std::uint64_t round : {5U, 4U, 1U}) {
    EXPECT_EQ(code_of(device.consider(device.fields(round))), ErrorCode::stale_round) << round;
    EXPECT_EQ(code_of(device.reserve(device.fields(round))), ErrorCode::stale_round) << round;
  }
  // A number so high that no later plan would be above it.
  EXPECT_EQ(code_of(device.consider(device.fields(5 + (1U << 20)))), std::nullopt);
  EXPECT_EQ(code_of(device.consider(device.fields(6 + (1U << 20)))), ErrorCode::stale_round);
}

TEST(Attack, Row07AModelIsAnsweredThreeTimesAtMost) {
  const StoreFile file;
  for (std::uint64_t round = 1; round <= 3; ++round) {
    const auto store = file.open();
    Device device(*store);
    EXPECT_EQ(code_of(device.consider(device.fields(round))), std::nullopt);
    EXPECT_EQ(code_of(device.reserve(device.fields(round))), std::nullopt);
    EXPECT_EQ(code_of(store->charge(RoundId(round), client::kWithoutNoise)),
              std::nullopt);  // the update leaves; what becomes of it is the same
  }
  const auto store = file.open();
  Device device(*store);
  EXPECT_EQ(code_of(device.consider(device.fields(4))), ErrorCode::model_reused);
}

TEST(Attack, Row07AnIdentityHasOneSession) {
  const StoreFile file;
  const auto first = file.open();
  const auto second = file.open();
  EXPECT_EQ(code_of(first->begin_session()), std::nullopt);
  EXPECT_EQ(code_of(second->begin_session()), ErrorCode::round_in_use);
  first->end_session();
  EXPECT_EQ(code_of(second->begin_session()), std::nullopt);
}

// A process that was brought back in mid-round finds what it had promised.
TEST(Attack, Row07ARestoredProcessIsBoundByWhatItPromised) {
  const StoreFile file;
  {
    const auto store = file.open();
    Device device(*store);
    EXPECT_EQ(code_of(device.reserve(device.fields(5))), std::nullopt);
    EXPECT_EQ(code_of(store->charge(RoundId(5), client::kWithoutNoise)), std::nullopt);
    EXPECT_EQ(code_of(store->vote(RoundId(5), Digest{1})), std::nullopt);
  }
  const auto store = file.open();
  EXPECT_EQ(code_of(store->charge(RoundId(5), client::kWithoutNoise)), ErrorCode::duplicate);
  EXPECT_EQ(code_of(store->vote(RoundId(5), Digest{1})), std::nullopt);
  EXPECT_EQ(code_of(store->vote(RoundId(5), Digest{2})), ErrorCode::already_signed);
}

// A store that forgets, or one that was brought back with the process, agrees to the same plan again and again.
TEST(Attack, Row07ControlAStoreThatForgetsAgreesToAReplay) {
  for (int time = 0; time < 5; ++time) {
    const auto store = std::move(client::open_memory_store().value());
    Device device(*store);
    EXPECT_EQ(code_of(device.consider(device.fields(5))), std::nullopt);
    EXPECT_EQ(code_of(device.reserve(device.fields(5))), std::nullopt);
    EXPECT_EQ(code_of(store->vote(RoundId(5), Digest{static_cast<std::uint8_t>(time)})), std::nullopt);
  }
}

TEST(Attack, Row09AWeakManifestIsRefused) {
  const auto store = std::move(client::open_memory_store().value());
  Device device(*store);
  ASSERT_EQ(code_of(device.consider(device.fields(1))), std::nullopt);
  struct Weakness {
    const char* what;
    ErrorCode code;
    std::function<void(plan::RoundPlanFields&)> weaken;
  };
  const std::array weaknesses{
      Weakness{"n_min 2", ErrorCode::parameter_below_floor, [](auto& f) { f.least_members = 2; }},
      Weakness{"n_min one below", ErrorCode::parameter_below_floor, [](auto& f) { f.least_members = 75; }},
      Weakness{"δ .9", ErrorCode::parameter_above_ceiling, [](auto& f) { f.dropout = {9, 10}; }},
      Weakness{"δ just above 1/3", ErrorCode::parameter_above_ceiling,
               [](auto& f) {
                 f.dropout = {333'334, 1'000'000};
                 f.least_members = 128;
               }},
      Weakness{"γ 0", ErrorCode::parameter_below_floor, [](auto& f) { f.corrupt = {0, 1}; }},
      Weakness{"γ just below .05", ErrorCode::parameter_below_floor, [](auto& f) { f.corrupt = {49'999, 1'000'000}; }},
      Weakness{"σ just below 4", ErrorCode::parameter_below_floor, [](auto& f) { f.local_noise = 3.999; }},
      Weakness{"σ next to nothing", ErrorCode::parameter_below_floor, [](auto& f) { f.local_noise = 5e-324; }},
      Weakness{"no noise, not agreed to", ErrorCode::parameter_below_floor, [](auto& f) { f.local_noise = 0; }},
      Weakness{"σ below zero", ErrorCode::invalid_argument, [](auto& f) { f.local_noise = -4; }},
      Weakness{"σ not a number", ErrorCode::invalid_argument,
               [](auto& f) { f.local_noise = std::numeric_limits<double>::quiet_NaN(); }},
      Weakness{"σ of minus nothing", ErrorCode::invalid_argument, [](auto& f) { f.local_noise = -0.0; }},
      Weakness{"a phase of a day", ErrorCode::parameter_above_ceiling, [](auto& f) { f.deadlines[2] = 24h; }},
      Weakness{"another model's id", ErrorCode::wrong_model, [](auto& f) { f.model_id = {9}; }},
      Weakness{"another catalogue", ErrorCode::wrong_model, [](auto& f) { f.catalogue = {9}; }},
  };
  for (const Weakness& weakness : weaknesses) {
    plan::RoundPlanFields fields = device.fields(1);
    weakness.weaken(fields);
    EXPECT_EQ(code_of(device.consider(fields)), weakness.code) << weakness.what;
  }
  // The model's own clips and scales are ceilings; a layout that is below them is not the model's either.
  struct Layout {
    const char* what;
    ErrorCode code;
    std::function<void(std::vector<plan::TensorLayout>&)> change;
  };
  const std::array layouts{
      Layout{"a huge clip", ErrorCode::parameter_above_ceiling,
             [](auto& tensors) {
               tensors[0].clip = 1e5;
               tensors[0].scale_log2 = -8;
             }},
      Layout{"a clip just above the model's", ErrorCode::parameter_above_ceiling,
             [](auto& tensors) {
               tensors[0].clip = std::nextafter(tensors[0].clip, 1e9);
               --tensors[0].scale_log2;
             }},
      Layout{"a finer scale", ErrorCode::parameter_above_ceiling,
             [](auto& tensors) {
               tensors[0].clip /= 4;
               ++tensors[0].scale_log2;
             }},
      Layout{"a smaller clip", ErrorCode::wrong_model, [](auto& tensors) { tensors[0].clip /= 2; }},
      Layout{"one column more", ErrorCode::wrong_model, [](auto& tensors) { ++tensors[0].columns; }},
      Layout{"one tensor less", ErrorCode::wrong_model, [](auto& tensors) { tensors.pop_back(); }},
      Layout{"another name", ErrorCode::wrong_model, [](auto& tensors) { tensors[0].name = "elsewhere"; }},
  };
  for (const Layout& each : layouts) {
    std::vector<plan::TensorLayout> tensors = device.layout().tensors();
    each.change(tensors);
    const auto layout = plan::UpdateLayout::create(tensors, device.layout().bits(), device.layout().max_contributors());
    ASSERT_TRUE(layout.has_value()) << each.what << layout.error().to_string();
    EXPECT_EQ(code_of(device.consider(device.fields(1), *layout)), each.code) << each.what;
  }
}

TEST(Attack, Row09ControlTheSameWeaknessesPassADeviceWithoutFloors) {
  const auto store = std::move(client::open_memory_store().value());
  Device device(*store);
  plan::RoundPlanFields fields = device.fields(1);
  fields.least_members = 10;
  fields.dropout = {9, 10};
  fields.corrupt = {0, 1};
  fields.local_noise = 0.5;
  EXPECT_TRUE(plan::RoundPlan::create(fields, device.layout(), kNoFloors).has_value());
  fields = device.fields(1);
  fields.local_noise = 0;
  EXPECT_EQ(code_of(device.consider(fields, {}, {.without_noise = true})), std::nullopt);
}

// The ledger's rule (design: secure aggregation, step 2): a round costs μ² = Δ² / (N σ²), added up. Held in thousandths
// of Δ²/σ², so that the round in which the budget ends is computed in integers. What was spent is what the device's
// store says was charged, each at the price of N = 5.
class Ledger : public client::SumPromises {
 public:
  struct Limits {
    std::uint64_t budget = 10'000;
    std::uint64_t most_a_round = 1'000;
  };
  Ledger(client::Store& store, RoundId round, Limits limits)
      : store_(&store), promises_(store, round), limits_(limits) {}

  Status afford(std::uint32_t honest) override {
    const std::uint64_t cost = 1000 / honest;
    if (cost > limits_.most_a_round) {
      return fail(ErrorCode::cost_above_policy, "the round costs more than the policy allows");
    }
    if (spent() + cost > limits_.budget) return fail(ErrorCode::budget_exhausted, "the budget is spent");
    return {};
  }
  Status charge(std::uint32_t honest) override {
    // Not what a control makes of it.
    CHORUS_TRY_DO(Ledger::afford(honest));
    return promises_.charge(honest);
  }
  Status vote(const Digest& h3) override { return promises_.vote(h3); }

 private:
  std::uint64_t spent() const {
    const auto history = store_->history(100).value();
    return 200 * static_cast<std::uint64_t>(std::ranges::count_if(history, [](const client::Participation& line) {
             return line.ending != client::Ending::withheld;
           }));
  }

  client::Store* store_;
  client::StorePromises promises_;
  Limits limits_;
};

// A device that asks what a round costs only when it pays.
class LateLedger final : public Ledger {
 public:
  using Ledger::Ledger;
  Status afford(std::uint32_t /*honest*/) override { return {}; }
};

// Every member advertises, and everybody but the victim gets the roster and deals.
void deal_without(Play& play, std::uint32_t victim) {
  for (std::uint32_t p = 0; p < play.size(); ++p) play.part(p).member->advertise();
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    if (p == victim) continue;
    EXPECT_EQ(code_of(play.tell_roster(play.part(p), play.leaves())), std::nullopt);
  }
}

// Eight were announced, N = 5: 200 a round is agreed to. Six come, D = 1, A = 0: N = 5 too; four: N = 3, 333.
Scene scene_of(std::uint32_t members) {
  Scene scene;
  scene.members = members;
  scene.least_members = 3;
  scene.seed = members;
  return scene;
}

TEST(Attack, Row09ASmallRosterAfterALargePromiseCostsTooMuch) {
  for (const std::uint32_t members : {8U, 6U, 4U}) {
    const StoreFile file;
    const auto store = file.open();
    EXPECT_EQ(code_of(Device(*store).reserve(Device(*store).fields(1))), std::nullopt);
    Ledger ledger(*store, RoundId(1), {.most_a_round = 200});
    Play play(scene_of(members));
    play.recast(1, &make_member<FullChecks>, nullptr, &ledger);
    deal_without(play, 1);
    const Status said = play.tell_roster(play.part(1), play.leaves());
    if (members != 4) {
      EXPECT_EQ(code_of(said), std::nullopt);
      continue;
    }
    EXPECT_EQ(code_of(said), ErrorCode::cost_above_policy);
    EXPECT_FALSE(play.released(1).shares);
    EXPECT_FALSE(play.released(1).masked);
    EXPECT_EQ(play.part(1).member->state(), client::SumMember::State::aborted);
    EXPECT_EQ(store->history(1)->at(0).ending, client::Ending::withheld);
  }
}

TEST(Attack, Row09ControlADeviceThatAsksWhenItPaysHasDealtItsSharesByThen) {
  const StoreFile file;
  const auto store = file.open();
  EXPECT_EQ(code_of(Device(*store).reserve(Device(*store).fields(1))), std::nullopt);
  LateLedger ledger(*store, RoundId(1), {.most_a_round = 200});
  Play play(scene_of(4));
  play.recast(1, &make_member<FullChecks>, nullptr, &ledger);
  deal_without(play, 1);
  EXPECT_EQ(code_of(play.tell_roster(play.part(1), play.leaves())), std::nullopt);
  EXPECT_TRUE(play.released(1).shares);
  EXPECT_EQ(code_of(play.tell_delivery(play.part(1), play.delivery(1, play.everybody()))),
            ErrorCode::cost_above_policy);
  EXPECT_FALSE(play.released(1).masked);
}

// The process ends after each round; the store remembers.
TEST(Attack, Row15ADeviceThatIsInvitedEveryRoundStopsAtTheComputedOne) {
  const StoreFile file;
  std::uint32_t uploads = 0;
  for (std::uint64_t round = 1; round <= 10; ++round) {
    const auto store = file.open();
    EXPECT_EQ(code_of(Device(*store).reserve(Device(*store).fields(round))), std::nullopt);
    Ledger ledger(*store, RoundId(round), {.budget = 1'500});  // N = 5: 200 a round, seven rounds
    Scene scene;
    scene.h0 = {static_cast<std::uint8_t>(round)};
    scene.seed = round;
    Play play(scene);
    play.recast(kVictim, &make_member<FullChecks>, nullptr, &ledger);
    deal_without(play, kVictim);
    const Status said = play.tell_roster(play.part(kVictim), play.leaves());
    EXPECT_EQ(code_of(said), round <= 7 ? std::nullopt : std::optional(ErrorCode::budget_exhausted)) << round;
    EXPECT_EQ(play.released(kVictim).shares.has_value(), round <= 7) << round;
    if (said.has_value()) {
      EXPECT_EQ(code_of(play.tell_delivery(play.part(kVictim), play.delivery(kVictim, play.everybody()))),
                std::nullopt);
    } else {
      // The others' round goes on.
      EXPECT_EQ(code_of(play.tell_delivery(play.part(0), play.delivery(0, play.except({kVictim})))), std::nullopt);
    }
    EXPECT_EQ(play.released(kVictim).masked.has_value(), round <= 7) << round;
    uploads += play.released(kVictim).masked ? 1U : 0U;
  }
  EXPECT_EQ(uploads, 7U);
  EXPECT_EQ(file.open()->attempts(Device(*file.open()).fields(1).model_id, plan::Purpose::train).value(), 7U);
}

// The charge is taken before the vector is given away, and an upload that came to nothing was charged as well.
TEST(Attack, Row15AnUploadIsChargedWhateverBecomesOfIt) {
  const StoreFile file;
  {
    const auto store = file.open();
    EXPECT_EQ(code_of(Device(*store).reserve(Device(*store).fields(1))), std::nullopt);
    Ledger ledger(*store, RoundId(1), {.budget = 300});
    Play play({});
    play.recast(kVictim, &make_member<FullChecks>, nullptr, &ledger);
    play.play_to_upload();
    EXPECT_EQ(code_of(play.tell_survivors(play.part(kVictim), play.except({kVictim}))), ErrorCode::bad_survivors);
  }
  const auto store = file.open();
  EXPECT_EQ(store->history(1)->at(0).ending, client::Ending::lost);
  EXPECT_EQ(code_of(Device(*store).reserve(Device(*store).fields(2))), std::nullopt);
  Ledger ledger(*store, RoundId(2), {.budget = 300});
  EXPECT_EQ(code_of(ledger.afford(5)), ErrorCode::budget_exhausted);
  EXPECT_EQ(code_of(ledger.charge(5)), ErrorCode::budget_exhausted);
  EXPECT_EQ(store->history(1)->at(0).ending, client::Ending::withheld);
}

// What could be paid when the roster came was spent since, by the same device elsewhere: the charge decides.
TEST(Attack, Row15AnUpdateThatCannotBePaidAnyMoreStays) {
  const StoreFile file;
  const auto store = file.open();
  const auto elsewhere = file.open();
  EXPECT_EQ(code_of(Device(*store).reserve(Device(*store).fields(1))), std::nullopt);
  Ledger ledger(*store, RoundId(1), {.budget = 300});
  Play play({});
  play.recast(kVictim, &make_member<FullChecks>, nullptr, &ledger);
  play.play_to_shares();
  EXPECT_EQ(code_of(Device(*elsewhere).reserve(Device(*elsewhere).fields(2))), std::nullopt);
  EXPECT_EQ(code_of(elsewhere->charge(RoundId(2), client::kWithoutNoise)), std::nullopt);
  EXPECT_EQ(code_of(play.tell_delivery(play.part(kVictim), play.delivery(kVictim, play.everybody()))),
            ErrorCode::budget_exhausted);
  EXPECT_FALSE(play.released(kVictim).masked);
  expect_hidden(play, kVictim);
}

// Without a ledger it is asked for ever.
TEST(Attack, Row15ControlWithoutALedgerEveryRoundIsAnswered) {
  const StoreFile file;
  for (std::uint64_t round = 1; round <= 10; ++round) {
    const auto store = file.open();
    EXPECT_EQ(code_of(Device(*store).reserve(Device(*store).fields(round))), std::nullopt);
    client::StorePromises promises(*store, RoundId(round));
    Scene scene;
    scene.h0 = {static_cast<std::uint8_t>(round)};
    scene.seed = round;
    Play play(scene);
    play.recast(kVictim, &make_member<FullChecks>, nullptr, &promises);
    play.play_to_upload();
    EXPECT_TRUE(play.released(kVictim).masked);
    EXPECT_TRUE(promises.charged());
  }
}

}  // namespace
}  // namespace chorus::attacks
