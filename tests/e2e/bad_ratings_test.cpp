// Ratings as people have them, brought to the programs: what is wrong is named with its place.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class BadRatings : public ::testing::Test {
 protected:
  // A hundred people with twenty ratings each, of which `lines` follow the first ten.
  fs::path write(const std::string& lines) const {
    const fs::path file = folder_.path() / "ratings.csv";
    std::ofstream out(file);
    out << "user,item,rating\n";
    for (int i = 0; i < 2'000; ++i) {
      if (i == 10) out << lines;
      out << i / 20 << ',' << (i * 7) % 61 << ',' << 1 + (i * 3) % 5 << '\n';
    }
    return file;
  }
  Ran train(const std::string& lines, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{
        "train", "--ratings", write(lines).string(), "--split", "random:0.9", "--rounds", "1", "--json", "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program("chorus-sim", arguments);
  }

  TemporaryFolder folder_;
};

TEST_F(BadRatings, ABadLineIsNamedWithFileNumberAndWhatWasExpected) {
  for (const auto& [line, expected] : {std::pair<std::string, std::string>{"7,8\n", "expected 3 fields"},
                                       {"7,8,good\n", "expected a number"},
                                       {"7,8,nan\n", "found 'nan'"},
                                       {",8,3\n", "expected an id, found nothing"}}) {
    const Ran ran = train(line);
    EXPECT_EQ(ran.status, 1) << line;
    EXPECT_TRUE(ran.out.empty()) << ran.out;
    EXPECT_THAT(last_line(ran.err), AllOf(HasSubstr("ratings.csv:12: "), HasSubstr(expected))) << line;
  }
}

TEST_F(BadRatings, SkippedLinesAreCountedAndTheFirstIsShown) {
  const Ran ran = train("7,8\n7,8,nan\n", {"--skip-bad-lines"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.err, AllOf(HasSubstr("2 bad lines were left out"), HasSubstr("ratings.csv:12: expected 3 fields")));
  EXPECT_EQ(nlohmann::json::parse(last_line(ran.out)).at("data").at("dropped"), 2);
}

TEST_F(BadRatings, OfAPairThatIsThereTwiceTheLastCounts) {
  const Ran twice = train("0,0,1\n");  // the file has it on its first line
  ASSERT_EQ(twice.status, 0) << twice.err;
  const auto data = nlohmann::json::parse(last_line(twice.out)).at("data");
  EXPECT_GE(data.at("duplicates"), 1);
}

TEST_F(BadRatings, AnEmptyFileIsSaidToBeEmpty) {
  const fs::path file = folder_.path() / "empty.csv";
  std::ofstream(file).close();
  for (const std::string command : {"train", "demo"}) {
    std::vector<std::string> arguments{command, "--ratings", file.string()};
    if (command == "train") arguments.insert(arguments.end(), {"--split", "random:0.9"});
    const Ran ran = run_program("chorus-sim", arguments);
    EXPECT_EQ(ran.status, 1) << command;
    EXPECT_THAT(last_line(ran.err), HasSubstr("empty.csv")) << command;
  }
}

TEST_F(BadRatings, ADemoWithTooFewPeopleSaysHowManyItNeeds) {
  const fs::path file = folder_.path() / "few.csv";
  std::ofstream out(file);
  out << "user,item,rating\n";
  for (int i = 0; i < 200; ++i) out << i / 20 << ',' << i % 50 << ',' << 1 + i % 5 << '\n';
  out.close();
  const Ran ran = run_program("chorus-sim", {"demo", "--ratings", file.string()});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(last_line(ran.err), HasSubstr("10 devices are too few: at least 76"));
}

}  // namespace
}  // namespace chorus::e2e
