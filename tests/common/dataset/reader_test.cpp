#include "common/dataset/reader.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/dataset/temporary_folder.hpp"

namespace chorus::dataset {
namespace {

using testing::HasSubstr;
using namespace std::string_literals;

class ReaderTest : public testing::Test {
 protected:
  Result<DataSet> read(std::string_view content, const ReadOptions& options = {}) {
    return read_ratings(folder_.write("ratings", content), options);
  }
  // "file:line" of the error, without the folder.
  std::string place(const Error& error) { return std::filesystem::path(error.where()).filename().string(); }

  TemporaryFolder folder_;
};

// Enough good lines for one bad one not to change what the format is.
std::string good_lines(const std::string& separator, int count = 19) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += std::to_string(i + 1) + separator + std::to_string(10 + i) + separator + std::to_string(1 + i % 5) +
            separator + std::to_string(900 + i) + "\n";
  }
  return text;
}

TEST_F(ReaderTest, FormatsAreRecognisedByContent) {
  const auto format = [&](std::string_view content) { return read(content).value().report.format; };
  EXPECT_EQ(format("196\t242\t3\t881250949\n186\t302\t3\t891717742\n"), "ml-100k");
  EXPECT_EQ(format("1::1193::5::10\n1::661::3::31\n"), "ml-1m");
  EXPECT_EQ(format("1::122::5::838985046\n1::185::4.5::838983525\n"), "ml-10m");
  EXPECT_EQ(format("userId,movieId,rating,timestamp\n1,1,4.0,964982703\n"), "ml-latest");
  EXPECT_EQ(format("1::1074638::7::1365029107\n2::0104257::8::1364690142\n"), "movietweetings");
  EXPECT_EQ(format("userID\tartistID\tweight\n2\t51\t13883\n"), "lastfm-2k");
  EXPECT_EQ(format("user\titem\trating\ttimestamp\n1\t428\t7\t1366521953\n"), "tsv");
  EXPECT_EQ(format("1\t428\t70\t1366521953\n"), "tsv");
  EXPECT_EQ(format("ann,dune,4.5\nbob,dune,2\n"), "csv");
}

TEST_F(ReaderTest, OneBadValueDoesNotChangeTheFormat) {
  const auto refused = read(good_lines("\t") + "7\t7\t9\t7\n");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::malformed);
  EXPECT_EQ(place(refused.error()), "ratings:20");
  EXPECT_EQ(refused.error().sentence(), "expected a number between 1 and 5, found '9'");
}

TEST_F(ReaderTest, AFileOfOnePersonNeedsNoUsersColumnWhereThatIsAsked) {
  constexpr std::string_view kMine = "item,rating\ndune,4\nsolaris,5\n";
  EXPECT_EQ(read(kMine).error().sentence(), "expected a header with a column 'user', or ratings");
  ReadOptions options;
  options.one_person = true;
  const DataSet data = read(kMine, options).value();
  EXPECT_THAT(data.ratings.users->ids(), testing::ElementsAre(kOnePerson));
  EXPECT_EQ(data.report.ratings, 2U);
  // A users' column that is there is still read.
  EXPECT_EQ(read("user,item,rating\nann,dune,4\nbob,dune,5\n", options).value().report.users, 2U);
}

TEST_F(ReaderTest, HeadersNameTheColumnsInAnyOrder) {
  const DataSet data = read("Rating;when;Item ID;User_ID;comment\n4.5;17;dune;ann;\"good; very\"\n").value();
  ASSERT_EQ(data.ratings.size(), 1U);
  EXPECT_EQ(data.ratings.entries[0], (Entry{0, 0, 4.5F, 17}));
  EXPECT_EQ((*data.ratings.users)[0], "ann");
  EXPECT_EQ((*data.ratings.items)[0], "dune");
}

