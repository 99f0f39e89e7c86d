#include "common/dataset/catalogue.hpp"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace chorus::dataset {
namespace {

CatalogueItem item(std::string id, std::string title = "", std::uint16_t year = 0,
                   std::vector<std::string> genres = {}) {
  return {std::move(id), std::move(title), std::move(genres), year};
}

Catalogue small() {
  return Catalogue::create(
             {item("20", "Rear Window", 1954, {"Mystery", "Thriller"}), item("3", "Am\u00e9lie"), item("11")})
      .value();
}

TEST(CatalogueTest, ItemsAreFoundByIdAtTheirIndex) {
  const Catalogue catalogue = small();
  EXPECT_EQ(catalogue.version(), 1U);
  for (std::uint32_t i = 0; i < catalogue.size(); ++i) {
    EXPECT_EQ(catalogue.find(catalogue[ItemIndex(i)].id), ItemIndex(i));
  }
  EXPECT_EQ(catalogue.find("1"), std::nullopt);
  EXPECT_EQ(catalogue.find(""), std::nullopt);
  EXPECT_FALSE(catalogue.contains(ItemIndex(3)));
}

TEST(CatalogueTest, EncodingReadsBack) {
  for (const Catalogue& catalogue : {Catalogue(), small()}) {
    const Bytes bytes = catalogue.encode();
    const Catalogue decoded = Catalogue::decode(bytes).value();
    EXPECT_EQ(decoded, catalogue);
    EXPECT_EQ(decoded.encode(), bytes);
  }
}

TEST(CatalogueTest, EveryTruncationAndEveryFurtherByteIsRefused) {
  Bytes bytes = small().encode();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(Catalogue::decode(ByteView(bytes).first(size)).error().code(), ErrorCode::malformed) << size;
  }
  bytes.push_back(0);
  EXPECT_EQ(Catalogue::decode(bytes).error().code(), ErrorCode::malformed);
}

// Whatever one changed byte does, it is refused or gives another catalogue: no two encodings of one.
TEST(CatalogueTest, ChangedBytesNeverGiveTheSameCatalogue) {
  const Catalogue original = small();
  const Bytes bytes = original.encode();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes changed = bytes;
      changed[i] = static_cast<std::uint8_t>(changed[i] ^ (1 << bit));
      const auto decoded = Catalogue::decode(changed);
      ASSERT_FALSE(decoded.has_value() && *decoded == original) << i << "." << bit;
    }
  }
}

TEST(CatalogueTest, HugeCountsAreRefusedBeforeAnythingIsAllocated) {
  for (const std::uint32_t count : {std::uint32_t{kMaxItems} + 1, std::numeric_limits<std::uint32_t>::max(), 1000U}) {
    ByteWriter writer;
    writer.u8(1);
    writer.u32(1);
    writer.u32(count);
    writer.u64(0);
    EXPECT_EQ(Catalogue::decode(writer.view()).error().code(), ErrorCode::malformed) << count;
  }
  // A text that claims four gigabytes.
  ByteWriter writer;
  writer.u8(1);
  writer.u32(1);
  writer.u32(1);
  writer.u32(std::numeric_limits<std::uint32_t>::max());
  writer.u64(0);
  EXPECT_EQ(Catalogue::decode(writer.view()).error().code(), ErrorCode::malformed);
  // More genres than allowed.
  ByteWriter genres;
  genres.u8(1);
  genres.u32(1);
  genres.u32(1);
  genres.string("a");
  genres.string("");
  genres.u16(0);
  genres.u8(255);
  for (int i = 0; i < 255; ++i) genres.string(std::to_string(i));
  EXPECT_EQ(Catalogue::decode(genres.view()).error().code(), ErrorCode::malformed);
}

TEST(CatalogueTest, AnotherEncodingIsAnUnsupportedVersion) {
  Bytes bytes = small().encode();
  bytes[0] = 2;
  EXPECT_EQ(Catalogue::decode(bytes).error().code(), ErrorCode::unsupported_version);
}

TEST(CatalogueTest, ItemsOutsideTheLimitsAreRefused) {
  const auto code = [](CatalogueItem bad) {
    const auto refused = Catalogue::create({item("fine"), std::move(bad)});
    EXPECT_EQ(refused.error().where(), "item 1");
    return refused.error().code();
  };
  EXPECT_EQ(code(item("")), ErrorCode::malformed);
  EXPECT_EQ(code(item(std::string(kMaxIdBytes + 1, 'x'))), ErrorCode::too_large);
  EXPECT_EQ(code(item("a\tb")), ErrorCode::malformed);
  EXPECT_EQ(code(item("a", std::string(kMaxTitleBytes + 1, 'x'))), ErrorCode::too_large);
  EXPECT_EQ(code(item("a", "\xc3")), ErrorCode::malformed);
  EXPECT_EQ(code(item("a", "\x1b[2J")), ErrorCode::malformed);
  EXPECT_EQ(code(item("a", "", 0, {std::string(kMaxGenreBytes + 1, 'x')})), ErrorCode::too_large);
  EXPECT_EQ(code(item("a", "", 0, {""})), ErrorCode::malformed);
  EXPECT_EQ(code(item("a", "", 0, {"x|y"})), ErrorCode::malformed);
  EXPECT_EQ(code(item("a", "", 0, {"x", "y", "x"})), ErrorCode::malformed);
  EXPECT_EQ(code(item("a", "", 0, std::vector<std::string>(kMaxGenres + 1, "x"))), ErrorCode::too_large);
}

