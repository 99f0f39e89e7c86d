// import, rate, remove, leave; and errors.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/app/commands.hpp"

namespace chorus::client::app {
namespace {

using nlohmann::json;

json to_json(const ClientError& error) {
  return {{"kind", to_string(error.kind)}, {"code", error.code}, {"sentence", error.sentence}, {"where", error.where}};
}

// null, where nothing is known yet.
template <typename T>
json maybe(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

}  // namespace

int exit_status(ClientErrorKind kind) noexcept {
  switch (kind) {
    case ClientErrorKind::usage:
      return kUsage;
    case ClientErrorKind::input:
      return kInput;
    case ClientErrorKind::busy:
      return kBusy;
    case ClientErrorKind::trust:
      return kTrust;
    case ClientErrorKind::network:
      return kNetwork;
    case ClientErrorKind::refused:
      return kRefused;
    case ClientErrorKind::unsynced:
      return kUnsynced;
    case ClientErrorKind::storage:
      break;
  }
  return kStorage;
}

std::string as_text(const ClientError& error) {
  return error.where.empty() ? error.sentence : error.where + ": " + error.sentence;
}

std::string as_json(const ClientError& error) {
  return json{{"error", to_json(error)}}.dump();
}

ClientResult<Outcome> import_ratings(Client& client, const Options& options) {
  const auto report = client.import_ratings(options.file, options.import);
  if (!report) return std::unexpected(report.error());
  Outcome out;
  out.text =
      fmt::format("Imported {} (format {}): {} new, {} replaced earlier ones.\n",
                  counted(report->ratings, "rating", "ratings"), report->format, report->added, report->replaced);
  if (report->duplicates != 0) {
    out.text +=
        fmt::format("{} repeated an item; the last line counts.\n", counted(report->duplicates, "line", "lines"));
  }
  if (report->bad_lines != 0) {
    out.text += fmt::format("{} left out:\n", counted(report->bad_lines, "bad line was", "bad lines were"));
    for (const auto& problem : report->problems) out.text += fmt::format("  {}\n", as_text(problem));
  }
  if (report->unknown.value_or(0) != 0) {
    out.text += fmt::format("{} not in the catalogue: kept, and used as soon as the catalogue has them.\n",
                            counted(*report->unknown, "item is", "items are"));
  }
  if (report->off_scale.value_or(0) != 0) {
    out.text += fmt::format("{} between two steps of the job's scale: kept, not used.\n",
                            counted(*report->off_scale, "rating lies", "ratings lie"));
  }
  json problems = json::array();
  for (const auto& problem : report->problems) problems.push_back(to_json(problem));
  out.json =
      json{{"format", report->format},     {"ratings", report->ratings},        {"added", report->added},
           {"replaced", report->replaced}, {"duplicates", report->duplicates},  {"bad_lines", report->bad_lines},
           {"problems", problems},         {"unknown", maybe(report->unknown)}, {"off_scale", maybe(report->off_scale)}}
          .dump();
  return out;
}

ClientResult<Outcome> rate(Client& client, const Options& options) {
  const auto report = client.rate(options.item, options.value);
  if (!report) return std::unexpected(report.error());
  Outcome out;
  out.text = fmt::format("{} {} {:g}.\n", report->replaced ? "Changed the rating of" : "Rated",
                         report->title.empty() ? options.item : report->title, options.value);
  if (report->in_catalogue == false) {
    out.text += "It is not in the catalogue: kept, and used as soon as the catalogue has it.\n";
  }
  out.json = json{{"item", options.item},
                  {"value", options.value},
                  {"title", report->title},
                  {"replaced", report->replaced},
                  {"in_catalogue", maybe(report->in_catalogue)}}
                 .dump();
  return out;
}

ClientResult<Outcome> remove(Client& client, const Options& options) {
  const auto existed = client.remove(options.item);
  if (!existed) return std::unexpected(existed.error());
  return Outcome{
      .text = fmt::format("{} {}.\n", *existed ? "Removed the rating of" : "There was no rating of", options.item),
      .json = json{{"item", options.item}, {"removed", *existed}}.dump()};
}

ClientResult<Outcome> leave(Client& client, const Options&) {
  if (const auto left = client.leave(); !left) return std::unexpected(left.error());
  return Outcome{.text = "Left the job. The ratings are still here; the next sync joins afresh.\n",
                 .json = json{{"left", true}}.dump()};
}

}  // namespace chorus::client::app
