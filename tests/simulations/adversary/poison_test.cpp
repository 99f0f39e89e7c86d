// Devices that lie, and what the rules over cohorts make of them: each rule holds where it should, and the plain sum,
// the control, fails.
#include "simulations/adversary/poison.hpp"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/dataset/planted.hpp"
#include "common/evaluation/rating_test.hpp"
#include "common/model/registry.hpp"
#include "simulations/world/replay.hpp"
#include "simulations/world/train_settings.hpp"
#include "simulations/world/training_run.hpp"

namespace chorus::sim {
namespace {

using coordinator::Combination;

constexpr std::uint32_t kUsers = 1000;
constexpr std::uint32_t kItems = 40;
constexpr std::uint32_t kTarget = 39;

class Poisoning : public ::testing::Test {
 protected:
  Poisoning()
      : planted_(
            dataset::PlantedPopulation::create({.users = kUsers, .items = kItems, .ratings_per_user = 16}).value()),
        table_(planted_.table()) {
    test_.users = table_.users;
    test_.items = table_.items;
    std::size_t kept = 0;
    for (std::size_t k = 0; k < table_.entries.size(); ++k) {
      if (k % 8 == 7) {
        test_.entries.push_back(table_.entries[k]);
      } else {
        table_.entries[kept++] = table_.entries[k];
      }
    }
    table_.entries.resize(kept);
    std::iota(everybody_.begin(), everybody_.end(), 0U);
  }

  [[nodiscard]] std::unique_ptr<model::Model> make(const model::Settings& settings = {
                                                       {"update", "newton"}, {"rank", "4"}, {"trial", "off"}}) const {
    return model::make_model("mf", settings, {.items = kItems, .contract = planted_.contract(), .max_contributors = 50})
        .value();
  }

  struct Quality {
    double rmse = 0;
    double target = 0;  // its mean predicted rating
    std::uint32_t rejected = 0;
  };
  // Twenty cohorts of fifty.
  [[nodiscard]] Quality trained(Combination combination, const std::optional<PoisonOptions>& poison,
                                bool rejects = true) const {
    const auto model = make();
    std::optional<Poisoners> poisoners;
    if (poison) poisoners.emplace(*poison, kUsers, 1);
    const evaluation::UserData users(table_);
    Training training(
        *model, users, Aggregation::plain, 2, 1,
        {.rule = {.combination = combination}, .rejects = rejects, .poisoners = poisoners ? &*poisoners : nullptr});
    Quality quality;
    for (std::uint32_t round = 0; round <= 5; ++round) {
      const auto made = training.round(round == 0 ? plan::Purpose::survey : plan::Purpose::train, everybody_);
      EXPECT_TRUE(made.has_value()) << made.error().to_string();
      quality.rejected = made->rejected;
    }
    const model::TensorSet& shared = training.state().shared;
    quality.rmse = evaluation::test_ratings(*model, shared, users, dataset::ByUser(test_), 0, kUsers).value().rmse();
    for (std::uint32_t user = 0; user < kUsers; ++user) {
      quality.target += model->score(shared, model->solve(shared, users[user]), kTarget) / kUsers;
    }
    return quality;
  }

