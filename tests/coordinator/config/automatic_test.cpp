// "auto" as a value of a model's setting in a job's file.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "coordinator/config/config.hpp"

namespace chorus::coordinator {
namespace {

Result<protocol::JobDescription> job_of(std::string_view model) {
  CHORUS_TRY(const JobSettings settings,
             parse_job_settings(fmt::format("name = \"a\"\ncatalogue = \"items.tsv\"\n[model]\n{}", model),
                                "/etc/chorus/job.toml", plan::kProductionFloors));
  return describe_job(settings, 100);
}

TEST(AutomaticSettings, BecomeThePresetsBeforeAnyDeviceHearsOfThem) {
  const auto automatic = job_of("rank = \"auto\"\nlambda = \"auto\"\nrounds = \"auto\"\n").value();
  EXPECT_EQ(automatic.settings, job_of("").value().settings);
  EXPECT_EQ(automatic.settings.at("rank"), "15");
}

TEST(AutomaticSettings, TheUpdateIsTheOneForEveryDeviceInEveryRound) {
  const auto automatic = job_of("update = \"auto\"\n").value();
  EXPECT_EQ(automatic.settings, job_of("update = \"vb\"\n").value().settings);
  EXPECT_EQ(automatic.round_goal, job_of("update = \"vb\"\n").value().round_goal);
}

TEST(AutomaticSettings, AWordLikeItIsRefusedWithItsLine) {
  const auto refused = job_of("lambda = \"auto\"\nrank = \"automatic\"\n");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
  EXPECT_NE(refused.error().to_string().find("job.toml:5"), std::string::npos) << refused.error().to_string();
  EXPECT_NE(refused.error().to_string().find("or auto"), std::string::npos) << refused.error().to_string();
}

}  // namespace
}  // namespace chorus::coordinator
