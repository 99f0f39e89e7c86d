#include "certs/authority/date_text.hpp"

#include <gtest/gtest.h>

namespace chorus::certs {
namespace {

TEST(DateText, WritesUtcWithSeconds) {
  EXPECT_EQ(date_text(WallTime{}), "1970-01-01T00:00:00Z");
  // date -u -d @1709210096
  EXPECT_EQ(date_text(WallTime(std::chrono::seconds(1709210096))), "2024-02-29T12:34:56Z");
  EXPECT_EQ(date_text(WallTime(std::chrono::seconds(-1))), "1969-12-31T23:59:59Z");
}

TEST(DateText, ReadsWhatItWrites) {
  for (const std::int64_t seconds : {std::int64_t{0}, std::int64_t{1709210096}, std::int64_t{253402300799}}) {
    const WallTime time{std::chrono::seconds(seconds)};
    EXPECT_EQ(parse_date(date_text(time)).value(), time);
  }
}

TEST(DateText, RefusesEveryOtherSpelling) {
  for (const std::string_view text :
       {"", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z",
        "2024-01-00T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z",
        "2024-01-01 00:00:00Z", "2024-01-01T00:00:00+", "2024-1-01T000:00:00Z", "+024-01-01T00:00:00Z",
        "2024-01-01T00:00:00Z ", "2024-01-01T00:00:0 Z"}) {
    const auto time = parse_date(text);
    ASSERT_FALSE(time.has_value()) << text;
    EXPECT_EQ(time.error().code(), ErrorCode::malformed);
  }
}

}  // namespace
}  // namespace chorus::certs
