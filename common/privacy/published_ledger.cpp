#include "common/privacy/published_ledger.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "common/privacy/gaussian_accountant.hpp"
#include "common/privacy/pld_accountant.hpp"
#include "common/privacy/private_encoding.hpp"
#include "common/privacy/rdp_accountant.hpp"

namespace chorus::privacy {
namespace {

constexpr std::string_view kLabel = "CHORUS/1/published-ledger";
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kMostRuns = 1'000'000;

bool has_noise(const PublishedRound& round) {
  return round.local_noise > 0;
}

// To a user of the smallest cohort.
Cost cost_of(const PublishedRound& round) {
  return Cost::of_round(round.squared_sensitivity, round.cohort_honest, round.local_noise);
}

// Equal but for the number.
bool alike(PublishedRound a, const PublishedRound& b) {
  a.round = b.round;
  return a == b;
}

Status check(const PublishedRound& round) {
  if (!(round.sampling > 0 && round.sampling <= 1)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the sampling rate must lie above 0 and be at most 1, not {}", round.sampling), "sampling");
  }
  if (round.local_noise == 0) return {};
  if (!(round.local_noise >= kLeastLocalSigma) || !std::isfinite(round.local_noise)) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("a device's noise must be none or at least {}, not {}", kLeastLocalSigma, round.local_noise),
        "local_noise");
  }
  if (round.cohort_honest == 0 || round.total_honest < round.cohort_honest || round.squared_sensitivity == 0) {
    return fail(ErrorCode::invalid_argument, "a round with noise has a sensitivity and honest contributors",
                "cohort_honest");
  }
  return {};
}

// z = √N σ / Δ.
double multiplier(const PublishedRound& round, std::uint64_t honest) {
  return std::sqrt(static_cast<double>(honest) / static_cast<double>(round.squared_sensitivity)) * round.local_noise;
}

// ε of some mechanisms, one after the other, with the credit for sampling: by privacy loss where they are all alike, by
// Rényi orders where they are not.
Result<double> sampled_epsilon(std::span<const Mechanism> mechanisms, double delta) {
  if (mechanisms.empty()) return 0.0;
  double best = kInfinity;
  for (const double order : rdp_orders()) {
    double rho = 0;
    for (const Mechanism& mechanism : mechanisms) {
      CHORUS_TRY(const double step, rdp_step(mechanism.sampling, mechanism.noise_multiplier, order));
      rho += static_cast<double>(mechanism.rounds) * step;
    }
    best = std::min(best, rho + std::log1p(-1 / order) - std::log(delta * order) / (order - 1));
  }
  best = std::max(best, 0.0);
  if (mechanisms.size() == 1) {
    // Where no grid is fine enough, the Rényi orders have the last word.
    if (const auto tight = pld_epsilon(mechanisms.front(), delta)) best = std::min(best, *tight);
  }
  return best;
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : std::string("null");
}

std::string epsilon_json(const Epsilon& epsilon) {
  return fmt::format("{{\"exact\":{},\"sampled\":{}}}", number(epsilon.exact), number(epsilon.sampled));
}

}  // namespace

std::uint64_t PublishedLedger::rounds() const noexcept {
  std::uint64_t all = 0;
  for (const Run& run : runs_) all += run.count;
  return all;
}

Status PublishedLedger::afford(const PublishedRound& round, const std::optional<Budget>& budget) const {
  CHORUS_TRY_DO(check(round));
  if (!budget) return {};
  CHORUS_TRY(const Cost most, Cost::within(*budget));
  Cost spent = cost_of(round);
  for (const Run& run : runs_) {
    spent = spent + run.count * cost_of(run.round);
  }
  if (spent <= most) return {};
  return fail(ErrorCode::budget_exhausted,
              fmt::format("the job's budget of epsilon {:.3g} at delta {:.3g} against the coordinator has no room for "
                          "round {}: {} rounds are charged",
                          budget->epsilon, budget->delta, round.round.value(), rounds()));
}

Status PublishedLedger::charge(const PublishedRound& round, const std::optional<Budget>& budget) {
  if (!runs_.empty()) {
    const PublishedRound& last = runs_.back().round;
    if (last == round) return {};
    if (round.round <= last.round) {
      return fail(ErrorCode::duplicate, fmt::format("round {} was charged with other values, or round {} already was",
                                                    round.round.value(), last.round.value()));
    }
  }
  CHORUS_TRY_DO(afford(round, budget));
  if (!runs_.empty() && alike(runs_.back().round, round)) {
    runs_.back().round = round;
    ++runs_.back().count;
  } else {
    if (runs_.size() == kMostRuns) return fail(ErrorCode::too_large, "the published ledger is full");
    runs_.push_back({round, 1});
  }
  return {};
}

