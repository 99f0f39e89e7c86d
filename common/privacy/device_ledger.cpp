#include "common/privacy/device_ledger.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"

namespace chorus::privacy {
namespace {

constexpr std::string_view kEntryLabel = "CHORUS/1/ledger-entry";
constexpr std::string_view kSealLabel = "CHORUS/1/ledger-seal";

Digest chain_of(const Digest& before, const LedgerEntry& entry) {
  ByteWriter out;
  out.string(kEntryLabel);
  out.raw(before);
  out.u64(entry.sequence);
  out.u64(entry.round.value());
  out.u64(entry.cost.units());
  out.u32(entry.honest);
  out.i64(entry.when.time_since_epoch().count());
  return crypto::sha256(out.view());
}

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(ErrorCode::corrupt,
              fmt::format("the privacy ledger {}; this device takes part in no round, since it cannot tell what it "
                          "has already given",
                          what),
              "ledger");
}

}  // namespace

Bytes LedgerSeal::encode() const {
  ByteWriter out;
  out.string(kSealLabel);
  out.u64(sequence);
  out.raw(chain);
  out.raw(crypto::sha256(out.view()));  // a seal that was damaged is none
  return std::move(out).take();
}

Result<LedgerSeal> LedgerSeal::decode(ByteView bytes) {
  ByteReader in(bytes);
  if (in.string(kSealLabel.size()) != kSealLabel) in.reject("it does not begin with 'CHORUS/1/ledger-seal'");
  LedgerSeal seal;
  seal.sequence = in.u64();
  seal.chain = in.array<32>();
  const Digest digest = in.array<32>();
  if (!in.finish("ledger seal") || digest != crypto::sha256(bytes.first(bytes.size() - digest.size()))) {
    return corrupt("has a damaged seal");
  }
  return seal;
}

Result<DeviceLedger> DeviceLedger::load(std::span<const LedgerEntry> entries, const std::optional<LedgerSeal>& seal) {
  DeviceLedger ledger;
  bool sealed = !seal || seal->sequence == 0;
  for (const LedgerEntry& entry : entries) {
    if (entry.sequence != ledger.sequence_ + 1 || entry.chain != chain_of(ledger.chain_, entry)) {
      return corrupt(fmt::format("is damaged at its entry {}", ledger.sequence_ + 1));
    }
    ledger.append(entry);
    if (seal && seal->sequence == entry.sequence) {
      if (seal->chain != entry.chain) return corrupt("has other entries than were sealed");
      sealed = true;
    }
  }
  if (!sealed) {
    return corrupt(
        fmt::format("was rolled back: {} charges were sealed, and {} are left", seal->sequence, entries.size()));
  }
  if (!seal && !entries.empty()) return corrupt("has lost its seal");
  return ledger;
}

void DeviceLedger::append(const LedgerEntry& entry) {
  CHORUS_ENSURE(entry.sequence == sequence_ + 1, "entries follow each other");
  if (entry.cost.is_unbounded()) {
    ++unprotected_;
  } else {
    spent_ = spent_ + entry.cost;
  }
  sequence_ = entry.sequence;
  chain_ = entry.chain;
  latest_ = std::max(latest_.value_or(entry.when), entry.when);
}

Status DeviceLedger::afford(Cost cost, const LedgerLimits& limits, WallTime now) const {
  // The limits first: a budget that means nothing refuses also what costs nothing.
  CHORUS_TRY(const Cost most, Cost::within(limits.budget));
  if (latest_ && limits.least_interval > std::chrono::seconds::zero() && now < *latest_ + limits.least_interval) {
    return fail(ErrorCode::cost_above_policy,
                now < *latest_
                    ? fmt::format("the clock says a time {} s before this device last took part: it waits until the "
                                  "clock has caught up",
                                  (*latest_ - now).count())
                    : fmt::format("this device took part {} s ago, and at most every {} s", (now - *latest_).count(),
                                  limits.least_interval.count()));
  }
  if (cost.is_unbounded()) {
    if (limits.without_noise) return {};
    return fail(ErrorCode::parameter_below_floor, "the round adds no noise, and the user has not agreed to that");
  }
  if (unprotected_ > 0 && !limits.without_noise) {
    return fail(ErrorCode::budget_exhausted,
                fmt::format("this device took part in {} rounds without noise: no budget holds what it has given",
                            unprotected_));
  }
  CHORUS_TRY(const double alone, cost.epsilon(limits.budget.delta));
  if (alone > limits.most_round_epsilon) {
    return fail(ErrorCode::cost_above_policy,
                fmt::format("the round costs epsilon {:.3g}, more than {:.3g}", alone, limits.most_round_epsilon));
  }
  if (spent_ + cost > most) {
    CHORUS_TRY(const double so_far, spent_.epsilon(limits.budget.delta));
    return fail(ErrorCode::budget_exhausted,
                fmt::format("the budget of epsilon {:.3g} at delta {:.3g} has no room for another round: {:.3g} is "
                            "spent in {} rounds",
                            limits.budget.epsilon, limits.budget.delta, so_far, sequence_ - unprotected_));
  }
  return {};
}

Result<LedgerEntry> DeviceLedger::charge(RoundId round, Cost cost, std::uint32_t honest, const LedgerLimits& limits,
                                         WallTime now) const {
  CHORUS_TRY_DO(afford(cost, limits, now));
  LedgerEntry entry{.sequence = sequence_ + 1, .round = round, .cost = cost, .honest = honest, .when = now};
  entry.chain = chain_of(chain_, entry);
  return entry;
}

Result<double> DeviceLedger::epsilon(double delta) const {
  CHORUS_TRY(const double noisy, spent_.epsilon(delta));
  return unprotected_ > 0 ? std::numeric_limits<double>::infinity() : noisy;
}

Result<std::uint64_t> DeviceLedger::rounds_left(Cost each, const LedgerLimits& limits) const {
  CHORUS_TRY(const Cost most, Cost::within(limits.budget));
  if (unprotected_ > 0 || each == Cost()) return 0;
  return rounds_between(spent_, most, each);
}

}  // namespace chorus::privacy
