#include "common/log/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorus::log {
namespace {

using ::testing::MatchesRegex;

// What `write` calls put on standard error. Ends with the defaults restored.
template <typename Action>
std::string written(Action action) {
  ::testing::internal::CaptureStderr();
  action();
  std::string text = ::testing::internal::GetCapturedStderr();
  configure(Level::info, Format::text);
  return text;
}

TEST(Log, ATextLineHasTheTimeInUtcTheLevelAndTheEvent) {
  EXPECT_THAT(written([] { info("round opened", {{"round", 3}}); }),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z info round opened "
                           "round=3\n"));
}

TEST(Log, AJsonLineIsOneObject) {
  EXPECT_THAT(written([] {
                configure(Level::info, Format::json);
                warning("device refused", {{"why", "revoked"}});
              }),
              MatchesRegex("[{]\"time\":\"[0-9T:.-]{23}Z\",\"level\":\"warning\",\"event\":\"device refused\","
                           "\"why\":\"revoked\"[}]\n"));
}

TEST(Log, APercentSignInAnEventIsNotAPattern) {
  EXPECT_THAT(written([] { error("100%v {} done", {{"n", "%l"}}); }),
              MatchesRegex("[^ ]+ error 100%v [{][}] done n=%l\n"));
}

TEST(Log, LinesBelowTheLevelAreNotWritten) {
  EXPECT_EQ(written([] {
              debug("hidden");
              set_level(Level::error);
              warning("hidden too");
              set_level(Level::off);
              error("and this");
              write(Level::off, "never");
            }),
            "");
  EXPECT_NE(written([] {
              set_level(Level::debug);
              debug("shown");
            }),
            "");
}

TEST(Log, LevelsAreReadByNameAndOtherWordsRefused) {
  Level level = Level::info;
  EXPECT_TRUE(parse_level("debug", level));
  EXPECT_EQ(level, Level::debug);
  EXPECT_TRUE(parse_level("off", level));
  EXPECT_EQ(level, Level::off);
  EXPECT_FALSE(parse_level("Debug", level));
  EXPECT_FALSE(parse_level("", level));
  EXPECT_EQ(level, Level::off);
}

}  // namespace
}  // namespace chorus::log
