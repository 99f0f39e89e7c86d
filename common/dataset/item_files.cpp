#include "common/dataset/item_files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <optional>
#include <system_error>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "common/dataset/number.hpp"
#include "common/dataset/text.hpp"
#include "common/dataset/text_file.hpp"

namespace chorus::dataset {

namespace {

using Fields = std::span<const std::string_view>;
using Items = std::vector<CatalogueItem>;

// How some publishers write "none".
constexpr std::string_view kNoGenres = "(no genres listed)";
constexpr std::string_view kUnknownGenre = "unknown";

std::optional<std::uint16_t> parse_year(std::string_view text) noexcept {
  const auto year = parse_number<std::uint16_t>(text);
  return year && *year >= 1 && *year <= 9999 ? year : std::nullopt;
}

// "Double Indemnity (1944)" is a title and a year.
void set_title(CatalogueItem& item, std::string_view field) {
  item.title = printable(field, kMaxTitleBytes);
  const std::size_t size = item.title.size();
  if (size < 7 || item.title[size - 6] != '(' || item.title[size - 1] != ')') return;
  const auto year = parse_year(std::string_view(item.title).substr(size - 5, 4));
  if (!year) return;
  item.year = *year;
  item.title = trimmed(std::string_view(item.title).substr(0, size - 6));
}

void add_genre(CatalogueItem& item, std::string_view field) {
  std::string genre = printable(field, kMaxGenreBytes);
  if (genre.empty() || genre == kNoGenres || genre == kUnknownGenre || item.genres.size() == kMaxGenres) return;
  if (std::find(item.genres.begin(), item.genres.end(), genre) == item.genres.end()) {
    item.genres.push_back(std::move(genre));
  }
}

void for_each_part(std::string_view list, char separator, const std::function<void(std::string_view)>& take) {
  while (!list.empty()) {
    const std::size_t at = std::min(list.find(separator), list.size());
    take(list.substr(0, at));
    list.remove_prefix(std::min(at + 1, list.size()));
  }
}

void set_genres(CatalogueItem& item, std::string_view list) {
  for_each_part(list, '|', [&](std::string_view genre) { add_genre(item, genre); });
}

// Gives each line's fields to `take`, which makes an item of them. `fields`: how many there must be.
Result<Items> read_lines(const std::filesystem::path& path, FieldSplitter splitter, std::size_t field_count,
                         bool header, const std::function<void(Fields, CatalogueItem&)>& take) {
  CHORUS_TRY(auto lines, LineReader::open(path));
  Items items;
  std::unordered_set<std::string> seen;
  bool skip = header;
  while (true) {
    CHORUS_TRY(const bool more, lines.next());
    if (!more) return items;
    if (std::exchange(skip, false) || trimmed(lines.line()).empty()) continue;
    const auto fields = splitter.split(lines.line());
    if (!fields) return fail(fields.error().at(lines.where()));
    if (fields->size() != field_count) {
      return fail(ErrorCode::malformed, fmt::format("expected {} fields, found {}", field_count, fields->size()),
                  lines.where());
    }
    CatalogueItem item;
    item.id = trimmed((*fields)[0]);
    if (const auto valid = check_id(item.id); !valid) return fail(valid.error().at(lines.where()));
    take(*fields, item);
    if (items.size() >= kMaxItems) {
      return fail(ErrorCode::too_large, fmt::format("more than {} items", kMaxItems), lines.where());
    }
    if (seen.insert(item.id).second) items.push_back(std::move(item));
  }
}

// u.genre: "Action|1" names the second of the flags of u.item.
Result<std::vector<std::string>> read_genre_names(const std::filesystem::path& path) {
  constexpr std::size_t kMaxFlags = 256;
  CHORUS_TRY(auto lines, LineReader::open(path));
  FieldSplitter splitter("|", false);
  std::vector<std::string> names;
  while (true) {
    CHORUS_TRY(const bool more, lines.next());
    if (!more) return names;
    if (trimmed(lines.line()).empty()) continue;
    CHORUS_TRY(const auto fields, splitter.split(lines.line()));
    const auto index = fields.size() == 2 ? parse_number<std::size_t>(fields[1]) : std::nullopt;
    if (!index || *index >= kMaxFlags) {
      return fail(ErrorCode::malformed, fmt::format("expected a genre and its number, found {}", shown(lines.line())),
                  lines.where());
    }
    if (names.size() <= *index) names.resize(*index + 1);
    names[*index] = fields[0];
  }
}

// id | title | release | video release | link | one flag for each genre
Result<Items> read_u_item(const std::filesystem::path& path) {
  constexpr std::size_t kBeforeFlags = 5;
  std::vector<std::string> genres;
  const auto genre_path = path.parent_path() / "u.genre";
  if (std::filesystem::exists(genre_path)) {
    CHORUS_TRY(genres, read_genre_names(genre_path));
  }
  CHORUS_TRY(auto lines, LineReader::open(path));
  CHORUS_TRY(const bool any, lines.next());
  if (!any) return Items{};
  FieldSplitter splitter("|", false);
  CHORUS_TRY(const auto first, splitter.split(lines.line()));
  if (first.size() < kBeforeFlags) {
    return fail(ErrorCode::malformed, fmt::format("expected at least {} fields, found {}", kBeforeFlags, first.size()),
                lines.where());
  }
  return read_lines(path, FieldSplitter("|", false), first.size(), false, [&](Fields fields, CatalogueItem& item) {
    set_title(item, fields[1]);
    for (std::size_t flag = kBeforeFlags; flag < fields.size(); ++flag) {
      if (fields[flag] == "1" && flag - kBeforeFlags < genres.size()) add_genre(item, genres[flag - kBeforeFlags]);
    }
  });
}

void take_title_and_genres(Fields fields, CatalogueItem& item) {
  set_title(item, fields[1]);
  set_genres(item, fields[2]);
}

// Where the table's columns are; the id's is always known.
struct TableColumns {
  std::size_t id = 0;
  std::optional<std::size_t> title;
  std::optional<std::size_t> year;
  std::optional<std::size_t> genres;
  std::size_t count = 0;
};

Result<TableColumns> table_columns(Fields header) {
  const auto find = [&](std::initializer_list<std::string_view> names) -> std::optional<std::size_t> {
    for (const std::string_view name : names) {
      const auto place = std::find(header.begin(), header.end(), name);
      if (place != header.end()) return static_cast<std::size_t>(place - header.begin());
    }
    return std::nullopt;
  };
  const auto id = find({"id", "item", "item_id"});
  if (!id) return fail(ErrorCode::malformed, "expected a header with a column 'id', separated by tabs");
  return TableColumns{*id, find({"title", "name"}), find({"year"}), find({"genres"}), header.size()};
}

}  // namespace

Result<std::vector<CatalogueItem>> read_item_table(const std::filesystem::path& path) {
  CHORUS_TRY(auto lines, LineReader::open(path));
  CHORUS_TRY(const bool any, lines.next());
  if (!any) return fail(ErrorCode::malformed, "the file is empty", path.string());
  FieldSplitter splitter("\t", false);
  CHORUS_TRY(const auto header, splitter.split(lines.line()));
  const auto columns = table_columns(header);
  if (!columns) return fail(columns.error().at(lines.where()));

  Items items;
  std::unordered_set<std::string> seen;
  while (true) {
    CHORUS_TRY(const bool more, lines.next());
    if (!more) return items;
    if (trimmed(lines.line()).empty()) continue;
    CHORUS_TRY(const auto fields, splitter.split(lines.line()));
    if (fields.size() != columns->count) {
      return fail(ErrorCode::malformed, fmt::format("expected {} fields, found {}", columns->count, fields.size()),
                  lines.where());
    }
    const auto field = [&](std::optional<std::size_t> column) { return column ? fields[*column] : std::string_view(); };
    CatalogueItem item;
    item.id = fields[columns->id];
    item.title = field(columns->title);
    if (const std::string_view year = field(columns->year); !year.empty()) {
      const auto parsed = parse_year(year);
      if (!parsed) {
        return fail(ErrorCode::malformed, fmt::format("expected a year between 1 and 9999, found {}", shown(year)),
                    lines.where());
      }
      item.year = *parsed;
    }
    for_each_part(field(columns->genres), '|', [&](std::string_view genre) { item.genres.emplace_back(genre); });
    if (const auto valid = check_item(item); !valid) return fail(valid.error().at(lines.where()));
    if (!seen.insert(item.id).second) {
      return fail(ErrorCode::duplicate, fmt::format("the id {} is there twice", shown(item.id)), lines.where());
    }
    if (items.size() >= kMaxItems) {
      return fail(ErrorCode::too_large, fmt::format("more than {} items", kMaxItems), lines.where());
    }
    items.push_back(std::move(item));
  }
}

Result<std::vector<CatalogueItem>> read_item_descriptions(const std::filesystem::path& folder) {
  const auto exists = [&](const char* name) { return std::filesystem::is_regular_file(folder / name); };
  if (exists("items.tsv")) return read_item_table(folder / "items.tsv");
  if (exists("u.item")) return read_u_item(folder / "u.item");
  if (exists("movies.dat")) {
    return read_lines(folder / "movies.dat", FieldSplitter("::", false), 3, false, take_title_and_genres);
  }
  if (exists("movies.csv")) {
    return read_lines(folder / "movies.csv", FieldSplitter(",", true), 3, true, take_title_and_genres);
  }
  if (exists("artists.dat")) {
    return read_lines(folder / "artists.dat", FieldSplitter("\t", false), 4, true,
                      [](Fields fields, CatalogueItem& item) { item.title = printable(fields[1], kMaxTitleBytes); });
  }
  return Items{};
}

std::string item_table(std::span<const CatalogueItem> items) {
  std::string text = "id\ttitle\tyear\tgenres\n";
  for (const CatalogueItem& item : items) {
    const std::string year = item.year == 0 ? "" : std::to_string(item.year);
    text += fmt::format("{}\t{}\t{}\t{}\n", item.id, item.title, year, fmt::join(item.genres, "|"));
  }
  return text;
}

Status write_item_table(const std::filesystem::path& path, std::span<const CatalogueItem> items) {
  const std::string text = item_table(items);
  std::FILE* file = std::fopen(path.c_str(), "wbx");
  if (file == nullptr) {
    const ErrorCode code = errno == EEXIST ? ErrorCode::already_exists : ErrorCode::unwritable;
    return fail(code, "cannot be written: " + std::generic_category().message(errno), path.string());
  }
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int write_error = errno;
  const bool closed = std::fclose(file) == 0;
  if (written && closed) return {};
  const int number = written ? errno : write_error;
  std::remove(path.c_str());
  return fail(number == ENOSPC ? ErrorCode::disk_full : ErrorCode::io,
              "cannot be written: " + std::generic_category().message(number), path.string());
}

}  // namespace chorus::dataset
