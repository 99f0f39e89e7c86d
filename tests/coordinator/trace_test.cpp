#include "coordinator/publish/trace.hpp"

#include <gtest/gtest.h>

namespace chorus::coordinator {
namespace {

identity::DeviceId device(std::uint8_t number) {
  return {.bytes = {number}};
}

TEST(Trace, AHeaderKeepsAllOfTheJob) {
  const TraceHeader header{.job = {1, 2},
                           .name = "movies",
                           .family = "mf",
                           .settings = {{"rank", "15"}, {"lambda", "15"}},
                           .contract = {.minimum = 0.5F, .maximum = 5, .step = 0.5F, .max_items_per_user = 77},
                           .items = 42,
                           .max_contributors = 128,
                           .model = {9}};
  const std::string line = to_json_line(header);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(line.substr(0, 10), R"({"trace":1)");
  const auto read = parse_trace_line(line).value();
  EXPECT_EQ(std::get<TraceHeader>(read), header);
}

TEST(Trace, ARoundKeepsWhoTookPartAndWhatCameOut) {
  const TraceRound round{.round = RoundId(7),
                         .purpose = plan::Purpose::train,
                         .from = ModelVersion(3),
                         .to = ModelVersion(4),
                         .model = {5},
                         .cohorts = {{{device(1), device(2)}, {device(2)}}, {{device(3)}, {}}},
                         .quality = model::Quality{.held_out_ratings = 10,
                                                   .training_ratings = 90,
                                                   .devices = 2,
                                                   .held_out_rmse = 0.9177777777777777,
                                                   .training_rmse = 0.1}};
  const std::string line = to_json_line(round);
  const auto read = std::get<TraceRound>(parse_trace_line(line).value());
  EXPECT_EQ(read.round, round.round);
  EXPECT_EQ(read.purpose, round.purpose);
  EXPECT_EQ(read.from, round.from);
  EXPECT_EQ(read.to, round.to);
  EXPECT_EQ(read.model, round.model);
  EXPECT_EQ(read.cohorts, round.cohorts);
  ASSERT_TRUE(read.quality.has_value());
  EXPECT_EQ(read.quality->held_out_rmse, round.quality->held_out_rmse);  // to the last bit
  EXPECT_EQ(read.quality->held_out_ratings, 10U);
  EXPECT_EQ(to_json_line(read), line);
}

TEST(Trace, ARoundSaysByWhichRuleItsCohortsWereCombined) {
  TraceRound round;
  round.round = RoundId(1);
  EXPECT_EQ(to_json_line(round).find("rule"), std::string::npos) << "the plain sum";
  round.rule = {.combination = Combination::trimmed_mean, .trim = 0.1, .most_norm = 3.7};
  const std::string line = to_json_line(round);
  EXPECT_EQ(std::get<TraceRound>(parse_trace_line(line).value()).rule, round.rule);
  const auto with = [&line](const std::string& from, const std::string& to) {
    std::string other = line;
    other.replace(other.find(from), from.size(), to);
    return parse_trace_line(other);
  };
  EXPECT_FALSE(with("trimmed-mean", "guesswork").has_value());
  EXPECT_EQ(with(R"("trim":0.1)", R"("trim":0.5)").error().code(), ErrorCode::malformed);
}

TEST(Trace, ASurveyHasNoQualityAndGrowthNoCohorts) {
  TraceRound survey;
  survey.round = RoundId(1);
  survey.purpose = plan::Purpose::survey;
  EXPECT_EQ(to_json_line(survey).find("quality"), std::string::npos);
  EXPECT_FALSE(std::get<TraceRound>(parse_trace_line(to_json_line(survey)).value()).quality.has_value());
  const TraceGrow grow{.items = 50, .from = ModelVersion(4), .to = ModelVersion(5), .model = {8}};
  EXPECT_EQ(std::get<TraceGrow>(parse_trace_line(to_json_line(grow)).value()), grow);
}

TEST(Trace, ALineThatIsNoRecordIsRefused) {
  for (const std::string_view line :
       {"", "nonsense", "[]", "{}", R"({"trace":2,"job":"00"})", R"({"trace":1})", R"({"round":"one"})",
        R"({"grow":1,"from":0,"to":1,"model":"00"})", R"({"grow":-1,"from":0})",
        R"({"round":1,"purpose":"dance","from":0,"to":1,"model":"","cohorts":[]})"}) {
    EXPECT_FALSE(parse_trace_line(line).has_value()) << line;
  }
}

}  // namespace
}  // namespace chorus::coordinator
