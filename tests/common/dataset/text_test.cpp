#include "common/dataset/text.hpp"

#include <string>

#include <gtest/gtest.h>

namespace chorus::dataset {
namespace {

using namespace std::string_literals;

TEST(TextTest, WellFormedSequencesAreUtf8) {
  for (const std::string& text :
       {""s, "plain"s, "na\u00efve"s, "\u0800"s, "\ud7ff"s, "\ue000"s, "\U00010000"s, "\U0010ffff"s}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
}

TEST(TextTest, OverlongFormsSurrogatesAndTruncationsAreNotUtf8) {
  for (const std::string& text :
       {"\x80"s, "\xc0\xaf"s, "\xc1\xbf"s, "\xe0\x9f\xbf"s, "\xed\xa0\x80"s, "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s,
        "\xf5\x80\x80\x80"s, "\xff"s, "\xc3"s, "\xe2\x82"s, "\xf0\x9f\x98"s, "a\xc3"s, "\xc3("s}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
}

TEST(TextTest, ControlCharactersOfBothSetsAreFound) {
  EXPECT_TRUE(has_control("a\nb"));
  EXPECT_TRUE(has_control("\x7f"));
  EXPECT_TRUE(has_control("\x1b[2J"));
  EXPECT_TRUE(has_control("a\u009bb"));
  EXPECT_FALSE(has_control("a\u00a0b \u00c2"));
}

TEST(TextTest, EveryByteOfLatin1BecomesItsCodePoint) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string utf8 = utf8_from_latin1(std::string(1, static_cast<char>(byte)));
    ASSERT_TRUE(is_utf8(utf8)) << byte;
    ASSERT_EQ(utf8.size(), byte < 0x80 ? 1U : 2U);
  }
  EXPECT_EQ(utf8_from_latin1("Caf\xe9"), "Caf\u00e9");
}

TEST(TextTest, PrintableRepairsAndCutsBetweenCharacters) {
  EXPECT_EQ(printable(" Caf\xe9\t", 100), "Caf\u00e9");
  EXPECT_EQ(printable("Caf\u00e9", 100), "Caf\u00e9");
  EXPECT_EQ(printable("a\x1b[2Jb", 100), "a [2Jb");
  EXPECT_EQ(printable("abc\u00e9", 4), "abc");
  EXPECT_EQ(printable("abc\u00e9", 5), "abc\u00e9");
}

TEST(TextTest, ShownInputIsShortAndHarmless) {
  EXPECT_EQ(shown("nine"), "'nine'");
  EXPECT_EQ(shown("\x1b]0;"), "']0;'");
  EXPECT_LE(shown(std::string(100'000, 'x')).size(), 45U);
}

}  // namespace
}  // namespace chorus::dataset
