// enrol and renew.
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/app/commands.hpp"

namespace chorus::client::app {
namespace {

using nlohmann::json;

// "4f3a 09c1 …": what two people compare over the telephone.
std::string grouped(const std::string& key) {
  std::string text;
  for (std::size_t i = 0; i < key.size(); i += 4) text += (i == 0 ? "" : " ") + key.substr(i, 4);
  return text;
}

Outcome describe(const EnrolReport& report, std::string_view done, const Options& options) {
  Outcome out;
  if (report.waiting) {
    out.status = kUnsynced;
    out.text = fmt::format(
        "Asked. The authority's operator must approve this device; its key is\n  {}\n"
        "Tell them, and enrol again then: the key in {} stays the same.\n",
        grouped(report.key), options.client.credentials.string());
  } else {
    out.text = fmt::format(
        "{} as device {}, until {:%Y-%m-%d %H:%M:%S} UTC; a sync renews it in time.\n"
        "The identity is in {}; its key never left this machine.\n",
        done, report.device, fmt::gmtime(static_cast<std::time_t>(report.expires)),
        options.client.credentials.string());
  }
  out.json = json{{"waiting", report.waiting},
                  {"key", report.key},
                  {"device", report.waiting ? json() : json(report.device)},
                  {"expires", report.waiting ? json() : json(report.expires)}}
                 .dump();
  return out;
}

}  // namespace

ClientResult<Outcome> enrol(Client& client, const Options& options) {
  const auto report = client.enrol(options.enrol);
  if (!report) return std::unexpected(report.error());
  return describe(*report, "Enrolled", options);
}

ClientResult<Outcome> renew(Client& client, const Options& options) {
  const auto report = client.renew();
  if (!report) return std::unexpected(report.error());
  return describe(*report, "Renewed", options);
}

}  // namespace chorus::client::app
