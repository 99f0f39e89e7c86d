// A catalogue that a coordinator sends.
#include "common/dataset/catalogue.hpp"
#include "tests/fuzz/targets.hpp"

namespace chorus::fuzz {

bool read_catalogue(ByteView input) {
  const auto catalogue = dataset::Catalogue::decode(input);
  if (!catalogue) return false;
  expect_same(catalogue->encode(), input);
  return true;
}

std::vector<Bytes> catalogue_seeds() {
  const std::vector<dataset::CatalogueItem> items{
      {.id = "20", .title = "Rear Window", .genres = {"Mystery", "Thriller"}, .year = 1954},
      {.id = "3", .title = "Am\u00e9lie", .genres = {}, .year = 0},
      {.id = "11", .title = "", .genres = {"Drama"}, .year = 2001}};
  return {dataset::Catalogue().encode(), dataset::Catalogue::create(items).value().encode()};
}

}  // namespace chorus::fuzz
