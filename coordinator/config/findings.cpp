#include "coordinator/config/findings.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace chorus::coordinator {

namespace {

constexpr std::string_view kHeading = "\n## CH-";

std::string number_text(unsigned number) {
  return fmt::format("CH-{:04}", number);
}

}  // namespace

std::string number_of(Trouble trouble) {
  return number_text(line_of(trouble).number);
}

Finding finding_of(Trouble trouble, const Error& error) {
  return {.trouble = trouble, .sentence = error.sentence(), .where = error.where()};
}

Trouble trouble_of_config(const Error& error) noexcept {
  if (error.code() == ErrorCode::not_found || error.code() == ErrorCode::too_large) return Trouble::config_unreadable;
  return error.code() == ErrorCode::malformed ? Trouble::config_malformed : Trouble::config_wrong;
}

Trouble trouble_of_job(const Error& error) noexcept {
  if (error.sentence().starts_with("[model]")) return Trouble::job_model;
  if (error.sentence().starts_with("[aggregation]")) return Trouble::job_rule;
  switch (error.code()) {
    case ErrorCode::not_found:
    case ErrorCode::too_large:
      return Trouble::job_unreadable;
    case ErrorCode::malformed:
      return Trouble::job_malformed;
    case ErrorCode::parameter_below_floor:
    case ErrorCode::parameter_above_ceiling:
      return Trouble::job_unsafe;
    default:
      return Trouble::job_wrong;
  }
}

Trouble trouble_of_catalogue(const Error& error) noexcept {
  return error.code() == ErrorCode::not_found ? Trouble::catalogue_unreadable : Trouble::catalogue_malformed;
}

Trouble trouble_of_certificates(const Error& error) noexcept {
  const bool of_list = error.where().find("revocation list") != std::string::npos;
  switch (error.code()) {
    case ErrorCode::not_found:
    case ErrorCode::io:
      return Trouble::certificate_missing;
    case ErrorCode::expired:
      return of_list ? Trouble::list_expired : Trouble::certificate_expired;
    case ErrorCode::not_yet_valid:
      return Trouble::certificate_early;
    case ErrorCode::revoked:
      return Trouble::certificate_revoked;
    case ErrorCode::bad_certificate:
      return of_list ? Trouble::list_wrong : Trouble::certificate_wrong;
    default:
      return Trouble::certificate_malformed;
  }
}

std::optional<std::string_view> explanation_of(std::string_view number) {
  if (number.size() > 3 && (number.starts_with("CH-") || number.starts_with("ch-"))) number.remove_prefix(3);
  unsigned value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (number.empty() || error != std::errc() || end != number.data() + number.size()) return std::nullopt;
  const std::string_view all = explanations();
  const std::size_t at = all.find(fmt::format("\n## {}:", number_text(value)));
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view page = all.substr(at + 1);
  return page.substr(0, std::min(page.size(), page.find("\n## ")));
}

std::string list_of_explanations() {
  const std::string_view all = explanations();
  std::string list;
  for (std::size_t at = all.find(kHeading); at != std::string_view::npos; at = all.find(kHeading, at + 1)) {
    const std::string_view heading = all.substr(at + 4, all.find('\n', at + 1) - at - 4);
    const std::size_t colon = std::min(heading.find(':'), heading.size());
    list += fmt::format("{} {}\n", heading.substr(0, colon), heading.substr(std::min(colon + 1, heading.size())));
  }
  return list;
}

}  // namespace chorus::coordinator
