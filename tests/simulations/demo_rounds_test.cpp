// The demo's rows and words, from a trace and what devices told.
#include "simulations/fleet/demo_rounds.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorus::sim {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

coordinator::TraceRound round_of(std::uint64_t number, plan::Purpose purpose, std::uint64_t from,
                                 std::size_t survivors) {
  coordinator::TraceRound round;
  round.round = RoundId(number);
  round.purpose = purpose;
  round.from = ModelVersion(from);
  round.to = ModelVersion(purpose == plan::Purpose::measure ? from : from + 1);
  coordinator::TraceCohort cohort;
  cohort.survivors.resize(survivors);
  round.cohorts = {cohort, cohort};
  return round;
}

model::Quality measured(double rmse) {
  model::Quality quality;
  quality.held_out_ratings = 10;
  quality.held_out_rmse = rmse;
  return quality;
}

// A survey, two rounds that train and one that measures; each measures the version that it begins with.
class DemoRounds : public ::testing::Test {
 protected:
  DemoRounds() {
    trace_ = {round_of(1, plan::Purpose::survey, 0, 4), round_of(2, plan::Purpose::train, 1, 5),
              round_of(4, plan::Purpose::train, 2, 5), round_of(5, plan::Purpose::measure, 3, 5)};
    trace_[1].quality = measured(1.1);
    trace_[2].quality = measured(1.0);
    trace_[3].quality = measured(0.9);
  }

  std::vector<coordinator::TraceRound> trace_;
};

TEST_F(DemoRounds, TheErrorStandsInTheRowOfTheRoundThatMadeTheVersion) {
  std::map<std::uint64_t, RoundRecord> told;
  told[2] = {.outcomes = {{"published", 4}}, .first_seconds = 2, .last_seconds = 3, .bytes_up = 400, .bytes_down = 800};
  const auto rows = demo_rounds(trace_, told);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].rmse, 1.1);
  EXPECT_EQ(rows[1].rmse, 1.0);
  EXPECT_EQ(rows[2].rmse, 0.9);
  EXPECT_EQ(rows[3].rmse, std::nullopt);
  EXPECT_EQ(rows[0].devices, 8U);
  EXPECT_EQ(rows[1].bytes_up, 100U);
  EXPECT_EQ(rows[1].bytes_down, 200U);
  EXPECT_EQ(rows[1].seconds, 3);
  // The lost round has no row, and those that train count from one.
  const std::string table = round_table(rows, 1.2);
  EXPECT_THAT(table, HasSubstr("the mean                    1.2000"));
  EXPECT_THAT(table, HasSubstr("   survey         8          1.1000"));
  EXPECT_THAT(table, HasSubstr("        2        10          0.9000"));
  EXPECT_THAT(table, Not(HasSubstr("        4 ")));
}

TEST_F(DemoRounds, ProgressSaysOfWhichRoundAnErrorIs) {
  const std::span<const coordinator::TraceRound> all(trace_);
  EXPECT_EQ(progress_text(all.first(1), 2, 1.25), "survey: done, 1.2 s");
  EXPECT_EQ(progress_text(all.first(2), 2, 2), "training: 1 of 2 rounds, 2.0 s");
  EXPECT_EQ(progress_text(all.first(3), 2, 3), "training: 2 of 2 rounds, 3.0 s, held-out RMSE 1.0000 after round 1");
  EXPECT_EQ(progress_text(all, 2, 4), "measuring: done, 4.0 s, held-out RMSE 0.9000 after round 2");
}

TEST(BytesText, UsesTheUnitThatReadsBest) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1'000), "1.0 kB");
  EXPECT_EQ(bytes_text(999'000), "999.0 kB");
  EXPECT_EQ(bytes_text(3'140'000), "3.14 MB");
}

}  // namespace
}  // namespace chorus::sim
