// A model whose upload changes with the rounds behind it: the twin of `mf` learns in the first ones only.
#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;

TEST(ChangingLayout, EveryRoundsPlanHasTheLayoutOfTheVersionThatItStartsFrom) {
  protocol::JobDescription job = make_job(4);
  job.settings = model::make_model("mf", {{"update", "vb"}, {"rank", "3"}, {"twin_rank", "2"}, {"twin_rounds", "2"}},
                                   {.items = 1, .contract = job.contract, .max_contributors = job.max_contributors})
                     .value()
                     ->settings();
  Town town(make_settings(), new_job(job, make_items(20), make_key()).value());
  town.connect(1, 5);
  town.advance(5s);
  ASSERT_TRUE(town.federation().finished());
  EXPECT_EQ(town.federation().version().header.training_rounds, 4U);
  const auto rounds = town.logged<RoundClosed>();
  ASSERT_EQ(rounds.size(), 6U);
  EXPECT_TRUE(town.logged<RoundAborted>().empty());
  EXPECT_LT(rounds[5].quality->training_rmse, rounds[1].quality->training_rmse);
  const model::Model& model = town.federation().publisher().model();
  EXPECT_GT(model.layout(plan::Purpose::train, 1).dimension(), model.layout(plan::Purpose::train, 2).dimension());
}

}  // namespace
}  // namespace chorus::coordinator
