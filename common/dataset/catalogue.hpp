// The catalogue: which items a job recommends, and what people call them. An item's position is its index in
// every model, so a catalogue only ever grows at its end. Whoever publishes it signs encode() elsewhere.
// A value; concurrent reads are safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/id.hpp"
#include "common/base/result.hpp"
#include "common/dataset/rating.hpp"

namespace chorus::dataset {

struct CatalogueItem {
  std::string id;                   // unique, see check_id
  std::string title;                // without the year; may be empty
  std::vector<std::string> genres;  // distinct, in the publisher's order
  std::uint16_t year = 0;           // 0: unknown

  friend bool operator==(const CatalogueItem&, const CatalogueItem&) = default;
};

inline constexpr std::size_t kMaxTitleBytes = 512;
inline constexpr std::size_t kMaxGenres = 32;
inline constexpr std::size_t kMaxGenreBytes = 64;

// Texts are UTF-8 without control characters (they end up on terminals), genres are not empty, distinct and
// without '|'. Errors: malformed, too_large.
[[nodiscard]] Status check_item(const CatalogueItem& item);

// "Double Indemnity (1944)"; the title alone without a year; the id if there is no title.
[[nodiscard]] std::string display_title(const CatalogueItem& item);

class Catalogue {
 public:
  // No items, version 0.
  Catalogue() = default;
  // Errors: malformed, too_large (check_item, kMaxItems), duplicate (two items with one id);
  // where() is "item 17", from 0.
  [[nodiscard]] static Result<Catalogue> create(std::vector<CatalogueItem> items, std::uint32_t version = 1);

  // Counts the publications of this catalogue.
  [[nodiscard]] std::uint32_t version() const noexcept { return version_; }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  // In index order.
  [[nodiscard]] std::span<const CatalogueItem> items() const noexcept { return items_; }
  [[nodiscard]] bool contains(ItemIndex index) const noexcept { return index.value() < items_.size(); }
  // REQUIRES: contains(index).
  [[nodiscard]] const CatalogueItem& operator[](ItemIndex index) const;
  // O(log size).
  [[nodiscard]] std::optional<ItemIndex> find(std::string_view id) const noexcept;

  // Adds items at the end and raises the version by one; all of them or, after an error, none. No items: no change.
  // Errors: as create; duplicate also for an id that is already in the catalogue.
  [[nodiscard]] Status append(std::vector<CatalogueItem> items);
  // Whether this catalogue can replace `older` without moving or changing an item: it begins with the same items,
  // and it is the same one or longer with a higher version.
  [[nodiscard]] bool is_extension_of(const Catalogue& older) const noexcept;

  // The canonical encoding; equal catalogues, and only those, have equal bytes.
  [[nodiscard]] Bytes encode() const;
  // Errors: unsupported_version, malformed, too_large, duplicate. Allocates in proportion to bytes.size().
  [[nodiscard]] static Result<Catalogue> decode(ByteView bytes);

  friend bool operator==(const Catalogue& left, const Catalogue& right) {
    return left.version_ == right.version_ && left.items_ == right.items_;
  }

 private:
  std::uint32_t version_ = 0;
  std::vector<CatalogueItem> items_;
  std::vector<std::uint32_t> by_id_;  // indices in the byte order of their ids
};

// The catalogue of a rating table's items, in the order of its indices; `known` says what they are called (items that
// it lacks get an empty title). Errors: too_large.
[[nodiscard]] Result<Catalogue> make_catalogue(const IdMap& items, std::span<const CatalogueItem> known = {},
                                               std::uint32_t version = 1);

}  // namespace chorus::dataset
