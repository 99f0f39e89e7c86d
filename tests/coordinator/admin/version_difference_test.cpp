// Two versions of a model side by side: what moved, by how much, and what grew.
#include "coordinator/admin/version_difference.hpp"

#include <gtest/gtest.h>

#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using model::Tensor;
using model::TensorSet;

Bytes encoded(std::vector<Tensor> tensors) {
  return TensorSet{std::move(tensors)}.encode();
}

dataset::Catalogue catalogue(std::size_t items) {
  return dataset::Catalogue::create(test::make_items(items)).value();
}

TEST(VersionDifference, OfAVersionAndItselfIsNothing) {
  const Bytes version = encoded({{.name = "q", .rows = 3, .columns = 2, .values = {1, 2, 3, 4, 5, 6}}});
  const auto difference = difference_of(version, version, 3, catalogue(3)).value();
  EXPECT_EQ(difference.change, 0);
  EXPECT_GT(difference.before, 9);
  EXPECT_TRUE(difference.items.empty());
}

TEST(VersionDifference, IsMeasuredTensorByTensor) {
  const Bytes from = encoded({{.name = "scale", .rows = 1, .columns = 2, .values = {3, 4}},
                              {.name = "q", .rows = 3, .columns = 1, .values = {0, 0, 0}}});
  const Bytes to = encoded({{.name = "scale", .rows = 1, .columns = 2, .values = {3, 4}},
                            {.name = "q", .rows = 3, .columns = 1, .values = {0, -4, 3}}});
  const auto difference = difference_of(from, to, 3, catalogue(3)).value();
  ASSERT_EQ(difference.tensors.size(), 2U);
  EXPECT_EQ(difference.tensors[0].before, 5);
  EXPECT_EQ(difference.tensors[0].change, 0);
  EXPECT_EQ(difference.tensors[1].change, 5);
  EXPECT_EQ(difference.tensors[1].largest, 4);
  EXPECT_EQ(difference.change, 5);
  ASSERT_EQ(difference.items.size(), 2U);
  EXPECT_EQ(difference.items[0].title, "i1");
  EXPECT_EQ(difference.items[1].title, "i2");
}

TEST(VersionDifference, CountsWhatANewItemBrought) {
  const Bytes from = encoded({{.name = "q", .rows = 2, .columns = 2, .values = {1, 1, 1, 1}}});
  const Bytes to = encoded({{.name = "q", .rows = 3, .columns = 2, .values = {1, 1, 1, 1, 3, 4}},
                            {.name = "new", .rows = 1, .columns = 1, .values = {12}}});
  // The catalogue may have grown since.
  const auto difference = difference_of(from, to, 3, catalogue(5)).value();
  EXPECT_EQ(difference.tensors[0].change, 5);
  EXPECT_EQ(difference.tensors[1].before, 0);
  EXPECT_EQ(difference.change, 13);
  ASSERT_EQ(difference.items.size(), 1U);
  EXPECT_EQ(difference.items[0].title, "i2");
}

TEST(VersionDifference, ShowsTheItemsThatMovedMostAndNoMoreThanFit) {
  std::vector<float> values(40, 0.0F);
  const Bytes from = encoded({{.name = "q", .rows = 40, .columns = 1, .values = values}});
  for (std::size_t i = 0; i < 40; ++i) values[i] = static_cast<float>((i * 7) % 40);
  const Bytes to = encoded({{.name = "q", .rows = 40, .columns = 1, .values = values}});
  const auto difference = difference_of(from, to, 40, catalogue(40)).value();
  ASSERT_EQ(difference.items.size(), kMostItems);
  for (std::size_t k = 0; k < kMostItems; ++k) EXPECT_EQ(difference.items[k].change, 39.0 - static_cast<double>(k));
}

TEST(VersionDifference, IsRefusedForBytesThatAreNoTensors) {
  const Bytes version = encoded({});
  EXPECT_FALSE(difference_of(Bytes{1, 2, 3}, version, 0, catalogue(0)).has_value());
  EXPECT_FALSE(difference_of(version, Bytes{}, 0, catalogue(0)).has_value());
}

}  // namespace
}  // namespace chorus::coordinator