TEST_F(ReaderTest, FilesWithoutValuesAreEvents) {
  const DataSet data = read("ann,dune\nbob,dune\n").value();
  EXPECT_EQ(data.report.feedback, Feedback::events);
  EXPECT_EQ(data.ratings.entries[1].value, 1);
  EXPECT_EQ(read("user,item,timestamp\nann,dune,4\n").value().report.feedback, Feedback::events);
  EXPECT_EQ(read("user,item,plays\nann,dune,4\n").value().report.feedback, Feedback::events);
  EXPECT_EQ(read("user,item,stars\nann,dune,4\n").value().report.feedback, Feedback::ratings);
}

TEST_F(ReaderTest, EventsWeighMoreThanNothing) {
  EXPECT_EQ(read("user,item,plays\nann,dune,0\n").error().code(), ErrorCode::malformed);
  ReadOptions options;
  options.feedback = Feedback::events;
  EXPECT_EQ(read("ann,dune,-1\n", options).error().code(), ErrorCode::malformed);
}

TEST_F(ReaderTest, LineEndsByteOrderMarkAndMissingLastNewlineDontMatter) {
  const DataSet plain = read("userId,movieId,rating,timestamp\n1,2,3,4\n5,6,4.5,8\n").value();
  const DataSet windows = read("\xef\xbb\xbfuserId,movieId,rating,timestamp\r\n1,2,3,4\r\n\r\n 5, 6 ,4.5,8").value();
  EXPECT_EQ(plain.ratings.entries, windows.ratings.entries);
  EXPECT_EQ(*plain.ratings.users, *windows.ratings.users);
  EXPECT_EQ(windows.report.format, "ml-latest");
  EXPECT_EQ(windows.report.lines, 4U);
}

TEST_F(ReaderTest, AByteOrderMarkBeforeARatingIsNotPartOfItsUser) {
  EXPECT_EQ((*read("\xef\xbb\xbf"
                   "1\t2\t3\t4\n")
                  .value()
                  .ratings.users)[0],
            "1");
}

TEST_F(ReaderTest, EveryKindOfBadLineSaysWhereAndWhatWasExpected) {
  struct Case {
    std::string line;
    ErrorCode code;
    std::string sentence;
  };
  const std::vector<Case> cases{
      {"1\t2\t3", ErrorCode::malformed, "expected 4 fields separated by tabs, found 3"},
      {"1\t2\t3\t4\t5", ErrorCode::malformed, "expected 4 fields separated by tabs, found 5"},
      {"word", ErrorCode::malformed, "expected 4 fields separated by tabs, found 1"},
      {"\t2\t3\t4", ErrorCode::malformed, "expected an id, found nothing"},
      {"1\t \t3\t4", ErrorCode::malformed, "expected an id, found nothing"},
      {"1\t2\tthree\t4", ErrorCode::malformed, "expected a number between 1 and 5, found 'three'"},
      {"1\t2\t\t4", ErrorCode::malformed, "expected a number between 1 and 5, found ''"},
      {"1\t2\t3x\t4", ErrorCode::malformed, "found '3x'"},
      {"1\t2\t0x3\t4", ErrorCode::malformed, "found '0x3'"},
      {"1\t2\t3,5\t4", ErrorCode::malformed, "found '3,5'"},
      {"1\t2\t0\t4", ErrorCode::malformed, "expected a number between 1 and 5, found '0'"},
      {"1\t2\t5.5\t4", ErrorCode::malformed, "expected a number between 1 and 5, found '5.5'"},
      {"1\t2\t-3\t4", ErrorCode::malformed, "expected a number between 1 and 5, found '-3'"},
      {"1\t2\tnan\t4", ErrorCode::non_finite, "found 'nan'"},
      {"1\t2\tinf\t4", ErrorCode::non_finite, "found 'inf'"},
      {"1\t2\t-infinity\t4", ErrorCode::non_finite, "found '-infinity'"},
      {"1\t2\t1e300\t4", ErrorCode::non_finite, "found '1e300'"},
      {"1\t2\t1e999\t4", ErrorCode::malformed, "found '1e999'"},
      {"1\t2\t3\tnoon", ErrorCode::malformed, "expected a time as a whole number, found 'noon'"},
      {"1\t2\t3\t4.5", ErrorCode::malformed, "expected a time as a whole number"},
      {"1\t2\t3\t99999999999999999999", ErrorCode::malformed, "expected a time as a whole number"},
      {"\xff\t2\t3\t4", ErrorCode::malformed, "is not UTF-8"},
      {"1\ta\x1b[2J\t3\t4", ErrorCode::malformed, "contains a control character"},
      {std::string(129, '7') + "\t2\t3\t4", ErrorCode::too_large, "an id of 129 bytes"},
  };
  for (const Case& bad : cases) {
    const auto refused = read(good_lines("\t") + bad.line + "\n" + good_lines("\t"));
    ASSERT_FALSE(refused.has_value()) << bad.line;
    EXPECT_EQ(refused.error().code(), bad.code) << bad.line;
    EXPECT_EQ(place(refused.error()), "ratings:20") << bad.line;
    EXPECT_THAT(refused.error().sentence(), HasSubstr(bad.sentence)) << bad.line;

    ReadOptions skip;
    skip.skip_bad_lines = true;
    const auto skipped = read(good_lines("\t") + bad.line + "\n", skip);
    ASSERT_TRUE(skipped.has_value()) << bad.line;
    EXPECT_EQ(skipped->report.dropped, 1U);
    EXPECT_EQ(skipped->report.ratings, 19U);
    ASSERT_EQ(skipped->report.problems.size(), 1U);
    EXPECT_EQ(skipped->report.problems[0], refused.error());
  }
}

