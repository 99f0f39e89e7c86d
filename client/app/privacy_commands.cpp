// ledger and forget.
#include <iostream>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "client/app/commands.hpp"

namespace chorus::client::app {
namespace {

using nlohmann::json;

template <typename T>
json maybe(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

std::string to_text(const SharedUpdate& update) {
  std::string text = fmt::format("  {:%Y-%m-%d %H:%M:%S} UTC  round {}",
                                 fmt::gmtime(static_cast<std::time_t>(update.when)), update.round);
  if (update.model_version) {
    text += fmt::format(" of '{}' ({}, model version {}): {}", update.job, update.purpose, *update.model_version,
                        update.ending);
  } else {
    text += " of a job that was left";
  }
  text += update.others ? fmt::format(", with {} others", *update.others)
                        : fmt::format(", hidden among {} at least", update.honest);
  return text + (update.epsilon ? fmt::format(", cost epsilon {:.3g}\n", *update.epsilon)
                                : std::string(", without noise: NO DIFFERENCING PROTECTION\n"));
}

json to_json(const SharedUpdate& update) {
  return {{"when", update.when},
          {"round", update.round},
          {"job", update.job},
          {"purpose", update.purpose},
          {"ending", update.ending},
          {"model_version", maybe(update.model_version)},
          {"others", maybe(update.others)},
          {"honest", update.honest},
          {"epsilon", maybe(update.epsilon)},
          {"protected", update.epsilon.has_value()}};
}

std::string files(const std::vector<std::filesystem::path>& paths) {
  std::string text;
  for (const auto& path : paths) text += "  " + path.string() + "\n";
  return text;
}

}  // namespace

ClientResult<Outcome> ledger(Client& client, const Options& options) {
  const auto found = client.ledger(options.updates);
  if (!found) return std::unexpected(found.error());
  const PrivacyLimits& limits = found->limits;
  Outcome out;
  out.text = fmt::format("shared   {} {}\n", found->updates, found->updates == 1 ? "update" : "updates");
  if (found->unprotected != 0) {
    out.text += fmt::format("         {} of them without noise: NO DIFFERENCING PROTECTION, no epsilon holds them\n",
                            found->unprotected);
  }
  out.text += fmt::format("spent    epsilon {:.3g} of {:g} (delta {:g}), {:.3g} left\n", found->spent, limits.epsilon,
                          limits.delta, found->left);
  if (found->rounds_left) out.text += fmt::format("rounds   {} left at the last cost\n", *found->rounds_left);
  if (!found->shared.empty()) out.text += "what I shared\n";
  json shared = json::array();
  for (const SharedUpdate& update : found->shared) {
    out.text += to_text(update);
    shared.push_back(to_json(update));
  }
  out.json = json{
      {"updates", found->updates},
      {"unprotected", found->unprotected},
      {"epsilon", limits.epsilon},
      {"delta", limits.delta},
      {"epsilon_spent", found->spent},
      {"epsilon_left", found->left},
      {"rounds_left", maybe(found->rounds_left)},
      {"shared",
       shared}}.dump();
  return out;
}

ClientResult<Outcome> forget(Client& client, const Options& options) {
  if (!options.yes) {
    const auto refuse = [](std::string sentence) {
      return std::unexpected(ClientError{
          .kind = ClientErrorKind::usage, .code = "invalid_argument", .sentence = std::move(sentence), .where = {}});
    };
    if (::isatty(STDIN_FILENO) != 1) {
      return refuse("forgetting cannot be undone: without a terminal to ask on, say --yes");
    }
    fmt::print(stderr,
               "This deletes the ratings and the model in {}, and this device's identity in {}, for good.\n"
               "What was summed into a model cannot be taken back. Type yes to go on: ",
               options.client.store.string(), options.client.credentials.string());
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != "yes") return refuse("nothing was forgotten");
  }
  const auto report = client.forget(options.forget);
  if (!report) return std::unexpected(report.error());
  Outcome out;
  out.text = fmt::format(
      "Stopped. {} {}, the model and the history are deleted; this device takes part in nothing any more.\n",
      report->ratings, report->ratings == 1 ? "rating" : "ratings");
  out.text += report->deleted.empty() ? "No file of an identity was there.\n"
                                      : "Deleted the device's identity:\n" + files(report->deleted);
  if (report->revoked) out.text += "The enrolment authority has revoked this device.\n";
  if (!report->trouble.empty()) {
    out.text += fmt::format("The enrolment authority could not be told ({}); ask its operator to revoke this device.\n",
                            report->trouble);
  }
  out.text += fmt::format(
      "What stays: what was summed into models ({} {}) cannot be taken back, and the ledger of what they cost\n"
      "stays in the store, so that a spent budget stays spent. It goes with the store's files, if you delete them.\n",
      report->updates, report->updates == 1 ? "update" : "updates");
  json deleted = json::array();
  for (const auto& path : report->deleted) deleted.push_back(path.string());
  out.json = json{{"stopped", true},
                  {"ratings", report->ratings},
                  {"deleted", deleted},
                  {"updates", report->updates},
                  {"revoked", report->revoked},
                  {"trouble", report->trouble}}
                 .dump();
  return out;
}

}  // namespace chorus::client::app
