#include "common/dataset/catalogue.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/dataset/text.hpp"

namespace chorus::dataset {

namespace {

// The encoding's first byte.
constexpr std::uint8_t kEncoding = 1;
// An item's encoding without its texts: two lengths, the year, the number of genres.
constexpr std::size_t kSmallestItem = 4 + 4 + 2 + 1;

Status check_text(std::string_view text, std::size_t max, const char* what) {
  if (text.size() > max) {
    return fail(ErrorCode::too_large,
                fmt::format("a {} of {} bytes, more than the {} allowed", what, text.size(), max));
  }
  if (!is_utf8(text)) return fail(ErrorCode::malformed, fmt::format("the {} {} is not UTF-8", what, shown(text)));
  if (has_control(text)) {
    return fail(ErrorCode::malformed, fmt::format("the {} {} contains a control character", what, shown(text)));
  }
  return {};
}

std::string place(std::size_t index) {
  return fmt::format("item {}", index);
}

// `items` from `first` on as indices in the byte order of their ids.
std::vector<std::uint32_t> order_by_id(std::span<const CatalogueItem> items, std::size_t first) {
  std::vector<std::uint32_t> order(items.size() - first);
  std::iota(order.begin(), order.end(), static_cast<std::uint32_t>(first));
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t left, std::uint32_t right) { return items[left].id < items[right].id; });
  return order;
}

}  // namespace

Status check_item(const CatalogueItem& item) {
  CHORUS_TRY_DO(check_id(item.id));
  CHORUS_TRY_DO(check_text(item.title, kMaxTitleBytes, "title"));
  if (item.genres.size() > kMaxGenres) {
    return fail(ErrorCode::too_large,
                fmt::format("{} genres, more than the {} allowed", item.genres.size(), kMaxGenres));
  }
  for (auto genre = item.genres.begin(); genre != item.genres.end(); ++genre) {
    CHORUS_TRY_DO(check_text(*genre, kMaxGenreBytes, "genre"));
    if (genre->empty()) return fail(ErrorCode::malformed, "a genre is empty");
    if (genre->find('|') != std::string::npos) {
      return fail(ErrorCode::malformed, fmt::format("the genre {} contains '|'", shown(*genre)));
    }
    if (std::find(item.genres.begin(), genre, *genre) != genre) {
      return fail(ErrorCode::malformed, fmt::format("the genre {} is there twice", shown(*genre)));
    }
  }
  return {};
}

std::string display_title(const CatalogueItem& item) {
  if (item.title.empty()) return item.id;
  if (item.year == 0) return item.title;
  return fmt::format("{} ({})", item.title, item.year);
}

Result<Catalogue> Catalogue::create(std::vector<CatalogueItem> items, std::uint32_t version) {
  Catalogue catalogue;
  CHORUS_TRY_DO(catalogue.append(std::move(items)));
  catalogue.version_ = version;
  return catalogue;
}

const CatalogueItem& Catalogue::operator[](ItemIndex index) const {
  CHORUS_ENSURE(contains(index), "an item index lies in its catalogue");
  return items_[index.value()];
}

std::optional<ItemIndex> Catalogue::find(std::string_view id) const noexcept {
  const auto found = std::lower_bound(
      by_id_.begin(), by_id_.end(), id,
      [&](std::uint32_t index, std::string_view wanted) { return std::string_view(items_[index].id) < wanted; });
  if (found == by_id_.end() || items_[*found].id != id) return std::nullopt;
  return ItemIndex(*found);
}

Status Catalogue::append(std::vector<CatalogueItem> items) {
  const std::size_t before = items_.size();
  if (items.empty()) return {};
  if (items.size() > kMaxItems - before) {
    return fail(ErrorCode::too_large,
                fmt::format("a catalogue of {} items, more than the {} allowed", before + items.size(), kMaxItems));
  }
  if (version_ == std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::too_large, "the catalogue has no further version number");
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (const auto valid = check_item(items[i]); !valid) return fail(valid.error().at(place(before + i)));
    if (const auto known = find(items[i].id)) {
      return fail(ErrorCode::duplicate,
                  fmt::format("the id {} is already that of item {}", shown(items[i].id), known->value()),
                  place(before + i));
    }
  }
  const std::vector<std::uint32_t> order = order_by_id(items, 0);
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (items[order[i - 1]].id != items[order[i]].id) continue;
    const auto [first, second] = std::minmax(order[i - 1], order[i]);
    return fail(ErrorCode::duplicate,
                fmt::format("the id {} is already that of item {}", shown(items[first].id), before + first),
                place(before + second));
  }

  items_.insert(items_.end(), std::make_move_iterator(items.begin()), std::make_move_iterator(items.end()));
  by_id_.reserve(items_.size());
  for (const std::uint32_t index : order) by_id_.push_back(index + static_cast<std::uint32_t>(before));
  std::inplace_merge(by_id_.begin(), by_id_.begin() + static_cast<std::ptrdiff_t>(before), by_id_.end(),
                     [&](std::uint32_t left, std::uint32_t right) { return items_[left].id < items_[right].id; });
  ++version_;
  return {};
}

bool Catalogue::is_extension_of(const Catalogue& older) const noexcept {
  if (size() < older.size() || !std::equal(older.items_.begin(), older.items_.end(), items_.begin())) return false;
  return size() == older.size() ? version_ == older.version_ : version_ > older.version_;
}

Bytes Catalogue::encode() const {
  ByteWriter writer;
  writer.u8(kEncoding);
  writer.u32(version_);
  writer.u32(static_cast<std::uint32_t>(items_.size()));
  for (const CatalogueItem& item : items_) {
    writer.string(item.id);
    writer.string(item.title);
    writer.u16(item.year);
    writer.u8(static_cast<std::uint8_t>(item.genres.size()));
    for (const std::string& genre : item.genres) writer.string(genre);
  }
  return std::move(writer).take();
}

Result<Catalogue> Catalogue::decode(ByteView bytes) {
  ByteReader reader(bytes);
  if (const std::uint8_t encoding = reader.u8(); !reader.failed() && encoding != kEncoding) {
    return fail(ErrorCode::unsupported_version,
                fmt::format("expected a catalogue in encoding {}, found {}", kEncoding, encoding));
  }
  const std::uint32_t version = reader.u32();
  const std::size_t count = reader.count(kMaxItems, kSmallestItem);
  std::vector<CatalogueItem> items;
  items.reserve(count);
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
    CatalogueItem item;
    item.id = reader.string(kMaxIdBytes);
    item.title = reader.string(kMaxTitleBytes);
    item.year = reader.u16();
    const std::size_t genres = reader.u8();
    if (genres > kMaxGenres) reader.reject(fmt::format("item {} has {} genres", i, genres));
    for (std::size_t g = 0; g < genres && !reader.failed(); ++g) item.genres.push_back(reader.string(kMaxGenreBytes));
    items.push_back(std::move(item));
  }
  CHORUS_TRY_DO(reader.finish("the catalogue"));
  return create(std::move(items), version);
}

Result<Catalogue> make_catalogue(const IdMap& items, std::span<const CatalogueItem> known, std::uint32_t version) {
  std::vector<CatalogueItem> entries(items.size());
  for (std::uint32_t i = 0; i < items.size(); ++i) entries[i].id = items[i];
  for (const CatalogueItem& item : known) {
    if (const auto index = items.find(item.id)) entries[*index] = item;
  }
  return Catalogue::create(std::move(entries), version);
}

}  // namespace chorus::dataset
