// Every family learns through the federation: plans, secure sums of its own updates, versions.
#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;

constexpr std::uint32_t kItems = 20;
constexpr std::uint32_t kDevices = 5;
constexpr std::uint64_t kRounds = 3;

protocol::JobDescription job_of(const model::Family& family) {
  protocol::JobDescription job = make_job(kRounds);
  job.family = family.name;
  job.contract.feedback = family.feedback;
  if (family.feedback == dataset::Feedback::events) {
    job.contract.minimum = 0;
    job.contract.step = 0;
  }
  job.settings =
      model::make_model(family.name, {},
                        {.items = kItems, .contract = job.contract, .max_contributors = job.max_contributors})
          .value()
          ->settings();
  return job;
}

// What the same devices' uploads make when they are added in the clear.
model::TensorSet learned_in_the_clear(const model::Model& model, Town& town) {
  model::ServerState state = model.initial();
  const auto round = [&](plan::Purpose purpose) {
    ring::RoundSum sum(model.layout(purpose, model.training_rounds(state.shared)));
    ring::EncodeCounts counts;
    for (std::uint32_t number = 1; number <= kDevices; ++number) {
      const Town::Device& device = town.device(number);
      ring::Contribution contribution;
      model.contribute(purpose, state.shared, {.training = device.training, .held_out = device.held_out}, contribution);
      EXPECT_TRUE(sum.add(contribution, counts).has_value());
    }
    std::vector<std::vector<double>> numbers;
    for (std::size_t t = 0; t < sum.layout().tensors().size(); ++t) numbers.push_back(sum.numbers(t));
    EXPECT_TRUE(model.step(purpose, state, numbers, kDevices).has_value());
  };
  if (model.needs_survey()) round(plan::Purpose::survey);
  for (std::uint64_t k = 0; k < kRounds; ++k) round(plan::Purpose::train);
  return state.shared;
}

TEST(EveryFamily, LearnsThroughSecureSumsWhatTheSumsInTheClearTeach) {
  for (const model::Family& family : model::families()) {
    SCOPED_TRACE(family.name);
    Town town(make_settings(), new_job(job_of(family), make_items(kItems), make_key()).value());
    town.connect(1, kDevices);
    town.advance(5s);
    ASSERT_TRUE(town.federation().finished());
    EXPECT_TRUE(town.logged<RoundAborted>().empty());
    EXPECT_EQ(town.federation().version().header.training_rounds, kRounds);
    const model::Model& model = town.federation().publisher().model();
    EXPECT_EQ(town.device(1).shared, learned_in_the_clear(model, town));
    EXPECT_NE(town.device(1).shared, model.initial().shared) << "something was learned";
  }
}

}  // namespace
}  // namespace chorus::coordinator
