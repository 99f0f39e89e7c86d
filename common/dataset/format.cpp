#include "common/dataset/format.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include <fmt/format.h>

#include "common/dataset/number.hpp"
#include "common/dataset/text.hpp"
#include "common/dataset/text_file.hpp"

namespace chorus::dataset {

namespace {

// A format with a name of its own is a shape (separator, columns) and a scale.
struct Known {
  std::string_view name;
  std::string_view separator;  // empty: recognised
  bool header;                 // of formats with a separator
  std::optional<double> minimum;
  std::optional<double> maximum;
};

constexpr std::array kKnown{
    Known{"ml-100k", "\t", false, 1.0, 5.0},
    Known{"ml-1m", "::", false, 1.0, 5.0},
    Known{"ml-10m", "::", false, 0.5, 5.0},
    Known{"ml-latest", ",", true, 0.5, 5.0},
    Known{"movietweetings", "::", false, 0.0, 10.0},
    Known{"movietweetings-core", "\t", true, 0.0, 10.0},
    Known{"lastfm-2k", "\t", true, std::nullopt, std::nullopt},
    Known{"csv", "", false, std::nullopt, std::nullopt},
    Known{"tsv", "\t", false, std::nullopt, std::nullopt},
};

// What columns are called, compared without case and punctuation. Earlier names win over later ones.
constexpr std::array<std::string_view, 6> kUserNames{"user", "userid", "uid", "username", "memberid", "reviewerid"};
constexpr std::array<std::string_view, 18> kItemNames{"item",      "itemid", "iid",      "movie", "movieid", "film",
                                                      "filmid",    "artist", "artistid", "book",  "bookid",  "product",
                                                      "productid", "track",  "trackid",  "song",  "songid",  "imdbid"};
constexpr std::array<std::string_view, 5> kRatingNames{"rating", "ratings", "score", "stars", "value"};
constexpr std::array<std::string_view, 7> kWeightNames{"weight",  "count",  "plays", "playcount",
                                                       "listens", "clicks", "events"};
constexpr std::array<std::string_view, 6> kWhenNames{"timestamp", "time", "when", "unixtime", "ts", "rank"};

// Of the sniffed values, the share that must lie on a scale for it to be recognised: one bad line is an error of that
// line, not another scale.
constexpr double kShare = 0.9;
constexpr std::size_t kSniffedLines = 20'000;

std::string folded(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') text.push_back(static_cast<char>(c - 'A' + 'a'));
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) text.push_back(c);
  }
  return text;
}

std::optional<std::size_t> column_of(std::span<const std::string> header, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    const auto place = std::find(header.begin(), header.end(), name);
    if (place != header.end()) return static_cast<std::size_t>(place - header.begin());
  }
  return std::nullopt;
}

std::string recognised_separator(std::string_view line) {
  for (const std::string_view separator : {"::", "\t", ",", ";"}) {
    if (line.find(separator) != std::string_view::npos) return std::string(separator);
  }
  return {};
}

bool is_blank(std::string_view line) noexcept {
  return trimmed(line).empty();
}

// Reads the columns out of the first line, which is a header or already a rating.
Status read_columns(Format& format, std::span<const std::string_view> fields, bool one_person) {
  std::vector<std::string> header;
  for (const std::string_view field : fields) header.push_back(folded(trimmed(field)));
  const auto user = column_of(header, kUserNames);
  const auto item = column_of(header, kItemNames);
  const auto rating = column_of(header, kRatingNames);
  const auto weight = column_of(header, kWeightNames);
  const bool has_number = std::any_of(fields.begin(), fields.end(),
                                      [](std::string_view field) { return parse_real(trimmed(field)).has_value(); });
  const std::size_t count = fields.size();

  format.columns.count = count;
  if (!has_number && (user || item || count > 2)) {
    if (!user && !one_person) return fail(ErrorCode::malformed, "expected a header with a column 'user', or ratings");
    if (!item) return fail(ErrorCode::malformed, "expected a header with a column 'item', or ratings");
    format.header = true;
    format.columns.user = user;
    format.columns.item = *item;
    format.columns.value = rating ? rating : weight;
    format.columns.when = column_of(header, kWhenNames);
    format.feedback = rating ? Feedback::ratings : Feedback::events;
    return {};
  }
  if (count < 2 || count > 4) {
    return fail(ErrorCode::malformed,
                fmt::format("expected user, item, rating and time (2 to 4 fields), found {}", count));
  }
  format.header = false;
  format.columns.value = count > 2 ? std::optional<std::size_t>(2) : std::nullopt;
  format.columns.when = count > 3 ? std::optional<std::size_t>(3) : std::nullopt;
  format.feedback = count > 2 ? Feedback::ratings : Feedback::events;
  return {};
}

