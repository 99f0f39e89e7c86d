// The numbers that `check` can print and the pages that explain them, held together.
#include "coordinator/config/findings.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace chorus::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string document() {
  std::ifstream in(CHORUS_SOURCE_DIR "/coordinator/CHECKS.md", std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::set<std::string> numbers_with_pages() {
  std::set<std::string> numbers;
  std::istringstream lines(document());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## CH-")) {
      EXPECT_TRUE(numbers.insert(line.substr(3, line.find(':') - 3)).second) << line << " has two pages";
    }
  }
  return numbers;
}

TEST(Explanations, EveryNumberHasAPageAndEveryPageANumber) {
  std::set<std::string> printed;
  for (const TroubleLine& line : kTroubles) printed.insert(number_of(line.trouble));
  EXPECT_EQ(printed, numbers_with_pages());
  EXPECT_EQ(printed.size(), kTroubles.size()) << "no two troubles have one number";
}

TEST(Explanations, APageSaysWhatItMeansWhyItMattersAndWhatToDo) {
  for (const TroubleLine& line : kTroubles) {
    const std::string number = number_of(line.trouble);
    const auto page = explanation_of(number);
    ASSERT_TRUE(page.has_value()) << number;
    EXPECT_THAT(std::string(*page), StartsWith(fmt::format("## {}: ", number)));
    for (const char* part : {"**Means.** ", "**Matters.** ", "**Fix.** "}) {
      const std::size_t at = page->find(part);
      ASSERT_NE(at, std::string_view::npos) << number << " has no " << part;
      EXPECT_EQ(page->find(part, at + 1), std::string_view::npos) << number << " runs into the next page";
    }
  }
}

TEST(Explanations, AreTheDocumentThatThePackageShips) {
  EXPECT_EQ(explanations(), document());
}

TEST(Explanations, AreFoundHoweverTheNumberIsWritten) {
  const auto page = explanation_of("CH-0407");
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(explanation_of("ch-0407"), page);
  EXPECT_EQ(explanation_of("0407"), page);
  EXPECT_EQ(explanation_of("407"), page);
  for (const char* none : {"", "CH-", "CH-0000", "CH-9999", "0407x", "four", "-407", "CH-CH-0407"}) {
    EXPECT_FALSE(explanation_of(none).has_value()) << none;
  }
  EXPECT_THAT(std::string(*explanation_of("601")), HasSubstr("The job could not run"));
}

TEST(Explanations, AreListedWithTheirHeadings) {
  const std::string list = list_of_explanations();
  EXPECT_THAT(list, StartsWith("CH-0101  The coordinator's settings cannot be read\n"));
  EXPECT_EQ(static_cast<std::size_t>(std::count(list.begin(), list.end(), '\n')), kTroubles.size());
}

TEST(Trouble, IsToldFromAnError) {
  EXPECT_EQ(trouble_of_config(Error(ErrorCode::not_found, "x")), Trouble::config_unreadable);
  EXPECT_EQ(trouble_of_config(Error(ErrorCode::malformed, "x")), Trouble::config_malformed);
  EXPECT_EQ(trouble_of_config(Error(ErrorCode::invalid_argument, "x")), Trouble::config_wrong);
  EXPECT_EQ(trouble_of_job(Error(ErrorCode::malformed, "[model] rank: no")), Trouble::job_model);
  EXPECT_EQ(trouble_of_job(Error(ErrorCode::invalid_argument, "[aggregation] rule: no")), Trouble::job_rule);
  EXPECT_EQ(trouble_of_job(Error(ErrorCode::parameter_below_floor, "x")), Trouble::job_unsafe);
  EXPECT_EQ(trouble_of_certificates(Error(ErrorCode::expired, "x", "revocation list")), Trouble::list_expired);
  EXPECT_EQ(trouble_of_certificates(Error(ErrorCode::expired, "x", "certificate")), Trouble::certificate_expired);
  EXPECT_EQ(trouble_of_certificates(Error(ErrorCode::bad_certificate, "x", "revocation list")), Trouble::list_wrong);
}

}  // namespace
}  // namespace chorus::coordinator
