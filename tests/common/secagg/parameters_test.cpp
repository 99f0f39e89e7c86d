#include "common/secagg/parameters.hpp"

#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace chorus::secagg {
namespace {

plan::Ratio ratio(const std::string& text) {
  const std::size_t slash = text.find('/');
  return {static_cast<std::uint32_t>(std::stoul(text.substr(0, slash))),
          static_cast<std::uint32_t>(std::stoul(text.substr(slash + 1)))};
}

TEST(Parameters, MatchEveryReferenceRow) {
  std::ifstream file(CHORUS_SOURCE_DIR "/tests/vectors/secagg.json");
  const nlohmann::json table = nlohmann::json::parse(file);
  ASSERT_FALSE(table["rows"].empty());
  for (const auto& row : table["rows"]) {
    const auto derived = derive_parameters(row["n"], ratio(row["gamma"]), ratio(row["delta"]));
    ASSERT_TRUE(derived.has_value()) << row;
    EXPECT_EQ(derived->corrupt, row["A"]) << row;
    EXPECT_EQ(derived->dropout, row["D"]) << row;
    EXPECT_EQ(derived->threshold, row["t"]) << row;
    EXPECT_EQ(derived->quorum, row["Q"]) << row;
    EXPECT_EQ(derived->honest, row["N"]) << row;
    EXPECT_EQ(derived->recoverable(), row["recoverable"]) << row;
  }
}

// Two different survivor sets would need Q signatures each: 2Q ≤ n + A, as an honest member signs once.
TEST(Parameters, TwoQuorumsNeverFitBesideTheCorruptMembers) {
  for (std::uint32_t n = 2; n <= kMostMembers; ++n) {
    for (const plan::Ratio corrupt : {plan::Ratio{1, 20}, plan::Ratio{1, 10}, plan::Ratio{1, 3}}) {
      const auto p = derive_parameters(n, corrupt, {0, 1});
      if (!p.has_value()) continue;
      EXPECT_GT(2 * p->quorum, n + p->corrupt);
    }
  }
}

TEST(Parameters, ImproperRatiosAndSizesAreRefusedByName) {
  EXPECT_EQ(derive_parameters(100, {1, 1}, {0, 1}).error().where(), "gamma");
  EXPECT_EQ(derive_parameters(100, {0, 1}, {3, 2}).error().where(), "delta");
  EXPECT_EQ(derive_parameters(100, {0, 0}, {0, 1}).error().where(), "gamma");
  EXPECT_EQ(derive_parameters(513, {1, 20}, {3, 20}).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(derive_parameters(1, {1, 20}, {3, 20}).error().code(), ErrorCode::cohort_too_small);
  EXPECT_EQ(derive_parameters(10, {1, 2}, {1, 2}).error().code(), ErrorCode::cohort_too_small);
}

}  // namespace
}  // namespace chorus::secagg