  dataset::PlantedPopulation planted_;
  dataset::RatingTable table_;
  dataset::RatingTable test_;
  std::vector<std::uint32_t> everybody_ = std::vector<std::uint32_t>(kUsers);
};

TEST_F(Poisoning, IsWithstoodByRobustRulesAndNotByThePlainSum) {
  const Quality clean = trained(Combination::mean, std::nullopt);
  for (const Attack attack : {Attack::scale, Attack::flip, Attack::promote}) {
    const PoisonOptions poison{.attack = attack, .reach = Reach::clip, .cohorts = 0.2, .target = kTarget};
    for (const Combination rule : {Combination::trimmed_mean, Combination::median}) {
      const Quality held = trained(rule, poison);
      EXPECT_LT(held.rmse, 1.05 * clean.rmse) << to_string(attack) << " " << to_string(rule);
      EXPECT_LT(held.target, clean.target + 0.5) << to_string(attack) << " " << to_string(rule);
      EXPECT_EQ(held.rejected, 0U) << "within the clips";
    }
    const Quality spoilt = trained(Combination::mean, poison);
    if (attack == Attack::promote) {
      EXPECT_GT(spoilt.target, clean.target + 1);
    } else {
      EXPECT_GT(spoilt.rmse, 1.1 * clean.rmse) << to_string(attack);
    }
  }
}

TEST_F(Poisoning, BeyondTheClipsIsRejectedWithItsWholeCohortWhereTheCoordinatorLooks) {
  const PoisonOptions poison{.attack = Attack::scale, .reach = Reach::lane, .cohorts = 0.2, .share = 0.1};
  const Quality clean = trained(Combination::mean, std::nullopt);
  const Quality looked = trained(Combination::mean, poison);
  EXPECT_EQ(looked.rejected, 4U) << "a fifth of twenty cohorts";
  EXPECT_LT(looked.rmse, 1.05 * clean.rmse);
  const Quality unseen = trained(Combination::mean, poison, false);
  EXPECT_EQ(unseen.rejected, 0U);
  EXPECT_GT(unseen.rmse, 1.1 * clean.rmse) << "the control";
}

TEST_F(Poisoning, IsTheSameInMaskedSums) {
  const auto model = model::make_model("mf", {{"update", "newton"}, {"rank", "2"}},
                                       {.items = kItems, .contract = planted_.contract(), .max_contributors = 80})
                         .value();
  const evaluation::UserData users(table_);
  const Poisoners poisoners({.attack = Attack::flip, .reach = Reach::lane, .cohorts = 0.4, .share = 0.3}, kUsers, 1);
  const CohortTreatment treatment{
      .rule = {.combination = Combination::median}, .rejects = false, .poisoners = &poisoners};
  Training plain(*model, users, Aggregation::plain, 2, 1, treatment);
  Training masked(*model, users, Aggregation::masked, 2, 1, treatment);
  const auto people = std::span(everybody_).first(240);
  ASSERT_TRUE(plain.round(plan::Purpose::train, people).has_value());
  const auto made = masked.round(plan::Purpose::train, people);
  ASSERT_TRUE(made.has_value()) << made.error().to_string();
  EXPECT_EQ(masked.digest(), plain.digest());
}

TEST_F(Poisoning, WorksOnEveryFamily) {
  const dataset::PlantedPopulation events =
      dataset::PlantedPopulation::create(
          {.users = 90, .items = kItems, .ratings_per_user = 12, .feedback = dataset::Feedback::events})
          .value();
  const dataset::PlantedPopulation ratings =
      dataset::PlantedPopulation::create({.users = 90, .items = kItems, .ratings_per_user = 12}).value();
  for (const model::Family& family : model::families()) {
    const auto& people = family.feedback == dataset::Feedback::events ? events : ratings;
    const auto model =
        model::make_model(family.name, {}, {.items = kItems, .contract = people.contract(), .max_contributors = 30});
    ASSERT_TRUE(model.has_value()) << family.name;
    const evaluation::UserData users(people.table());
    // Nothing where no step can be made of the sums.
    const auto trained = [&](const Poisoners* poisoners) -> std::optional<Digest> {
      Training training(**model, users, Aggregation::plain, 1, 1, {.rejects = false, .poisoners = poisoners});
      const auto everybody = std::span(everybody_).first(90);
      if ((*model)->needs_survey() && !training.round(plan::Purpose::survey, everybody)) return std::nullopt;
      if (!training.round(plan::Purpose::train, everybody)) return std::nullopt;
      return training.digest();
    };
    const auto honest = trained(nullptr);
    ASSERT_TRUE(honest.has_value()) << family.name;
    for (const Attack attack : {Attack::scale, Attack::flip, Attack::promote}) {
      const Poisoners poisoners({.attack = attack, .reach = Reach::sum, .share = 0.2, .target = kTarget}, 90, 1);
      EXPECT_NE(trained(&poisoners), honest) << family.name << " " << to_string(attack);
      const Poisoners nobody({.attack = attack, .share = 0, .target = kTarget}, 90, 1);
      EXPECT_EQ(trained(&nobody), honest) << family.name << ": the control";
    }
  }
}

TEST(Poisoners, AreSoManyAsWereAskedForAndStayWhereTheyAreConfined) {
  const Poisoners confined({.cohorts = 0.2, .share = 0.5}, 1000, 3);
  std::size_t inside = 0;
  for (std::uint32_t device = 0; device < 1000; ++device) {
    inside += confined.is_poisoned(device, device / 100, 10) ? 1 : 0;
    if (device >= 200) {
      EXPECT_FALSE(confined.is_poisoned(device, device / 100, 10)) << device;
    }
  }
  EXPECT_NEAR(static_cast<double>(inside), 100, 25);
  const Poisoners spread({.cohorts = 1, .share = 0.01}, 1000, 3);
  std::size_t all = 0;
  for (std::uint32_t device = 0; device < 1000; ++device) all += spread.is_poisoned(device, device / 100, 10) ? 1 : 0;
  EXPECT_EQ(all, 10U);
}

TEST_F(Poisoning, HonestRunsOfARuleAreRepeatedByteForByteFromTheirTrace) {
  const Population population(table_);
  for (const Combination combination : {Combination::trimmed_mean, Combination::median, Combination::norm_filtered}) {
    const auto model = make({{"update", "vb"}, {"rank", "3"}});
    const coordinator::CombinationRule rule{.combination = combination, .trim = 0.15};
    const TraceOfTraining traced(*model, population, rule);
    std::string trace = traced.header("town");
    const TrainingOptions options{.rounds = 2, .threads = 2, .cohort_size = 50, .treatment = {.rule = rule}};
    ASSERT_TRUE(run_training(*model, population, test_, options, [&](const RoundReport& report) {
                  trace += traced.line(report);
                }).has_value());
    const auto repeated = replay(trace, population, {}, 1);
    ASSERT_TRUE(repeated.has_value()) << repeated.error().to_string();
    EXPECT_EQ(repeated->versions, 4U);
    if (combination != Combination::trimmed_mean) continue;
    std::string other = trace;
    const std::string trim = R"("trim":0.15)";
    other.replace(other.rfind(trim), trim.size(), R"("trim":0.35)");
    EXPECT_EQ(replay(other, population, {}, 1).error().code(), ErrorCode::corrupt) << "by another rule";
  }
}

TEST(TrainSettingsOfPoison, SayWhatCannotBe) {
  const auto error_of = [](std::vector<std::string> sets, const char* aggregation = "plain",
                           const char* family = "mf") {
    const auto settings = TrainSettings::create(family, sets, aggregation, 1);
    if (!settings) return settings.error().to_string();
    dataset::DataContract contract;
    if (settings->feedback() == dataset::Feedback::events) {
      contract = {.feedback = dataset::Feedback::events, .minimum = 0, .maximum = 1, .step = 0};
    }
    const auto model = settings->make_model(kItems, contract, 1);
    if (!model) return model.error().to_string();
    const auto poisoners = settings->make_poisoners(kItems, 10, 1);
    return poisoners ? std::string() : poisoners.error().to_string();
  };
  using ::testing::HasSubstr;
  EXPECT_EQ(error_of({"aggregation.rule=median", "poison.attack=flip", "poison.cohorts=0.2"}), "");
  EXPECT_THAT(error_of({"aggregation.rule=middle"}), HasSubstr("expected mean, trimmed-mean"));
  EXPECT_THAT(error_of({"aggregation.trim=0.5"}), HasSubstr("below 0.5"));
  EXPECT_THAT(error_of({"aggregation.rejects=maybe"}), HasSubstr("expected on or off"));
  EXPECT_THAT(error_of({"poison.attack=bribe"}), HasSubstr("expected scale, flip or promote"));
  EXPECT_THAT(error_of({"poison.share=1.5"}), HasSubstr("from 0 to 1"));
  EXPECT_THAT(error_of({"poison.strength=1"}), HasSubstr("poison.factor"));
  EXPECT_THAT(error_of({"poison.attack=promote", "poison.target=40"}), HasSubstr("there is no item 40"));
  EXPECT_THAT(error_of({"aggregation.rule=median"}, "float"), HasSubstr("have no cohorts"));
  EXPECT_THAT(error_of({"poison.attack=flip", "privacy.epsilon=5"}), HasSubstr("without differential privacy"));
  EXPECT_THAT(error_of({"aggregation.rule=median", "privacy.epsilon=5"}), HasSubstr("keeps the noise of some"));
  EXPECT_THAT(error_of({"aggregation.rule=median", "model.update=als"}), HasSubstr("one matrix"));
  EXPECT_THAT(error_of({"aggregation.rule=median"}, "plain", "ease"), HasSubstr("one matrix"));
  EXPECT_EQ(error_of({"aggregation.rule=norm-filtered"}, "plain", "ease"), "");
}

}  // namespace
}  // namespace chorus::sim
