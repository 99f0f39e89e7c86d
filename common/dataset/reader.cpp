#include "common/dataset/reader.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "common/dataset/item_files.hpp"
#include "common/dataset/number.hpp"
#include "common/dataset/text.hpp"
#include "common/dataset/text_file.hpp"

namespace chorus::dataset {

namespace {

constexpr std::array kRatingsFiles{"u.data", "ratings.dat", "ratings.csv", "ratings.tsv", "user_artists.dat"};

// A line's rating, as views of the line.
struct Row {
  std::string_view user;
  std::string_view item;
  double value = 1;
  std::int64_t when = 0;
};

// The line's meaning and bounds: the format, as the options change it.
struct Rules {
  Format format;
  std::optional<double> minimum;
  std::optional<double> maximum;

  [[nodiscard]] bool fits(double value) const noexcept {
    return (!minimum || value >= *minimum) && (!maximum || value <= *maximum);
  }
  [[nodiscard]] std::string expected() const {
    if (minimum && maximum) return fmt::format("a number between {} and {}", *minimum, *maximum);
    if (minimum) return fmt::format("a number from {}", *minimum);
    if (maximum) return fmt::format("a number up to {}", *maximum);
    return "a number";
  }
};

Result<Rules> make_rules(const std::filesystem::path& file, const ReadOptions& options) {
  for (const auto& bound : {options.minimum, options.maximum}) {
    if (bound && !std::isfinite(*bound)) {
      return fail(ErrorCode::invalid_argument, "the bounds of the values must be finite");
    }
  }
  CHORUS_TRY(auto format, recognise_format(file, options.format, options.one_person));
  Rules rules{std::move(format), {}, {}};
  rules.minimum = options.minimum ? options.minimum : rules.format.minimum;
  rules.maximum = options.maximum ? options.maximum : rules.format.maximum;
  if (options.feedback) rules.format.feedback = *options.feedback;
  if (rules.minimum && rules.maximum && !(*rules.minimum < *rules.maximum)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the lowest value {} must be below the highest {}", *rules.minimum, *rules.maximum));
  }
  return rules;
}

Status check_value(const Rules& rules, double value, std::string_view field) {
  if (!std::isfinite(static_cast<float>(value))) {
    return fail(ErrorCode::non_finite, fmt::format("expected {}, found {}", rules.expected(), shown(field)));
  }
  if (rules.format.feedback == Feedback::events && !(value > 0)) {
    return fail(ErrorCode::malformed, fmt::format("expected an event's weight above 0, found {}", shown(field)));
  }
  if (!rules.fits(value)) {
    return fail(ErrorCode::malformed, fmt::format("expected {}, found {}", rules.expected(), shown(field)));
  }
  return {};
}

Result<Row> parse_row(const Rules& rules, std::span<const std::string_view> fields) {
  const Columns& columns = rules.format.columns;
  if (fields.size() != columns.count) {
    return fail(ErrorCode::malformed,
                fmt::format("expected {} fields separated by {}, found {}", columns.count,
                            rules.format.separator == "\t" ? "tabs" : fmt::format("'{}'", rules.format.separator),
                            fields.size()));
  }
  Row row;
  row.user = columns.user ? trimmed(fields[*columns.user]) : kOnePerson;
  row.item = trimmed(fields[columns.item]);
  if (columns.value) {
    const std::string_view field = trimmed(fields[*columns.value]);
    const auto value = parse_real(field);
    if (!value) return fail(ErrorCode::malformed, fmt::format("expected {}, found {}", rules.expected(), shown(field)));
    CHORUS_TRY_DO(check_value(rules, *value, field));
    row.value = *value;
  }
  if (columns.when) {
    const std::string_view field = trimmed(fields[*columns.when]);
    const auto when = parse_whole(field);
    if (!when)
      return fail(ErrorCode::malformed, fmt::format("expected a time as a whole number, found {}", shown(field)));
    row.when = *when;
  }
  return row;
}

// What happened to the lines, without the table.
struct Counts {
  std::size_t lines = 0;
  std::size_t kept = 0;
  std::size_t dropped = 0;
  std::vector<Error> problems;
};

// Gives every row to `take`, which may refuse it like a bad line.
template <typename Take>
Result<Counts> read_rows(const std::filesystem::path& file, const Rules& rules, bool skip_bad_lines, Take take) {
  CHORUS_TRY(auto lines, LineReader::open(file));
  FieldSplitter splitter(rules.format.separator, rules.format.quotes);
  const auto use_line = [&]() -> Status {
    CHORUS_TRY(const auto fields, splitter.split(lines.line()));
    CHORUS_TRY(const Row row, parse_row(rules, fields));
    return take(row);
  };
  Counts counts;
  bool skip_header = rules.format.header;
  while (true) {
    CHORUS_TRY(const bool more, lines.next());
    if (!more) break;
    if (trimmed(lines.line()).empty() || std::exchange(skip_header, false)) continue;
    const Status used = use_line();
    if (used) {
      ++counts.kept;
      continue;
    }
    if (!skip_bad_lines) return fail(used.error().at(lines.where()));
    ++counts.dropped;
    if (counts.problems.size() < ReadReport::kMaxProblems) counts.problems.push_back(used.error().at(lines.where()));
  }
  counts.lines = lines.number();
  if (counts.kept == 0) {
    std::string sentence = "expected ratings, found none";
    if (!counts.problems.empty()) sentence += "; the first bad line: " + counts.problems.front().to_string();
    return fail(ErrorCode::malformed, std::move(sentence), file.string());
  }
  return counts;
}

// The values' range, and the distance that they are multiples of apart.
void describe_values(std::span<const Entry> entries, ReadReport& report) {
  constexpr double kTolerance = 1e-3;  // in steps
  std::vector<float> levels;           // sorted
  float last = std::numeric_limits<float>::quiet_NaN();
  report.minimum = report.maximum = entries.front().value;
  for (const Entry& entry : entries) {
    report.minimum = std::min(report.minimum, entry.value);
    report.maximum = std::max(report.maximum, entry.value);
    if (entry.value == last || levels.size() > ReadReport::kMaxLevels) continue;
    last = entry.value;
    const auto place = std::lower_bound(levels.begin(), levels.end(), last);
    if (place == levels.end() || *place != last) levels.insert(place, last);
  }
  report.step = 0;
  if (levels.size() < 2 || levels.size() > ReadReport::kMaxLevels) return;
  double step = std::numeric_limits<double>::infinity();
  for (std::size_t i = 1; i < levels.size(); ++i) step = std::min(step, double{levels[i]} - double{levels[i - 1]});
  for (const float level : levels) {
    const double steps = (double{level} - double{levels.front()}) / step;
    if (std::abs(steps - std::round(steps)) > kTolerance) return;
  }
  report.step = static_cast<float>(step);
}

// The ratings file that `path` is or holds.
Result<std::filesystem::path> ratings_file(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return path;
  for (const char* name : kRatingsFiles) {
    if (std::filesystem::is_regular_file(path / name, error)) return path / name;
  }
  return fail(ErrorCode::not_found,
              fmt::format("expected one of these files in the folder: {}", fmt::join(kRatingsFiles, ", ")),
              path.string());
}

}  // namespace

DataContract DataSet::contract() const {
  DataContract contract;
  contract.feedback = report.feedback;
  contract.minimum = static_cast<float>(scale_minimum.value_or(report.minimum));
  contract.maximum = static_cast<float>(scale_maximum.value_or(report.maximum));
  contract.step = report.step;
  if (report.feedback == Feedback::events) {
    contract.minimum = 0;
    contract.step = 0;
  }
  // One value alone is no scale.
  if (!(contract.minimum < contract.maximum)) contract.maximum = contract.minimum + 1;
  if (contract.step > contract.maximum - contract.minimum) contract.step = 0;
  return contract;
}

Result<DataSet> read_ratings(const std::filesystem::path& path, const ReadOptions& options) {
  CHORUS_TRY(const auto file, ratings_file(path));
  CHORUS_TRY(const auto rules, make_rules(file, options));
  RatingTableBuilder builder;
  CHORUS_TRY(auto counts, read_rows(file, rules, options.skip_bad_lines, [&](const Row& row) {
               return builder.add(row.user, row.item, row.value, row.when);
             }));
  auto built = std::move(builder).build();

  DataSet data;
  data.ratings = std::move(built.table);
  data.scale_minimum = rules.minimum;
  data.scale_maximum = rules.maximum;
  data.report.file = file.string();
  data.report.format = rules.format.name;
  data.report.feedback = rules.format.feedback;
  data.report.lines = counts.lines;
  data.report.ratings = data.ratings.size();
  data.report.users = data.ratings.user_count();
  data.report.items = data.ratings.item_count();
  data.report.dropped = counts.dropped;
  data.report.duplicates = built.duplicates;
  data.report.problems = std::move(counts.problems);
  describe_values(data.ratings.entries, data.report);
  if (options.descriptions) {
    CHORUS_TRY(data.descriptions, read_item_descriptions(file.parent_path()));
  }
  return data;
}

Status for_each_rating(const std::filesystem::path& file, const ReadOptions& options,
                       const std::function<void(const Rating&)>& take) {
  CHORUS_TRY(const auto rules, make_rules(file, options));
  CHORUS_TRY(const auto counts, read_rows(file, rules, options.skip_bad_lines, [&](const Row& row) -> Status {
               CHORUS_TRY_DO(check_id(row.user));
               CHORUS_TRY_DO(check_id(row.item));
               take({std::string(row.user), std::string(row.item), row.value, row.when});
               return {};
             }));
  static_cast<void>(counts);
  return {};
}

}  // namespace chorus::dataset
