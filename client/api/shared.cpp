// What a device gave away, told from its own ledger; and how it stops. POSIX.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/api/device.hpp"
#include "client/io/enrolment.hpp"
#include "common/protocol/job_description.hpp"

namespace chorus::api {
namespace {

// The history's line of each charge, newest first, or none: the history is that of the present job, an earlier job's
// rounds may have had the same numbers, and a clock that went back orders nothing. A line that is not withheld was
// charged once, and no later charge has its number.
class Lines {
 public:
  explicit Lines(std::span<const client::Participation> history) {
    for (const client::Participation& line : history) {
      if (line.ending != client::Ending::withheld) by_round_.emplace(line.round, &line);
    }
  }
  // REQUIRES: to be asked for the charges newest first.
  [[nodiscard]] const client::Participation* take(const privacy::LedgerEntry& charge) {
    const auto found = by_round_.extract(charge.round);
    return found.empty() ? nullptr : found.mapped();
  }

 private:
  std::map<RoundId, const client::Participation*> by_round_;
};

Error failed(std::string_view doing, const std::filesystem::path& file, int number) {
  return Error(ErrorCode::io, fmt::format("cannot {}: {}", doing, std::generic_category().message(number)),
               file.string());
}

// Overwrites a file and deletes it; false if it was not there. A file system that copies, an SSD and a backup keep what
// no program can reach.
Result<bool> wipe(const std::filesystem::path& file) {
  const int out = ::open(file.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (out < 0 && errno == ENOENT) return false;
  if (out < 0) return fail(failed("wipe a file of the identity", file, errno));
  struct stat found{};
  bool good = ::fstat(out, &found) == 0;
  constexpr std::array<char, 4096> kZeros{};
  for (off_t left = good ? found.st_size : 0; good && left > 0;) {
    const ssize_t put = ::write(out, kZeros.data(), std::min(kZeros.size(), static_cast<std::size_t>(left)));
    good = put > 0 || (put < 0 && errno == EINTR);
    if (put > 0) left -= put;
  }
  good = good && ::fsync(out) == 0;
  const int number = errno;
  ::close(out);
  if (!good) return fail(failed("wipe a file of the identity", file, number));
  if (::unlink(file.c_str()) != 0) return fail(failed("delete a file of the identity", file, errno));
  return true;
}

}  // namespace

Status check(const PrivacyLimits& limits) {
  CHORUS_TRY_DO(privacy::check_delta(limits.delta));
  const auto positive = [](double value, const char* name) -> Status {
    if (std::isfinite(value) && value > 0) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} must be a number above 0, not {}: to share nothing, fetch the model only", name, value),
                fmt::format("privacy.{}", name));
  };
  CHORUS_TRY_DO(positive(limits.epsilon, "epsilon"));
  CHORUS_TRY_DO(positive(limits.most_round_epsilon, "most_round_epsilon"));
  if (limits.least_interval < std::chrono::seconds::zero() || limits.least_interval > std::chrono::days(36'500)) {
    return fail(ErrorCode::invalid_argument, "between two updates are 0 seconds to a hundred years",
                "privacy.least_interval");
  }
  return {};
}

client::Consent consent_of(const SyncOptions& options, const PrivacyLimits& limits) {
  return {.without_noise = options.without_noise,
          .least_identity_age = options.least_identity_age,
          .budget = {.epsilon = limits.epsilon, .delta = limits.delta},
          .most_round_epsilon = limits.most_round_epsilon,
          .least_interval = limits.least_interval,
          .least_cohort = limits.least_cohort};
}

Result<SharedLedger> ledger(client::Store& store, const PrivacyLimits& limits, std::size_t updates) {
  CHORUS_TRY_DO(check(limits));
  CHORUS_TRY(const privacy::DeviceLedger known, store.ledger());
  constexpr std::size_t kAll = std::numeric_limits<std::int64_t>::max();
  CHORUS_TRY(const auto charges, store.charges(kAll));
  CHORUS_TRY(const auto history, store.history(kAll));
  CHORUS_TRY(const auto signed_job, store.job());
  std::string job;
  if (signed_job) {
    CHORUS_TRY(const auto description, protocol::JobDescription::decode(signed_job->document));
    job = description.name;
  }

  SharedLedger out;
  out.limits = limits;
  out.updates = charges.size();
  out.unprotected = known.unprotected();
  CHORUS_TRY(out.spent, known.spent().epsilon(limits.delta));
  out.left = std::max(0.0, limits.epsilon - out.spent);
  const privacy::LedgerLimits held{.budget = {.epsilon = limits.epsilon, .delta = limits.delta}};
  Lines lines(history);
  for (const privacy::LedgerEntry& charge : charges) {
    const bool noisy = !charge.cost.is_unbounded();
    if (noisy && !out.rounds_left) {
      CHORUS_TRY(const double alone, charge.cost.epsilon(limits.delta));
      CHORUS_TRY(const std::uint64_t rounds, known.rounds_left(charge.cost, held));
      out.rounds_left = alone > limits.most_round_epsilon ? 0 : rounds;
    }
    const client::Participation* const line = lines.take(charge);
    if (out.shared.size() >= updates) continue;
    SharedUpdate told;
    told.when = std::int64_t{charge.when.time_since_epoch().count()};
    told.round = charge.round.value();
    told.honest = charge.honest;
    if (noisy) {
      CHORUS_TRY(const double alone, charge.cost.epsilon(limits.delta));
      told.epsilon = alone;
    }
    if (line != nullptr) {
      told.job = job;
      told.purpose = plan::to_string(line->purpose);
      told.ending = client::to_string(line->ending);
      told.model_version = line->model_version.value();
      if (line->survivors > 0) told.others = line->survivors - 1;
    }
    out.shared.push_back(std::move(told));
  }
  return out;
}

Result<ForgetReport> forget(Device& device, const ForgetOptions& options) {
  ForgetReport report;
  CHORUS_TRY(const auto counts, device.store->count_ratings());
  report.ratings = counts.training + counts.held_out;
  CHORUS_TRY_DO(device.store->forget());
  CHORUS_TRY(const auto charges, device.store->charges(std::numeric_limits<std::int64_t>::max()));
  report.updates = charges.size();
  const std::filesystem::path& folder = device.options.credentials;
  if (folder.empty()) return report;
  // While there is a key to ask with. Whatever comes of it, the key goes.
  if (options.tell_authority && client::was_enrolled_by_service(folder)) {
    const Status resigned = client::resign(folder, wall_now());
    report.revoked = resigned.has_value();
    if (!resigned) report.trouble = resigned.error().sentence();
  }
  for (const auto& place : {std::optional(folder), client::successor_of(folder)}) {
    if (!place) continue;
    for (const std::string_view name : client::kPrivateFiles) {
      CHORUS_TRY(const bool wiped, wipe(*place / name));
      if (wiped) report.deleted.push_back(*place / name);
    }
  }
  return report;
}

}  // namespace chorus::api