TEST(CatalogueTest, OneIdTwiceIsADuplicate) {
  const auto refused = Catalogue::create({item("b"), item("a"), item("c"), item("a")});
  EXPECT_EQ(refused.error().code(), ErrorCode::duplicate);
  EXPECT_EQ(refused.error().where(), "item 3");
}

TEST(CatalogueTest, AppendedItemsComeAfterTheOthersAndRaiseTheVersion) {
  Catalogue catalogue = small();
  ASSERT_TRUE(catalogue.append({item("4"), item("1")}).has_value());
  EXPECT_EQ(catalogue.version(), 2U);
  EXPECT_EQ(catalogue.find("4"), ItemIndex(3));
  EXPECT_EQ(catalogue.find("1"), ItemIndex(4));
  EXPECT_EQ(catalogue.find("20"), ItemIndex(0));
  ASSERT_TRUE(catalogue.append({}).has_value());
  EXPECT_EQ(catalogue.version(), 2U);
}

TEST(CatalogueTest, AppendingIsAllOrNothing) {
  Catalogue catalogue = small();
  EXPECT_EQ(catalogue.append({item("new"), item("3")}).error().code(), ErrorCode::duplicate);
  EXPECT_EQ(catalogue.append({item("new"), item("new")}).error().code(), ErrorCode::duplicate);
  EXPECT_EQ(catalogue.append({item("new"), item("")}).error().code(), ErrorCode::malformed);
  EXPECT_EQ(catalogue, small());
  EXPECT_EQ(catalogue.find("new"), std::nullopt);
}

TEST(CatalogueTest, TheVersionNeverWraps) {
  Catalogue last = Catalogue::create({item("a")}, std::numeric_limits<std::uint32_t>::max()).value();
  EXPECT_EQ(last.append({item("b")}).error().code(), ErrorCode::too_large);
  EXPECT_EQ(last.size(), 1U);
}

TEST(CatalogueTest, OnlyGrowthAtTheEndIsAnExtension) {
  const Catalogue older = small();
  EXPECT_TRUE(older.is_extension_of(older));
  EXPECT_TRUE(older.is_extension_of(Catalogue()));
  Catalogue grown = older;
  ASSERT_TRUE(grown.append({item("new")}).has_value());
  EXPECT_TRUE(grown.is_extension_of(older));
  EXPECT_FALSE(older.is_extension_of(grown));

  std::vector<CatalogueItem> moved(grown.items().begin(), grown.items().end());
  std::swap(moved[0], moved[1]);
  EXPECT_FALSE(Catalogue::create(moved, 2).value().is_extension_of(older));
  std::vector<CatalogueItem> renamed(grown.items().begin(), grown.items().end());
  renamed[0].title += "!";
  EXPECT_FALSE(Catalogue::create(renamed, 2).value().is_extension_of(older));
  // More items under an old version, and a new version of the same items.
  const std::vector<CatalogueItem> same(older.items().begin(), older.items().end());
  const std::vector<CatalogueItem> more(grown.items().begin(), grown.items().end());
  EXPECT_FALSE(Catalogue::create(more, 1).value().is_extension_of(older));
  EXPECT_FALSE(Catalogue::create(same, 2).value().is_extension_of(older));
}

TEST(CatalogueTest, TitlesAreShownWithTheirYear) {
  EXPECT_EQ(display_title(item("1", "Rear Window", 1954)), "Rear Window (1954)");
  EXPECT_EQ(display_title(item("1", "Rear Window")), "Rear Window");
  EXPECT_EQ(display_title(item("1")), "1");
}

TEST(CatalogueTest, ADataSetsCatalogueIsInTheOrderOfItsIndices) {
  const IdMap ids = IdMap::of({"10", "2", "33"});
  const std::vector<CatalogueItem> known{item("33", "C"), item("99", "unrated"), item("2", "A")};
  const Catalogue catalogue = make_catalogue(ids, known).value();
  ASSERT_EQ(catalogue.size(), 3U);
  EXPECT_EQ(catalogue[ItemIndex(0)], item("2", "A"));
  EXPECT_EQ(catalogue[ItemIndex(1)], item("10"));
  EXPECT_EQ(catalogue[ItemIndex(2)], item("33", "C"));
}

}  // namespace
}  // namespace chorus::dataset
