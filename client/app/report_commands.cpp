// recommend and status.
#include <chrono>
#include <cmath>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/app/commands.hpp"

namespace chorus::client::app {
namespace {

using nlohmann::json;

template <typename T>
json maybe(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

// "2024-05-17 09:30:00 UTC"
std::string date(std::int64_t seconds) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

json to_json(const RecommendedItem& item) {
  json reasons = json::array();
  for (const auto& reason : item.reasons) {
    reasons.push_back(
        {{"item", reason.item}, {"title", reason.title}, {"rating", reason.rating}, {"amount", reason.amount}});
  }
  return {{"item", item.item},
          {"title", item.title},
          {"score", item.score},
          {"parts", {{"base", item.base}, {"item", item.own}, {"history", item.history}, {"prior", item.prior}}},
          {"rated_by", item.rated_by},
          {"reasons", reasons},
          {"why", item.why}};
}

json to_json(const PastRound& round) {
  return {{"round", round.round},          {"purpose", round.purpose},     {"ending", round.ending},
          {"reason", round.reason},        {"when", round.when},           {"model_version", round.model_version},
          {"members", round.members},      {"survivors", round.survivors}, {"bytes_up", round.bytes_up},
          {"bytes_down", round.bytes_down}};
}

// An infinite epsilon is null beside "protected": false.
json to_json(const ModelPrivacy& privacy) {
  const bool is_protected = std::isfinite(privacy.epsilon_coordinator);
  const auto epsilon = [&](double value) { return is_protected ? json(value) : json(); };
  return {{"protected", is_protected},
          {"delta", privacy.delta},
          {"epsilon_coordinator", epsilon(privacy.epsilon_coordinator)},
          {"epsilon_readers", epsilon(privacy.epsilon_readers)},
          {"rounds", privacy.rounds},
          {"rounds_left", privacy.rounds_left},
          {"noise_multiplier", privacy.noise_multiplier},
          {"assumed_honest", privacy.honest}};
}

json to_json(const ClientStatus& status) {
  json history = json::array();
  for (const auto& round : status.history) history.push_back(to_json(round));
  json job;
  if (!status.job.empty()) {
    job = {{"name", status.job},
           {"minimum", status.minimum},
           {"maximum", status.maximum},
           {"step", status.step},
           {"coordinator_key", status.coordinator_key},
           {"catalogue_items", status.catalogue_items}};
  }
  json contact;
  if (status.last_contact) {
    contact = {{"when", *status.last_contact},
               {"outcome", status.last_outcome},
               {"devices_ready", status.devices_ready},
               {"devices_needed", status.devices_needed}};
  }
  return {{"ratings", status.ratings},
          {"held_out", status.held_out},
          {"unknown", maybe(status.unknown)},
          {"off_scale", maybe(status.off_scale)},
          {"job", job},
          {"model_version", maybe(status.model_version)},
          {"training_rounds", status.training_rounds},
          {"privacy", status.privacy ? to_json(*status.privacy) : json()},
          {"last_contact", contact},
          {"history", history}};
}

std::string to_text(const PastRound& round) {
  std::string text = fmt::format("  {}  round {} ({}): {}", date(round.when), round.round, round.purpose, round.ending);
  if (!round.reason.empty()) text += fmt::format(", {}", round.reason);
  if (round.members != 0) text += fmt::format(", {} of {} devices", round.survivors, round.members);
  return text + fmt::format(", {} bytes up\n", round.bytes_up);
}

}  // namespace

ClientResult<Outcome> recommend(Client& client, const Options& options) {
  const auto found = client.recommend(options.top);
  if (!found) return std::unexpected(found.error());
  const bool scored = found->basis != "catalogue";
  Outcome out;
  if (found->basis == "popularity") {
    out.text = "Nothing here says what you like yet: these are the items that most devices rated.\n\n";
  } else if (!scored) {
    out.text = "No round of training has ended yet: these are the first of the catalogue.\n\n";
  }
  json items = json::array();
  for (std::size_t i = 0; i < found->items.size(); ++i) {
    const auto& item = found->items[i];
    out.text += scored ? fmt::format("{:>3}  {:5.2f}  {}\n            {}\n", i + 1, item.score, item.title, item.why)
                       : fmt::format("{:>3}  {}\n", i + 1, item.title);
    items.push_back(to_json(item));
  }
  if (found->items.empty()) out.text += "There is nothing that you have not rated.\n";
  out.json = json{{"basis", found->basis}, {"items", items}}.dump();
  return out;
}

ClientResult<Outcome> status(Client& client, const Options& options) {
  const auto status = client.status(options.rounds);
  if (!status) return std::unexpected(status.error());
  Outcome out;
  out.text = fmt::format("ratings       {}", status->ratings);
  if (status->held_out != 0) out.text += fmt::format(", and {} that are measured only", status->held_out);
  out.text += '\n';
  if (status->unknown.value_or(0) != 0) {
    out.text += fmt::format("not sent      {} of items that the catalogue lacks\n", *status->unknown);
  }
  if (status->off_scale.value_or(0) != 0) {
    out.text += fmt::format("not sent      {} that are not on the job's scale\n", *status->off_scale);
  }
  if (status->job.empty()) {
    out.text += "job           none yet: `chorus-client sync` joins one\n";
  } else {
    out.text += fmt::format("job           {}, ratings from {:g} to {:g}, {} items\n", status->job, status->minimum,
                            status->maximum, status->catalogue_items);
    out.text += fmt::format("coordinator   key {}\n", status->coordinator_key);
  }
  if (status->model_version) {
    out.text += fmt::format("model         version {}, made by {} training rounds\n", *status->model_version,
                            status->training_rounds);
  }
  if (status->privacy) {
    std::string_view words = status->privacy->words;
    for (bool first = true; !words.empty(); first = false) {
      const std::size_t end = words.find('\n');
      out.text += fmt::format("{:<14}{}\n", first ? "privacy" : "", words.substr(0, end));
      words.remove_prefix(end == std::string_view::npos ? words.size() : end + 1);
    }
  }
  if (status->last_contact) {
    out.text += fmt::format("last contact  {}: {}", date(*status->last_contact), status->last_outcome);
    if (status->devices_needed != 0) {
      out.text += fmt::format(" ({} of {} devices were ready)", status->devices_ready, status->devices_needed);
    }
    out.text += '\n';
  }
  if (!status->history.empty()) out.text += "history\n";
  for (const auto& round : status->history) out.text += to_text(round);
  out.json = to_json(*status).dump();
  return out;
}

}  // namespace chorus::client::app
