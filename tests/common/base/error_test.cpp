#include "common/base/error.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace chorus {
namespace {

TEST(ErrorCode, EveryCodeHasANameOfItsOwn) {
  constexpr int kLast = static_cast<int>(ErrorCode::overloaded);
  std::set<std::string_view> names;
  for (int code = 0; code <= kLast; ++code) {
    const std::string_view name = to_string(static_cast<ErrorCode>(code));
    EXPECT_NE(name, "unknown") << code;
    EXPECT_TRUE(names.insert(name).second) << name << " is the name of two codes";
  }
  EXPECT_EQ(to_string(static_cast<ErrorCode>(kLast + 1)), "unknown") << "overloaded is no longer the last code";
}

TEST(Error, WithoutAPlaceIsTheSentenceAndTheCode) {
  EXPECT_EQ(Error(ErrorCode::disk_full, "no space is left").to_string(), "no space is left (disk_full)");
}

TEST(Error, SeenFromOneLevelUpKeepsItsCodeAndSentence) {
  const Error inner(ErrorCode::bad_key, "not a key");
  const Error outer = inner.at("file.pem");
  EXPECT_EQ(outer.code(), ErrorCode::bad_key);
  EXPECT_EQ(outer.sentence(), inner.sentence());
  EXPECT_EQ(outer.where(), "file.pem");
  EXPECT_NE(outer, inner);
}

}  // namespace
}  // namespace chorus