Status PublishedLedger::settle(const PublishedRound& round) {
  CHORUS_TRY_DO(check(round));
  if (runs_.empty() || runs_.back().round.round != round.round || has_noise(runs_.back().round) != has_noise(round) ||
      cost_of(round) > cost_of(runs_.back().round)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("round {} is not the last that was charged, or cost more", round.round.value()));
  }
  Run& last = runs_.back();
  if (last.round == round) return {};
  if (--last.count == 0) {
    runs_.pop_back();
  } else {
    // The run ends at the round before: numbers only order it.
    last.round.round = RoundId(round.round.value() - 1);
  }
  if (!runs_.empty() && alike(runs_.back().round, round)) {
    runs_.back().round = round;
    ++runs_.back().count;
  } else {
    runs_.push_back({round, 1});
  }
  return {};
}

Bytes PublishedLedger::encode() const {
  ByteWriter out;
  out.string(kLabel);
  out.u32(static_cast<std::uint32_t>(runs_.size()));
  for (const Run& run : runs_) {
    out.u64(run.round.round.value());
    out.u64(run.round.squared_sensitivity);
    out.f64(run.round.local_noise);
    out.u32(run.round.cohort_honest);
    out.u64(run.round.total_honest);
    out.f64(run.round.sampling);
    out.u64(run.count);
  }
  return std::move(out).take();
}

Result<PublishedLedger> PublishedLedger::decode(ByteView bytes) {
  ByteReader in(bytes);
  if (in.string(kLabel.size()) != kLabel) in.reject("it does not begin with 'CHORUS/1/published-ledger'");
  PublishedLedger out;
  const std::size_t count = in.count(kMostRuns, 8 + 8 + 8 + 4 + 8 + 8 + 8);
  RoundId last;
  for (std::size_t i = 0; i < count; ++i) {
    Run run;
    run.round.round = RoundId(in.u64());
    run.round.squared_sensitivity = in.u64();
    run.round.local_noise = in.f64();
    run.round.cohort_honest = in.u32();
    run.round.total_honest = in.u64();
    run.round.sampling = in.f64();
    run.count = in.u64();
    if (!check(run.round) || run.count == 0 || run.round.round <= last || run.count > run.round.round.value()) {
      in.reject("a run of rounds that could not have been charged");
    }
    last = run.round.round;
    out.runs_.push_back(run);
  }
  CHORUS_TRY_DO(in.finish("published ledger"));
  return out;
}

Result<PrivacyReport> PublishedLedger::report(double delta, const std::optional<Budget>& budget,
                                              std::uint64_t survivors, double noise_delta) const {
  CHORUS_TRY_DO(check_delta(delta));
  PrivacyReport out;
  out.delta = delta;
  out.survivors = survivors;
  if (budget) out.budget = budget->epsilon;
  double squared_coordinator = 0;
  double squared_readers = 0;
  std::vector<Mechanism> coordinator;
  std::vector<Mechanism> readers;
  for (const Run& run : runs_) {
    out.rounds += run.count;
    if (!has_noise(run.round)) {
      out.unprotected += run.count;
      continue;
    }
    const double z_coordinator = multiplier(run.round, run.round.cohort_honest);
    const double z_readers = multiplier(run.round, run.round.total_honest);
    squared_coordinator += static_cast<double>(run.count) / (z_coordinator * z_coordinator);
    squared_readers += static_cast<double>(run.count) / (z_readers * z_readers);
    coordinator.push_back({z_coordinator, run.count, run.round.sampling});
    readers.push_back({z_readers, run.count, run.round.sampling});
  }
  out.noise_delta = noise_delta * static_cast<double>(out.rounds - out.unprotected);
  if (out.unprotected > 0) {
    out.coordinator = out.readers = {kInfinity, kInfinity};
  } else if (!coordinator.empty()) {
    CHORUS_TRY(out.coordinator.exact, gaussian_epsilon(std::sqrt(squared_coordinator), delta));
    CHORUS_TRY(out.readers.exact, gaussian_epsilon(std::sqrt(squared_readers), delta));
    // Sampling gives credit or none; where every round is certain, the exact ε is all there is.
    const bool certain = std::ranges::all_of(coordinator, [](const Mechanism& m) { return m.sampling == 1; });
    out.coordinator.sampled = out.coordinator.exact;
    out.readers.sampled = out.readers.exact;
    if (!certain) {
      CHORUS_TRY(const double credited_coordinator, sampled_epsilon(coordinator, delta));
      CHORUS_TRY(const double credited_readers, sampled_epsilon(readers, delta));
      out.coordinator.sampled = std::min(out.coordinator.exact, credited_coordinator);
      out.readers.sampled = std::min(out.readers.exact, credited_readers);
    }
  }
  if (runs_.empty()) return out;
  const PublishedRound& last = runs_.back().round;
  out.sampling = last.sampling;
  out.assumed_honest = last.cohort_honest;
  if (!has_noise(last)) return out;
  out.noise_multiplier = multiplier(last, last.cohort_honest);
  if (budget && out.unprotected == 0) {
    CHORUS_TRY(const Cost most, Cost::within(*budget));
    Cost spent;
    for (const Run& run : runs_) spent = spent + run.count * cost_of(run.round);
    out.rounds_left = rounds_between(spent, most, cost_of(last));
  }
  return out;
}