// What the lines after the header look like.
struct Sniffed {
  std::size_t lines = 0;
  std::size_t whole_1_to_5 = 0;
  std::size_t half_to_5 = 0;
  std::size_t whole_0_to_10 = 0;
  std::size_t padded_items = 0;  // ids such as 0104257

  [[nodiscard]] bool mostly(std::size_t count) const noexcept {
    return lines > 0 && static_cast<double>(count) >= kShare * static_cast<double>(lines);
  }
};

void sniff_line(Sniffed& sniffed, const Format& format, std::span<const std::string_view> fields) {
  if (fields.size() != format.columns.count || !format.columns.value) return;
  const auto value = parse_real(trimmed(fields[*format.columns.value]));
  if (!value) return;
  ++sniffed.lines;
  const bool whole = std::floor(*value) == *value;
  const bool half = std::floor(2 * *value) == 2 * *value;
  if (whole && *value >= 1 && *value <= 5) ++sniffed.whole_1_to_5;
  if (half && *value >= 0.5 && *value <= 5) ++sniffed.half_to_5;
  if (whole && *value >= 0 && *value <= 10) ++sniffed.whole_0_to_10;
  const std::string_view item = trimmed(fields[format.columns.item]);
  if (item.size() == 7 && item.front() == '0') ++sniffed.padded_items;
}

// The name that format's shape and values deserve.
std::string_view recognised_name(const Format& format, std::string_view first_line, const Sniffed& sniffed) {
  if (format.separator == "\t") {
    if (format.header) return folded(first_line) == "useridartistidweight" ? "lastfm-2k" : "tsv";
    return format.columns.count == 4 && sniffed.mostly(sniffed.whole_1_to_5) ? "ml-100k" : "tsv";
  }
  if (format.separator == "::") {
    if (format.header || format.columns.count != 4) return "csv";
    // Some of the items of that collection are older than its seven-digit numbers need no zero.
    if (sniffed.padded_items > 0 && sniffed.mostly(sniffed.whole_0_to_10)) return "movietweetings";
    if (sniffed.mostly(sniffed.whole_1_to_5)) return "ml-1m";
    if (sniffed.mostly(sniffed.half_to_5)) return "ml-10m";
    return sniffed.mostly(sniffed.whole_0_to_10) ? "movietweetings" : "csv";
  }
  if (format.separator == "," && format.header) {
    return folded(first_line) == "useridmovieidratingtimestamp" ? "ml-latest" : "csv";
  }
  return "csv";
}

}  // namespace

std::vector<std::string_view> format_names() {
  std::vector<std::string_view> names;
  for (const Known& known : kKnown) names.push_back(known.name);
  return names;
}

Result<Format> recognise_format(const std::filesystem::path& path, std::string_view name, bool one_person) {
  const Known* known = nullptr;
  if (!name.empty()) {
    const auto place = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& k) { return k.name == name; });
    if (place == kKnown.end()) {
      return fail(ErrorCode::invalid_argument, fmt::format("unknown format {}; the known ones are {}", shown(name),
                                                           fmt::join(format_names(), ", ")));
    }
    known = &*place;
  }

  CHORUS_TRY(auto lines, LineReader::open(path));
  while (is_blank(lines.line())) {
    CHORUS_TRY(const bool more, lines.next());
    if (!more) return fail(ErrorCode::malformed, "the file is empty", path.string());
  }
  const std::string first_line(lines.line());

  Format format;
  format.separator =
      known != nullptr && !known->separator.empty() ? known->separator : recognised_separator(first_line);
  if (format.separator.empty()) {
    return fail(ErrorCode::malformed,
                fmt::format("expected fields separated by a tab, '::', ',' or ';', found {}", shown(first_line)),
                lines.where());
  }
  format.quotes = format.separator == "," || format.separator == ";";
  FieldSplitter splitter(format.separator, format.quotes);
  {
    auto fields = splitter.split(first_line);
    if (!fields) return fail(fields.error().at(lines.where()));
    if (auto read = read_columns(format, *fields, one_person); !read) return fail(read.error().at(lines.where()));
  }
  if (known == nullptr) {
    Sniffed sniffed;
    if (!format.header) sniff_line(sniffed, format, *splitter.split(first_line));
    for (std::size_t i = 0; i < kSniffedLines; ++i) {
      // A bad line is reported when the file is read.
      const auto more = lines.next();
      if (!more || !*more) break;
      if (const auto fields = splitter.split(lines.line())) sniff_line(sniffed, format, *fields);
    }
    const std::string_view recognised = recognised_name(format, first_line, sniffed);
    known = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& k) { return k.name == recognised; });
  } else if (known->header && !format.header) {
    return fail(ErrorCode::malformed,
                fmt::format("expected the header of format {}, found {}", name, shown(first_line)), lines.where());
  }
  format.name = known->name;
  format.minimum = known->minimum;
  format.maximum = known->maximum;
  return format;
}

}  // namespace chorus::dataset