TEST_F(ReaderTest, BadQuotesAreBadLines) {
  const std::string header = "user,item,rating\n";
  EXPECT_THAT(read(header + "\"ann,dune,3\n").error().sentence(), HasSubstr("not closed"));
  EXPECT_THAT(read(header + "\"ann\"x,dune,3\n").error().sentence(), HasSubstr("follows a closing quote"));
  const DataSet data = read(header + "\"a \"\"b\"\", c\",\"dune\",\"3\"\n").value();
  EXPECT_EQ((*data.ratings.users)[0], "a \"b\", c");
}

TEST_F(ReaderTest, OnlyTheFirstProblemsAreKept) {
  ReadOptions skip;
  skip.skip_bad_lines = true;
  std::string text = good_lines("\t", 100);
  for (int i = 0; i < 9; ++i) text += "bad\n";
  const ReadReport report = read(text, skip).value().report;
  EXPECT_EQ(report.dropped, 9U);
  EXPECT_EQ(report.problems.size(), ReadReport::kMaxProblems);
  EXPECT_THAT(report.problems.front().where(), HasSubstr(":101"));
}

TEST_F(ReaderTest, NulBytesAndEndlessLinesEndTheReadingEvenWhenBadLinesAreSkipped) {
  ReadOptions skip;
  skip.skip_bad_lines = true;
  const auto nul = read(good_lines("\t") + "1\t2\t3\0\t4\n"s, skip);
  ASSERT_FALSE(nul.has_value());
  EXPECT_EQ(nul.error().code(), ErrorCode::malformed);
  EXPECT_EQ(place(nul.error()), "ratings:20");
  EXPECT_THAT(nul.error().sentence(), HasSubstr("NUL"));

  const auto endless = read(good_lines("\t") + std::string(64 * 1024 + 1, '1') + "\n", skip);
  ASSERT_FALSE(endless.has_value());
  EXPECT_EQ(endless.error().code(), ErrorCode::too_large);
  EXPECT_EQ(place(endless.error()), "ratings:20");
  const auto very_long = read(good_lines("\t") + std::string(3'000'000, '1'), skip);
  EXPECT_EQ(very_long.error().code(), ErrorCode::too_large);
  // The longest line that is allowed is an ordinary bad line.
  EXPECT_TRUE(read(good_lines("\t") + std::string(64 * 1024, '1') + "\r\n", skip).has_value());
}

