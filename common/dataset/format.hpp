// Which file format a ratings file is in: its separator, its columns and the scale of its values. Formats are
// recognised by content, never by the file's name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/dataset/data_contract.hpp"

namespace chorus::dataset {

// Positions of the columns in a line, from 0.
struct Columns {
  std::optional<std::size_t> user = 0;  // none: the file is one person's
  std::size_t item = 1;
  std::optional<std::size_t> value = 2;  // none: every line is one event of weight 1
  std::optional<std::size_t> when = 3;   // none: 0
  std::size_t count = 4;                 // fields in each line
};

struct Format {
  std::string name;
  std::string separator;
  bool quotes = false;  // CSV quoting
  bool header = false;  // the first line names the columns
  Columns columns;
  Feedback feedback = Feedback::ratings;
  // The scale, where the format fixes one.
  std::optional<double> minimum;
  std::optional<double> maximum;
};

// What `--format` may say: "ml-100k", "ml-1m", "ml-10m", "ml-latest", "movietweetings", "movietweetings-core",
// "lastfm-2k", "csv" (separated by ',' or ';') and "tsv".
[[nodiscard]] std::vector<std::string_view> format_names();

// Reads the beginning of the file. An empty `name` recognises the format; otherwise the file is taken as that
// format, whose name and scale it gets, and only a header is still looked for. With `one_person` a header may lack the
// user's column.
// Errors: as LineReader; invalid_argument (an unknown name); malformed (nothing in the file, or no such format).
[[nodiscard]] Result<Format> recognise_format(const std::filesystem::path& path, std::string_view name = {},
                                              bool one_person = false);

}  // namespace chorus::dataset
