// A person's ratings file into the store.
#include <algorithm>

#include <fmt/format.h>

#include "client/api/device.hpp"
#include "client/api/errors.hpp"
#include "common/dataset/reader.hpp"

namespace chorus::api {
namespace {

// Which of the file's people is meant.
Result<std::uint32_t> choose_user(const dataset::DataSet& data, const std::string& wanted) {
  const auto& users = *data.ratings.users;
  if (!wanted.empty()) {
    if (const auto user = users.find(wanted)) return *user;
    return fail(ErrorCode::invalid_argument, fmt::format("nobody in the file is called '{}'", wanted),
                data.report.file);
  }
  if (users.size() == 1) return 0U;
  return fail(ErrorCode::invalid_argument,
              fmt::format("the file has ratings of {} people ('{}', '{}' ...); say whose to take", users.size(),
                          users[0], users[1]),
              data.report.file);
}

// Lines of this user that a later one replaced.
Result<std::size_t> count_duplicates(const dataset::DataSet& data, const dataset::ReadOptions& options,
                                     std::uint32_t user, std::size_t kept) {
  if (data.ratings.users->size() == 1) return data.report.duplicates;
  std::size_t lines = 0;
  CHORUS_TRY_DO(dataset::for_each_rating(
      data.report.file, options,
      [&, name = (*data.ratings.users)[user]](const dataset::Rating& row) { lines += row.user == name ? 1 : 0; }));
  return lines - kept;
}

}  // namespace

Result<ImportReport> import_ratings(client::Store& store, const std::filesystem::path& file,
                                    const ImportOptions& options) {
  CHORUS_TRY(const auto contract, contract_of(store));
  CHORUS_TRY(const auto catalogue, catalogue_of(store));
  dataset::ReadOptions reading;
  reading.format = options.format;
  reading.skip_bad_lines = options.skip_bad_lines;
  reading.descriptions = false;
  reading.one_person = options.user.empty();
  if (contract) {
    reading.minimum = double{contract->minimum};
    reading.maximum = double{contract->maximum};
  }
  CHORUS_TRY(const auto data, dataset::read_ratings(file, reading));
  if (contract && data.report.feedback != contract->feedback) {
    return fail(ErrorCode::malformed,
                fmt::format("the file holds {}, and the job takes {}", dataset::to_string(data.report.feedback),
                            dataset::to_string(contract->feedback)),
                data.report.file);
  }
  CHORUS_TRY(const std::uint32_t user, choose_user(data, options.user));

  ImportReport report;
  client::StoredRatings rows;
  std::size_t unknown = 0;
  std::size_t off_scale = 0;
  for (const dataset::Entry& entry : data.ratings.entries) {
    if (entry.user != user) continue;
    const std::string& item = (*data.ratings.items)[entry.item];
    if (catalogue && !catalogue->find(item)) ++unknown;
    if (contract && !contract->check(double{entry.value})) ++off_scale;
    rows.push_back({.item = client::SecretText(item),
                    .value = double{entry.value},
                    .when = entry.when,
                    .held_out = options.held_out});
  }
  CHORUS_TRY(const auto counts, store.put_ratings(rows));
  report.format = data.report.format;
  report.ratings = rows.size();
  report.added = counts.added;
  report.replaced = counts.replaced;
  CHORUS_TRY(report.duplicates, count_duplicates(data, reading, user, rows.size()));
  report.bad_lines = data.report.dropped;
  for (const Error& problem : data.report.problems) report.problems.push_back(outward(problem));
  if (catalogue) report.unknown = unknown;
  if (contract) report.off_scale = off_scale;
  return report;
}

}  // namespace chorus::api