TEST_F(ReaderTest, FilesWithoutRatingsAreRefused) {
  for (const std::string& content : {""s, "\n\r\n \n"s, "userId,movieId,rating,timestamp\n"s, "\xef\xbb\xbf"s}) {
    const auto refused = read(content);
    ASSERT_FALSE(refused.has_value()) << content;
    EXPECT_EQ(refused.error().code(), ErrorCode::malformed);
  }
  ReadOptions skip;
  skip.skip_bad_lines = true;
  const auto none = read("1\t2\t3\tx\n1\t2\t3\ty\n", skip);
  ASSERT_FALSE(none.has_value());
  EXPECT_THAT(none.error().sentence(), HasSubstr("ratings:1"));
}

TEST_F(ReaderTest, FilesOfAnotherKindAreRefused) {
  EXPECT_EQ(read("just some prose without any table\n").error().code(), ErrorCode::malformed);
  EXPECT_EQ(read("1,2,3,4,5,6\n").error().code(), ErrorCode::malformed);
  EXPECT_THAT(read("movieId,title,genres\n").error().sentence(), HasSubstr("'user'"));
  EXPECT_THAT(read("userId,tag,timestamp\n").error().sentence(), HasSubstr("'item'"));
  EXPECT_EQ(read("\x7f"
                 "ELF\0\0\0\n"s)
                .error()
                .code(),
            ErrorCode::malformed);
  EXPECT_EQ(read_ratings(folder_.path() / "absent").error().code(), ErrorCode::not_found);
  EXPECT_EQ(read_ratings(folder_.path()).error().code(), ErrorCode::not_found);
  EXPECT_EQ(read_ratings("/dev/null").error().code(), ErrorCode::invalid_argument);
}

TEST_F(ReaderTest, ANamedFormatOverridesWhatTheContentSuggests) {
  ReadOptions options;
  options.format = "tsv";
  const std::string wide = good_lines("\t") + "7\t7\t9\t7\n";
  EXPECT_EQ(read(wide, options).value().report.maximum, 9);
  options.format = "ml-100k";
  EXPECT_EQ(read("1\t428\t70\t1\n", options).error().code(), ErrorCode::malformed);
  options.format = "movietweetings";
  EXPECT_EQ(read("1::2::3::4\n", options).value().scale_maximum, 10);
  options.format = "ml-latest";
  EXPECT_THAT(read("1,2,3,4\n", options).error().sentence(), HasSubstr("expected the header of format ml-latest"));
  options.format = "netflix";
  const auto unknown = read("1,2,3,4\n", options);
  EXPECT_EQ(unknown.error().code(), ErrorCode::invalid_argument);
  for (const std::string_view name : format_names()) {
    EXPECT_THAT(unknown.error().sentence(), HasSubstr(std::string(name)));
  }
}

TEST_F(ReaderTest, BoundsOfTheOptionsReplaceThoseOfTheFormat) {
  ReadOptions options;
  options.minimum = 0;
  options.maximum = 100;
  EXPECT_TRUE(read(good_lines("\t") + "7\t7\t100\t7\n", options).has_value());
  EXPECT_THAT(read(good_lines("\t") + "7\t7\t101\t7\n", options).error().sentence(), HasSubstr("between 0 and 100"));
  options.minimum = 100;
  EXPECT_EQ(read(good_lines("\t"), options).error().code(), ErrorCode::invalid_argument);
}

TEST_F(ReaderTest, TheReportCountsAndDescribesTheValues) {
  const ReadReport report = read("u,i,0.5\nu,j,2\nv,i,3.5\nu,i,5\n").value().report;
  EXPECT_EQ(report.lines, 4U);
  EXPECT_EQ(report.ratings, 3U);
  EXPECT_EQ(report.users, 2U);
  EXPECT_EQ(report.items, 2U);
  EXPECT_EQ(report.duplicates, 1U);
  EXPECT_EQ(report.minimum, 2);
  EXPECT_EQ(report.maximum, 5);
  EXPECT_EQ(report.step, 1.5F);
  EXPECT_EQ(read("u,i,1\nu,j,1.25\nv,i,3.1\n").value().report.step, 0);
}