Bytes PrivacyReport::encode() const {
  ByteWriter out;
  out.f64(delta);
  out.f64(noise_delta);
  out.u64(rounds);
  out.u64(unprotected);
  out.f64(noise_multiplier);
  out.u32(assumed_honest);
  out.u64(survivors);
  out.f64(sampling);
  for (const Epsilon& epsilon : {coordinator, readers}) {
    out.f64(epsilon.exact);
    out.f64(epsilon.sampled);
  }
  out.u8(budget ? 1 : 0);
  out.f64(budget.value_or(0));
  out.u64(rounds_left);
  return std::move(out).take();
}

Result<PrivacyReport> PrivacyReport::decode(ByteView bytes) {
  ByteReader in(bytes);
  PrivacyReport out;
  out.delta = in.f64();
  out.noise_delta = in.f64();
  out.rounds = in.u64();
  out.unprotected = in.u64();
  out.noise_multiplier = in.f64();
  out.assumed_honest = in.u32();
  out.survivors = in.u64();
  out.sampling = in.f64();
  for (Epsilon* epsilon : {&out.coordinator, &out.readers}) {
    epsilon->exact = in.f64();
    epsilon->sampled = in.f64();
  }
  const std::uint8_t has_budget = in.u8();
  const double budget = in.f64();
  out.rounds_left = in.u64();
  const auto is_epsilon = [](const Epsilon& epsilon) { return epsilon.exact >= 0 && epsilon.sampled >= 0; };
  const bool sound =
      check_delta(out.delta).has_value() && out.noise_delta >= 0 && out.noise_delta < 1 &&
      out.unprotected <= out.rounds && out.noise_multiplier >= 0 && std::isfinite(out.noise_multiplier) &&
      out.sampling > 0 && out.sampling <= 1 && is_epsilon(out.coordinator) && is_epsilon(out.readers) &&
      has_budget <= 1 &&
      (has_budget == 1 ? budget > 0 && std::isfinite(budget) : std::bit_cast<std::uint64_t>(budget) == 0);
  if (!sound) in.reject("a number that a privacy report cannot have");
  CHORUS_TRY_DO(in.finish("privacy report"));
  if (has_budget == 1) out.budget = budget;
  return out;
}

std::string to_json(const PrivacyReport& report) {
  return fmt::format(
      "{{\"protected\":{},\"unit\":\"user\",\"adjacency\":\"add or remove one user\",\"delta\":{},\"noise_delta\":{},"
      "\"rounds\":{},\"rounds_without_noise\":{},\"noise_multiplier\":{},\"assumed_honest\":{},\"survivors\":{},"
      "\"sampling\":{},\"sampling_assumption\":\"{}\",\"epsilon_coordinator\":{},\"epsilon_readers\":{},"
      "\"budget_epsilon\":{},\"rounds_left\":{}}}",
      report.rounds == 0 || report.unprotected == 0, number(report.delta), number(report.noise_delta), report.rounds,
      report.unprotected, number(report.noise_multiplier), report.assumed_honest, report.survivors,
      number(report.sampling),
      report.sampling < 1 ? "each user is picked independently at this rate, and who was picked stays hidden"
                          : "none: every user may be in every round",
      epsilon_json(report.coordinator), epsilon_json(report.readers),
      report.budget ? number(*report.budget) : std::string("null"),
      report.budget ? fmt::format("{}", report.rounds_left) : std::string("null"));
}

std::string to_words(const PrivacyReport& report) {
  if (report.rounds == 0) return "No round has asked anything of anybody yet.\n";
  if (report.unprotected > 0) {
    return fmt::format(
        "NO DIFFERENCING PROTECTION: {} of {} rounds added no noise, epsilon is infinite.\n"
        "Secure sums alone hide an update; two sums that differ by one user give that user's update away.\n",
        report.unprotected, report.rounds);
  }
  std::string text = fmt::format(
      "What one user gave, all of it, added or removed, changes what can be seen by a factor of at most e^epsilon, but "
      "for a chance of {:.3g} (user-level, joint differential privacy).\n"
      "Against the coordinator, who sees each cohort's sum: epsilon {:.3g} after {} rounds.\n"
      "Against readers of the model, who see the total: epsilon {:.3g}.\n"
      "The last round's noise multiplier is {:.3g}, counted from {} honest contributors; {} updates are in it.\n",
      report.delta, report.coordinator.exact, report.rounds, report.readers.exact, report.noise_multiplier,
      report.assumed_honest, report.survivors);
  if (report.sampling < 1) {
    text += fmt::format(
        "If each user is picked at random with a chance of {:.3g}, and nobody knows who was: epsilon {:.3g} and "
        "{:.3g}.\n",
        report.sampling, report.coordinator.sampled, report.readers.sampled);
  }
  if (report.budget) {
    text += fmt::format("The budget is epsilon {:.3g} against the coordinator: {} more such rounds.\n", *report.budget,
                        report.rounds_left);
  }
  return text;
}

}  // namespace chorus::privacy
