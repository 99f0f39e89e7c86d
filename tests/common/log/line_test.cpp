#include "common/log/line.hpp"

#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

namespace chorus::log {
namespace {

TEST(TextLine, PutsQuotesOnlyWhereAValueCouldBeMisread) {
  EXPECT_EQ(text_line("round closed", {{"round", std::uint64_t{7}}, {"cohort", "a"}, {"why", "too few"}, {"to", ""}}),
            R"(round closed round=7 cohort=a why="too few" to="")");
  EXPECT_EQ(text_line("e", {{"v", "a=b"}, {"w", "say \"hi\""}, {"p", "c:\\x"}}),
            R"(e v="a=b" w="say \"hi\"" p="c:\\x")");
}

TEST(TextLine, AValueCannotBeginALineOrSteerATerminal) {
  EXPECT_EQ(text_line("refused\nforged", {{"peer", "a\r\nerror all is lost\x1b[2J\x7f"}}),
            R"(refused\nforged peer="a\r\nerror all is lost\x1b[2J\x7f")");
  EXPECT_EQ(text_line("e", {{"c1",
                             "\xc2\x9b"
                             "31m"}}),
            R"(e c1=\xc2\x9b31m)");
  EXPECT_EQ(text_line("e", {{"nul", std::string_view("a\0b", 3)}}), R"(e nul="a\x00b")");
}

TEST(TextLine, BytesThatAreNotUtf8AreWrittenInHexadecimal) {
  EXPECT_EQ(text_line("e", {{"v", "caf\xc3\xa9"}}), "e v=caf\xc3\xa9");
  EXPECT_EQ(text_line("e", {{"v", "caf\xe9"}}), R"(e v=caf\xe9)");
  EXPECT_EQ(text_line("e", {{"overlong", "\xc0\xaf"}}), R"(e overlong=\xc0\xaf)");
  EXPECT_EQ(text_line("e", {{"surrogate", "\xed\xa0\x80"}}), R"(e surrogate=\xed\xa0\x80)");
  EXPECT_EQ(text_line("e", {{"cut", "\xe2\x82"}}), R"(e cut=\xe2\x82)");
}

TEST(JsonMembers, NumbersAndBooleansAreLiteralsAndTextIsQuoted) {
  EXPECT_EQ(json_members("round closed", {{"round", std::uint64_t{18446744073709551615ULL}},
                                          {"delta", -3},
                                          {"rmse", 0.5},
                                          {"exact", true},
                                          {"cohort", "a b"}}),
            R"("event":"round closed","round":18446744073709551615,"delta":-3,"rmse":0.5,"exact":true,"cohort":"a b")");
}

TEST(JsonMembers, NumbersThatJsonCannotWriteBecomeText) {
  EXPECT_EQ(json_members(
                "e", {{"a", std::numeric_limits<double>::infinity()}, {"b", std::numeric_limits<double>::quiet_NaN()}}),
            R"("event":"e","a":"inf","b":"nan")");
}

TEST(JsonMembers, QuotesControlsAndForeignBytesAreEscaped) {
  EXPECT_EQ(json_members("a\"b", {{"v", "x\n\x01\\\xff\xc2\x85"}}), R"("event":"a\"b","v":"x\n\u0001\\\ufffd\u0085")");
}

}  // namespace
}  // namespace chorus::log