TEST_F(ReaderTest, TheContractAcceptsEveryValueOfTheData) {
  for (const std::string& content : {good_lines("\t"), "user,item,plays\nu,i,7\nv,i,13883\n"s, "u,i\nv,i\n"s,
                                     "u,i,3\nv,i,3\n"s, "userId,movieId,rating,timestamp\n1,1,0.5,0\n1,2,4,0\n"s}) {
    const DataSet data = read(content).value();
    const DataContract contract = data.contract();
    ASSERT_TRUE(contract.validate().has_value()) << content;
    EXPECT_EQ(contract.feedback, data.report.feedback);
    for (const Entry& entry : data.ratings.entries) EXPECT_TRUE(contract.check(entry.value).has_value()) << content;
  }
}

TEST_F(ReaderTest, RawRowsComeInTheOrderOfTheFileWithDuplicates) {
  std::vector<Rating> rows;
  const auto file = folder_.write("rows.csv", "u,i,1,7\nu,i,2,8\n");
  ASSERT_TRUE(for_each_rating(file, {}, [&](const Rating& row) { rows.push_back(row); }).has_value());
  EXPECT_EQ(rows, (std::vector<Rating>{{"u", "i", 1, 7}, {"u", "i", 2, 8}}));
}

// Lines across the ends of the reader's pieces: a file of several of them.
TEST_F(ReaderTest, LongFilesAreReadWhole) {
  std::string text;
  for (int i = 0; i < 60'000; ++i) text += std::to_string(i / 20) + "\t" + std::to_string(i) + "\t3\t1\n";
  const DataSet data = read(text).value();
  ASSERT_EQ(data.report.ratings, 60'000U);
  EXPECT_EQ(data.report.items, 60'000U);
  EXPECT_EQ(data.ratings.entries[59'999], (Entry{2999, 59'999, 3, 1}));
}

struct Official {
  const char* folder;
  const char* format;
  std::size_t users, items, ratings;
  float minimum, maximum, step;
};

class OfficialCounts : public testing::TestWithParam<Official> {};

TEST_P(OfficialCounts, AreFound) {
  const Official& official = GetParam();
  CHORUS_PUBLIC_DATA(folder, official.folder);
  const auto read = read_ratings(folder);
  ASSERT_TRUE(read.has_value()) << read.error().to_string();
  EXPECT_EQ(read->report.format, official.format);
  EXPECT_EQ(read->report.users, official.users);
  EXPECT_EQ(read->report.items, official.items);
  EXPECT_EQ(read->report.ratings, official.ratings);
  EXPECT_EQ(read->report.dropped, 0U);
  EXPECT_EQ(read->report.duplicates, 0U);
  EXPECT_EQ(read->report.minimum, official.minimum);
  EXPECT_EQ(read->report.maximum, official.maximum);
  EXPECT_EQ(read->report.step, official.step);
  // Every item but a few has a title.
  const Catalogue catalogue = read->catalogue().value();
  ASSERT_EQ(catalogue.size(), official.items);
  std::size_t titled = 0;
  for (const CatalogueItem& item : catalogue.items()) titled += item.title.empty() ? 0 : 1;
  EXPECT_EQ(titled, official.items);
}

INSTANTIATE_TEST_SUITE_P(Collections, OfficialCounts,
                         testing::Values(Official{"ml-100k", "ml-100k", 943, 1682, 100'000, 1, 5, 1},
                                         Official{"ml-1m", "ml-1m", 6040, 3706, 1'000'209, 1, 5, 1},
                                         Official{"ml-latest-small", "ml-latest", 610, 9724, 100'836, 0.5F, 5, 0.5F},
                                         Official{"movietweetings/100K", "movietweetings", 16'554, 10'506, 100'000, 0,
                                                  10, 1},
                                         Official{"movietweetings/demo-core", "tsv", 679, 707, 22'395, 0, 10, 1},
                                         Official{"lastfm-2k", "lastfm-2k", 1892, 17'632, 92'834, 1, 352'698, 0}),
                         [](const auto& set) { return "Set" + std::to_string(set.index); });

}  // namespace
}  // namespace chorus::dataset
