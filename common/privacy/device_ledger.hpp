// The device's own ledger: what its updates have cost so far, whatever became of them, and whether another round may be
// afforded (design: privacy, section 3). It takes participation for certain, since a coordinator that lies can always
// pick this device, and adds μ². A pure state machine: the storage is behind an interface, time is a parameter.
//
// A charge is durable before the update's first byte leaves, so that a crash may waste budget and never overspends it.
// Entries form a chain of hashes, whose head and length are sealed outside the storage that holds the entries: a ledger
// that was damaged, or rolled back by itself, is told from a true one. A device that is rolled back as a whole, seal
// included, is not: keep the ledger out of backups.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/id.hpp"
#include "common/base/time.hpp"
#include "common/privacy/cost.hpp"

namespace chorus::privacy {

// What the user agrees to give away in all, and at a time.
struct LedgerLimits {
  Budget budget{.epsilon = 8, .delta = 1e-5};
  // ε of a single round, at the budget's δ. Lower it to spread the budget over more rounds.
  double most_round_epsilon = 8;
  // Between two charges. Raise it to slow down whoever would ask every day.
  std::chrono::seconds least_interval{0};
  // Rounds without noise, agreed to by name: they have no ε, and no budget holds them.
  bool without_noise = false;
};

// One charge.
struct LedgerEntry {
  std::uint64_t sequence = 0;  // from 1
  RoundId round;               // that it paid for; another job's rounds may have the same number
  Cost cost;
  std::uint32_t honest = 0;  // N: how many others hid it, itself included
  WallTime when{};
  Digest chain{};  // H(label ‖ the chain before ‖ the fields above)
  friend bool operator==(const LedgerEntry&, const LedgerEntry&) = default;
};

// Head and length of a chain: what is sealed.
struct LedgerSeal {
  std::uint64_t sequence = 0;
  Digest chain{};
  [[nodiscard]] Bytes encode() const;
  [[nodiscard]] static Result<LedgerSeal> decode(ByteView bytes);
  friend bool operator==(const LedgerSeal&, const LedgerSeal&) = default;
};

// Immutable but for charge(); not thread-safe.
class DeviceLedger {
 public:
  DeviceLedger() = default;
  // Checks the entries, all of them in their order, against each other and against what was sealed last; none: nothing
  // ever was. The ledger may be longer than the seal (a crash before sealing), never shorter. Errors: corrupt.
  [[nodiscard]] static Result<DeviceLedger> load(std::span<const LedgerEntry> entries,
                                                 const std::optional<LedgerSeal>& seal);

  // Whether charge() would be granted. Errors: budget_exhausted; cost_above_policy (the round alone costs more than the
  // user agreed to, or comes too soon after the last one, also by a clock that went back); parameter_below_floor (no
  // noise, without consent); invalid_argument (limits).
  [[nodiscard]] Status afford(Cost cost, const LedgerLimits& limits, WallTime now) const;
  // The entry to make durable before anything is sent. The ledger itself is changed by append(). Errors: as afford().
  [[nodiscard]] Result<LedgerEntry> charge(RoundId round, Cost cost, std::uint32_t honest, const LedgerLimits& limits,
                                           WallTime now) const;
  // REQUIRES: an entry that charge() of this very ledger gave.
  void append(const LedgerEntry& entry);

  // Of all rounds with noise.
  [[nodiscard]] Cost spent() const noexcept { return spent_; }
  // Charges without noise: with one of them, ε is infinite.
  [[nodiscard]] std::uint64_t unprotected() const noexcept { return unprotected_; }
  [[nodiscard]] LedgerSeal seal() const noexcept { return {sequence_, chain_}; }
  [[nodiscard]] std::optional<WallTime> latest() const noexcept { return latest_; }
  // ε of everything so far; infinite after a charge without noise. Errors: invalid_argument (δ).
  [[nodiscard]] Result<double> epsilon(double delta) const;
  // How many more rounds of this cost the budget has. Errors: invalid_argument.
  [[nodiscard]] Result<std::uint64_t> rounds_left(Cost each, const LedgerLimits& limits) const;

 private:
  Cost spent_;
  std::uint64_t unprotected_ = 0;
  std::uint64_t sequence_ = 0;
  Digest chain_{};
  std::optional<WallTime> latest_;
};

}  // namespace chorus::privacy
