// What `check` can find wrong, each with a number that an operator can look up: CHECKS.md has a page for every one, and
// `explain` prints it. A number is never used again for something else.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/error.hpp"

namespace chorus::coordinator {

enum class Trouble : std::uint8_t {
  // the coordinator's settings
  config_unreadable,
  config_malformed,
  config_wrong,
  nothing_to_do,
  // a job's settings
  job_unreadable,
  job_malformed,
  job_wrong,
  job_unsafe,
  job_model,
  job_twice,
  job_rule,
  // the catalogue
  catalogue_unreadable,
  catalogue_malformed,
  catalogue_empty,
  // certificates
  certificate_missing,
  certificate_malformed,
  certificate_expired,
  certificate_early,
  certificate_wrong,
  certificate_revoked,
  list_expired,
  list_wrong,
  certificate_ends_soon,
  list_ends_soon,
  // the machine
  open_files,
  disk_space,
  clock_wrong,
  clock_adrift,
  address_taken,
  address_unusable,
  state_unwritable,
  state_in_use,
  state_remote,
  admin_exposed,
  // all of it together
  job_impossible,
};

enum class Severity : std::uint8_t {
  wrong,    // files say something that cannot be
  machine,  // this machine cannot do it as it is
  warning,  // serve starts
};

struct TroubleLine {
  Trouble trouble = Trouble::config_unreadable;
  std::uint16_t number = 0;
  Severity severity = Severity::wrong;
};

// In the order of the enumeration.
inline constexpr std::array kTroubles{
    TroubleLine{Trouble::config_unreadable, 101, Severity::wrong},
    TroubleLine{Trouble::config_malformed, 102, Severity::wrong},
    TroubleLine{Trouble::config_wrong, 103, Severity::wrong},
    TroubleLine{Trouble::nothing_to_do, 104, Severity::wrong},
    TroubleLine{Trouble::job_unreadable, 201, Severity::wrong},
    TroubleLine{Trouble::job_malformed, 202, Severity::wrong},
    TroubleLine{Trouble::job_wrong, 203, Severity::wrong},
    TroubleLine{Trouble::job_unsafe, 204, Severity::wrong},
    TroubleLine{Trouble::job_model, 205, Severity::wrong},
    TroubleLine{Trouble::job_twice, 206, Severity::wrong},
    TroubleLine{Trouble::job_rule, 207, Severity::wrong},
    TroubleLine{Trouble::catalogue_unreadable, 301, Severity::wrong},
    TroubleLine{Trouble::catalogue_malformed, 302, Severity::wrong},
    TroubleLine{Trouble::catalogue_empty, 303, Severity::wrong},
    TroubleLine{Trouble::certificate_missing, 401, Severity::wrong},
    TroubleLine{Trouble::certificate_malformed, 402, Severity::wrong},
    TroubleLine{Trouble::certificate_expired, 403, Severity::wrong},
    TroubleLine{Trouble::certificate_early, 404, Severity::wrong},
    TroubleLine{Trouble::certificate_wrong, 405, Severity::wrong},
    TroubleLine{Trouble::certificate_revoked, 406, Severity::wrong},
    TroubleLine{Trouble::list_expired, 407, Severity::wrong},
    TroubleLine{Trouble::list_wrong, 408, Severity::wrong},
    TroubleLine{Trouble::certificate_ends_soon, 409, Severity::warning},
    TroubleLine{Trouble::list_ends_soon, 410, Severity::warning},
    TroubleLine{Trouble::open_files, 501, Severity::warning},
    TroubleLine{Trouble::disk_space, 502, Severity::machine},
    TroubleLine{Trouble::clock_wrong, 503, Severity::machine},
    TroubleLine{Trouble::clock_adrift, 504, Severity::warning},
    TroubleLine{Trouble::address_taken, 505, Severity::machine},
    TroubleLine{Trouble::address_unusable, 506, Severity::machine},
    TroubleLine{Trouble::state_unwritable, 507, Severity::machine},
    TroubleLine{Trouble::state_in_use, 508, Severity::warning},
    TroubleLine{Trouble::state_remote, 509, Severity::machine},
    TroubleLine{Trouble::admin_exposed, 510, Severity::warning},
    TroubleLine{Trouble::job_impossible, 601, Severity::wrong},
};

[[nodiscard]] constexpr const TroubleLine& line_of(Trouble trouble) {
  return kTroubles[static_cast<std::size_t>(trouble)];
}
static_assert([] {
  for (std::size_t i = 0; i < kTroubles.size(); ++i) {
    if (static_cast<std::size_t>(kTroubles[i].trouble) != i) return false;
    if (i > 0 && kTroubles[i].number <= kTroubles[i - 1].number) return false;
  }
  return kTroubles.back().trouble == Trouble::job_impossible;
}());

// "CH-0101".
[[nodiscard]] std::string number_of(Trouble trouble);

// One thing that is wrong here and now.
struct Finding {
  Trouble trouble = Trouble::config_unreadable;
  std::string sentence;
  std::string where{};  // "coordinator.toml:4", "127.0.0.1:7443"; may be empty
};

[[nodiscard]] Finding finding_of(Trouble trouble, const Error& error);
// The number for an error of reading a coordinator's file, a job's file, a catalogue, certificates.
[[nodiscard]] Trouble trouble_of_config(const Error& error) noexcept;
[[nodiscard]] Trouble trouble_of_job(const Error& error) noexcept;
[[nodiscard]] Trouble trouble_of_catalogue(const Error& error) noexcept;
[[nodiscard]] Trouble trouble_of_certificates(const Error& error) noexcept;

// All pages, as CHECKS.md has them.
[[nodiscard]] std::string_view explanations() noexcept;
// The page of "CH-0101" (or "ch-0101", or "101"), with its heading; nothing if there is none.
[[nodiscard]] std::optional<std::string_view> explanation_of(std::string_view number);
// Their headings, a line each: "CH-0101  The coordinator's settings cannot be read".
[[nodiscard]] std::string list_of_explanations();

}  // namespace chorus::coordinator
