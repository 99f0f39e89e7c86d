// The published ledger: what a job has cost each of its users, as the coordinator accounts for it, and the report that
// every model version carries (design: privacy, sections 1 and 3). Pure: the daemon stores the bytes and charges before
// a round's first message leaves.
//
// It says two things that the device's own ledger does not: ε against readers of the model, who see the round's total
// with every cohort's noise in it, and ε with the credit for sampling, under its assumption.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/id.hpp"
#include "common/privacy/cost.hpp"

namespace chorus::privacy {

// What one round does to a user that takes part.
struct PublishedRound {
  RoundId round;
  std::uint64_t squared_sensitivity = 0;  // Δ², in ring units
  double local_noise = 0;                 // σ_loc; 0: none
  // N of the cohort with the fewest honest contributors that the round may have: the coordinator sees each sum.
  std::uint32_t cohort_honest = 0;
  // N of all cohorts together: readers of the model see their total.
  std::uint64_t total_honest = 0;
  // The chance with which a user is picked. 1 where nobody can say that the choice was random.
  double sampling = 1;
  friend bool operator==(const PublishedRound&, const PublishedRound&) = default;
};

// ε, exactly under certain participation, and with the credit for sampling.
struct Epsilon {
  double exact = 0;
  double sampled = 0;
  friend bool operator==(const Epsilon&, const Epsilon&) = default;
};

struct PrivacyReport {
  // Canonical, of one size. Errors of decode: malformed (also: a number that cannot be one).
  [[nodiscard]] Bytes encode() const;
  [[nodiscard]] static Result<PrivacyReport> decode(ByteView bytes);
  static constexpr std::size_t kSize = 13 * 8 + 4 + 1;
  friend bool operator==(const PrivacyReport&, const PrivacyReport&) = default;

  double delta = 0;
  double noise_delta = 0;             // beyond δ: the samplers' distance from their law, of all rounds
  std::uint64_t rounds = 0;           // charged, completed or not
  std::uint64_t unprotected = 0;      // of them without noise
  double noise_multiplier = 0;        // z of the last round's smallest cohort
  std::uint32_t assumed_honest = 0;   // N that it is computed from
  std::uint64_t survivors = 0;        // whose updates are in the version
  double sampling = 1;                // of the last round
  Epsilon coordinator = {};           // epsilon_coordinator
  Epsilon readers = {};               // epsilon_readers
  std::optional<double> budget = {};  // ε against the coordinator, if the job has one
  std::uint64_t rounds_left = 0;      // like the last one, within that budget
};

// Not thread-safe.
class PublishedLedger {
 public:
  PublishedLedger() = default;
  [[nodiscard]] static Result<PublishedLedger> decode(ByteView bytes);
  [[nodiscard]] Bytes encode() const;

  // Whether the round fits the budget against the coordinator, by the exact accountant. Errors: budget_exhausted,
  // invalid_argument (also: noise below the floor, a sampling rate outside (0, 1]).
  [[nodiscard]] Status afford(const PublishedRound& round, const std::optional<Budget>& budget) const;
  // Before the round's first message leaves. The same round again, unchanged, is charged once (a restart). Errors: as
  // afford(); duplicate (the number is known with other values, or is below one that is).
  [[nodiscard]] Status charge(const PublishedRound& round, const std::optional<Budget>& budget);
  // What the last round that was charged really was, once its rosters are known: it was charged at its worst. Errors:
  // invalid_argument (it is not that round, or costs more than it was charged).
  [[nodiscard]] Status settle(const PublishedRound& round);

  // `noise_delta`: what PrivateEncoding::noise_delta() says of a round. Errors: invalid_argument (δ).
  [[nodiscard]] Result<PrivacyReport> report(double delta, const std::optional<Budget>& budget, std::uint64_t survivors,
                                             double noise_delta) const;
  [[nodiscard]] std::uint64_t rounds() const noexcept;
  friend bool operator==(const PublishedLedger&, const PublishedLedger&) = default;

 private:
  // Consecutive rounds that are alike.
  struct Run {
    PublishedRound round;  // the last of them
    std::uint64_t count = 0;
    friend bool operator==(const Run&, const Run&) = default;
  };
  std::vector<Run> runs_;
};

// One JSON object, keys as in the struct; an infinite ε is null beside "protected": false.
[[nodiscard]] std::string to_json(const PrivacyReport& report);
// The same for a person, a sentence a line.
[[nodiscard]] std::string to_words(const PrivacyReport& report);

}  // namespace chorus::privacy
