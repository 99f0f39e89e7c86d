#include "common/dataset/item_files.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/dataset/reader.hpp"
#include "common/dataset/text.hpp"
#include "tests/common/dataset/temporary_folder.hpp"

namespace chorus::dataset {
namespace {

using testing::HasSubstr;
using Genres = std::vector<std::string>;

class ItemFilesTest : public testing::Test {
 protected:
  std::vector<CatalogueItem> descriptions() {
    const auto read = read_item_descriptions(folder_.path());
    if (!read) ADD_FAILURE() << read.error().to_string();
    return read.value_or(std::vector<CatalogueItem>{});
  }
  Error table_error(std::string_view content) { return read_item_table(folder_.write("table", content)).error(); }

  TemporaryFolder folder_;
};

TEST_F(ItemFilesTest, AFolderWithoutDescriptionsHasNone) {
  EXPECT_TRUE(descriptions().empty());
}

TEST_F(ItemFilesTest, FlagsBecomeGenresAndLatin1BecomesUtf8) {
  folder_.write("u.genre", "unknown|0\nAction|1\nComedy|2\n\n");
  folder_.write("u.item",
                "1|Caf\xe9 (1995)|01-Jan-1995||http://x|0|1|1\n"
                "267|unknown||||1|0|0\n");
  EXPECT_EQ(descriptions(), (std::vector<CatalogueItem>{{"1", "Caf\u00e9", Genres{"Action", "Comedy"}, 1995},
                                                        {"267", "unknown", Genres{}, 0}}));
}

TEST_F(ItemFilesTest, FlagsWithoutNamesAreLeftOut) {
  folder_.write("u.item", "1|A (1995)|||x|0|1\n");
  EXPECT_EQ(descriptions(), (std::vector<CatalogueItem>{{"1", "A", Genres{}, 1995}}));
}

TEST_F(ItemFilesTest, MoviesInEitherEncodingAreRead) {
  folder_.write("movies.dat",
                "0002844::Fant\u00f4mas - \u00c0 l'ombre (1913)::Crime|Drama\r\n"
                "2::Caf\xe9 (19955)::Crime|Crime|\n");
  EXPECT_EQ(descriptions(),
            (std::vector<CatalogueItem>{{"0002844", "Fant\u00f4mas - \u00c0 l'ombre", Genres{"Crime", "Drama"}, 1913},
                                        {"2", "Caf\u00e9 (19955)", Genres{"Crime"}, 0}}));
}

TEST_F(ItemFilesTest, QuotedTitlesWithCommasAreRead) {
  folder_.write("movies.csv",
                "movieId,title,genres\n"
                "11,\"American President, The (1995)\",Comedy|Drama\n"
                "12,\"The \"\"Best\"\" (2000)\",(no genres listed)\n");
  EXPECT_EQ(descriptions(),
            (std::vector<CatalogueItem>{{"11", "American President, The", Genres{"Comedy", "Drama"}, 1995},
                                        {"12", "The \"Best\"", Genres{}, 2000}}));
}

TEST_F(ItemFilesTest, ArtistsHaveNamesAlone) {
  folder_.write("artists.dat", "id\tname\turl\tpictureURL\n7\tSigur R\u00f3s (1994)\thttp://a\thttp://b\n");
  EXPECT_EQ(descriptions(), (std::vector<CatalogueItem>{{"7", "Sigur R\u00f3s (1994)", Genres{}, 0}}));
}

TEST_F(ItemFilesTest, TitlesAreMadeHarmlessAndCutToTheLimit) {
  folder_.write("movies.dat",
                "1::evil\x1b[2J (1999)::a\x07|" + std::string(100, 'g') + "\n2::" + std::string(600, 't') + "::x\n");
  for (const CatalogueItem& item : descriptions()) EXPECT_TRUE(check_item(item).has_value()) << item.title;
  EXPECT_EQ(descriptions()[0].title, "evil [2J");
}

TEST_F(ItemFilesTest, TheFirstLineOfAnIdCounts) {
  folder_.write("movies.dat", "1::A::x\n1::B::x\n");
  ASSERT_EQ(descriptions().size(), 1U);
  EXPECT_EQ(descriptions()[0].title, "A");
}

TEST_F(ItemFilesTest, BadLinesSayWhere) {
  folder_.write("movies.dat", "1::A::x\n2::B\n");
  const auto refused = read_item_descriptions(folder_.path());
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().where(), HasSubstr("movies.dat:2"));
  EXPECT_THAT(refused.error().sentence(), HasSubstr("expected 3 fields, found 2"));
}

TEST_F(ItemFilesTest, RatingsBringTheTitlesBesideThem) {
  const auto ratings = folder_.write("ratings.dat", "1::20::3::1\n1::3::4::2\n");
  folder_.write("movies.dat", "3::Amelie (2001)::Comedy\n20::Rear Window (1954)::Mystery\n4::Unrated::x\n");
  for (const auto& path : {ratings, folder_.path()}) {
    const Catalogue catalogue = read_ratings(path).value().catalogue().value();
    ASSERT_EQ(catalogue.size(), 2U);
    EXPECT_EQ(display_title(catalogue[ItemIndex(0)]), "Amelie (2001)");
    EXPECT_EQ(display_title(catalogue[ItemIndex(1)]), "Rear Window (1954)");
  }
  folder_.write("movies.dat", "broken\n");
  EXPECT_FALSE(read_ratings(ratings).has_value());
  ReadOptions without;
  without.descriptions = false;
  EXPECT_TRUE(read_ratings(ratings, without).value().catalogue().value()[ItemIndex(0)].title.empty());
}

TEST_F(ItemFilesTest, AnOperatorsTableReadsBack) {
  const std::vector<CatalogueItem> items{{"b", "A \"quoted\", title", Genres{"x", "y z"}, 1954},
                                         {"a", " padded ", Genres{}, 0}};
  const auto path = folder_.path() / "catalogue.tsv";
  ASSERT_TRUE(write_item_table(path, items).has_value());
  EXPECT_EQ(read_item_table(path).value(), items);
  EXPECT_EQ(write_item_table(path, items).error().code(), ErrorCode::already_exists);
  EXPECT_EQ(write_item_table(folder_.path() / "absent" / "x", items).error().code(), ErrorCode::unwritable);
}

TEST_F(ItemFilesTest, AnOperatorsColumnsMayStandInAnyOrderOrBeMissing) {
  const auto path = folder_.write("table", "genres\tshelf\tid\nx|y\t9\ta\n\n\t\tb\r\n");
  EXPECT_EQ(read_item_table(path).value(),
            (std::vector<CatalogueItem>{{"a", "", Genres{"x", "y"}, 0}, {"b", "", Genres{}, 0}}));
}

TEST_F(ItemFilesTest, AnOperatorsMistakesAreErrorsNotRepairs) {
  const std::string header = "id\ttitle\tyear\tgenres\n";
  EXPECT_EQ(table_error("").code(), ErrorCode::malformed);
  EXPECT_THAT(table_error("1\tA\t1954\tx\n").sentence(), HasSubstr("a column 'id'"));
  EXPECT_THAT(table_error(header + "1\tA\t1954\n").where(), HasSubstr("table:2"));
  EXPECT_THAT(table_error(header + "1\tA\t0\t\n").sentence(), HasSubstr("a year between 1 and 9999"));
  EXPECT_THAT(table_error(header + "1\tA\t70000\t\n").sentence(), HasSubstr("a year between"));
  EXPECT_EQ(table_error(header + "1\tCaf\xe9\t\t\n").code(), ErrorCode::malformed);
  EXPECT_EQ(table_error(header + "1\tA\t\tx||y\n").code(), ErrorCode::malformed);
  EXPECT_EQ(table_error(header + "\tA\t\t\n").code(), ErrorCode::malformed);
  EXPECT_EQ(table_error(header + "1\tA\t\t\n2\tB\t\t\n1\tC\t\t\n").code(), ErrorCode::duplicate);
  EXPECT_EQ(read_item_table(folder_.path() / "absent").error().code(), ErrorCode::not_found);
}

TEST(PublicItems, AccentsYearsAndGenresCameAlong) {
  CHORUS_PUBLIC_DATA(folder, "ml-100k");
  const auto items = read_item_descriptions(folder);
  ASSERT_TRUE(items.has_value()) << items.error().to_string();
  ASSERT_EQ(items->size(), 1682U);
  EXPECT_EQ(items->front(), (CatalogueItem{"1", "Toy Story", Genres{"Animation", "Children's", "Comedy"}, 1995}));
  CHORUS_PUBLIC_DATA(larger, "ml-1m");
  const auto movies = read_item_descriptions(larger);
  ASSERT_TRUE(movies.has_value()) << movies.error().to_string();
  EXPECT_EQ(movies->size(), 3883U);
  EXPECT_TRUE(std::any_of(movies->begin(), movies->end(), [](const CatalogueItem& item) {
    return item.title.find("Mis\u00e9rables") != std::string::npos;
  }));
}

}  // namespace
}  // namespace chorus::dataset
