// `chorus-sim train --aggregation masked`: what a person sees of it.
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class MaskedTrain : public ::testing::Test {
 protected:
  // 160 people with ten ratings each.
  MaskedTrain() : ratings_(folder_.path() / "ratings.csv") {
    std::ofstream out(ratings_);
    out << "user,item,rating\n";
    for (int i = 0; i < 1'600; ++i) {
      out << i / 10 << ',' << (i * 7 + i / 61) % 61 << ',' << 1 + (i * 3 + i / 7) % 5 << '\n';
    }
  }
  Ran train(const std::string& aggregation, const std::string& cohort_size) const {
    return run_program("chorus-sim", {"train", "--ratings", ratings_.string(), "--split", "random:0.9", "--rounds", "1",
                                      "--set", "cohort.size=" + cohort_size, "--aggregation", aggregation, "--trace",
                                      trace(aggregation).string(), "--json", "-"});
  }
  fs::path trace(const std::string& aggregation) const { return folder_.path() / (aggregation + ".jsonl"); }
  std::string trace_text(const std::string& aggregation) const {
    std::ifstream file(trace(aggregation));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TemporaryFolder folder_;
  fs::path ratings_;
};

TEST_F(MaskedTrain, WritesTheTraceAndTheErrorsOfPlainTrainingAndIsRepeatedByAReplay) {
  const Ran plain = train("plain", "100");
  const Ran masked = train("masked", "100");
  ASSERT_EQ(plain.status, 0) << plain.err;
  ASSERT_EQ(masked.status, 0) << masked.err;
  EXPECT_FALSE(trace_text("masked").empty());
  EXPECT_EQ(trace_text("masked"), trace_text("plain"));
  const auto report = nlohmann::json::parse(last_line(masked.out));
  EXPECT_EQ(report.at("config").at("aggregation"), "masked");
  EXPECT_EQ(report.at("final"), nlohmann::json::parse(last_line(plain.out)).at("final"));
  const Ran repeated = run_program("chorus-sim", {"train", "--replay", trace("masked").string(), "--ratings",
                                                  ratings_.string(), "--split", "random:0.9"});
  EXPECT_EQ(repeated.status, 0) << repeated.err;
  EXPECT_THAT(repeated.out, HasSubstr("3 versions of the model repeated"));
}

TEST_F(MaskedTrain, CohortsThatNoDeviceWouldJoinAreNamed) {
  const Ran ran = train("masked", "75");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(last_line(ran.err), HasSubstr("needs at least 76"));
  EXPECT_THAT(last_line(ran.err), HasSubstr("cohort_too_small"));
}

}  // namespace
}  // namespace chorus::e2e
