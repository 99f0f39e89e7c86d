// The device's privacy ledger in the store, and the charge of a round; SQLiteCpp's exceptions stop in this file.
#include <fmt/format.h>

#include "client/store/sqlite_store.hpp"

namespace chorus::client {

std::vector<privacy::LedgerEntry> SqliteStore::read_charges(Use& rows) {
  std::vector<privacy::LedgerEntry> entries;
  while (rows->executeStep()) {
    entries.push_back({.sequence = unsigned_of(rows->getColumn(0)),
                       .round = RoundId(unsigned_of(rows->getColumn(1))),
                       .cost = privacy::Cost::from_units(unsigned_of(rows->getColumn(2))),
                       .honest = rows->getColumn(3).getUInt(),
                       .when = WallTime(std::chrono::seconds(rows->getColumn(4).getInt64())),
                       .chain = array_of<32>(rows->getColumn(5))});
  }
  return entries;
}

Result<std::vector<privacy::LedgerEntry>> SqliteStore::charges(std::size_t most) {
  return guarded("read the privacy ledger", [&]() -> Result<std::vector<privacy::LedgerEntry>> {
    Use rows = use(kLatestCharges);
    rows->bind(1, signed_of(most));
    return read_charges(rows);
  });
}

Result<std::optional<privacy::LedgerSeal>> SqliteStore::read_seal() {
  if (file_.empty()) return memory_seal_;
  CHORUS_TRY(const auto bytes, read_private_file(seal_file()));
  if (!bytes) return std::nullopt;
  CHORUS_TRY(const privacy::LedgerSeal seal, privacy::LedgerSeal::decode(*bytes));
  return seal;
}

Status SqliteStore::write_seal(const privacy::LedgerSeal& seal) {
  if (file_.empty()) {
    memory_seal_ = seal;
    return {};
  }
  return replace_private_file(seal_file(), seal.encode(), durable_);
}

Result<privacy::DeviceLedger> SqliteStore::ledger() {
  return guarded("read the privacy ledger", [&]() -> Result<privacy::DeviceLedger> {
    // The seal first: a charge by another process between the two makes the ledger longer, which it may be.
    CHORUS_TRY(auto seal, read_seal());
    Use rows = use(kLedger);
    const std::vector<privacy::LedgerEntry> entries = read_charges(rows);
    auto ledger = privacy::DeviceLedger::load(entries, seal);
    if (!ledger) return fail(ledger.error().at(file_.string()));
    return ledger;
  });
}

Status SqliteStore::afford(const RoundCharge& charge) {
  CHORUS_TRY(const privacy::DeviceLedger known, ledger());
  return known.afford(charge.cost, charge.limits, charge.now);
}

Result<privacy::LedgerSeal> SqliteStore::enter_charge(RoundId round, const RoundCharge& charge) {
  return guarded("charge the round", [&]() -> Result<privacy::LedgerSeal> {
    SQLite::Transaction change = transaction();
    {
      Use mark = use(kCharge);
      mark->bind(1, static_cast<int>(Ending::lost));
      mark->bind(2, signed_of(round.value()));
      mark->bind(3, static_cast<int>(Ending::withheld));
      if (mark->exec() != 1) {
        return fail(ErrorCode::duplicate, fmt::format("round {} was charged, or never reserved", round.value()));
      }
    }
    CHORUS_TRY(privacy::DeviceLedger known, ledger());
    CHORUS_TRY(const privacy::LedgerEntry entry,
               known.charge(round, charge.cost, charge.honest, charge.limits, charge.now));
    known.append(entry);
    if (entry.sequence == 1) {
      // A ledger that has entries and no seal is not believed: the first seal is there before the first entry.
      CHORUS_TRY_DO(write_seal({}));
    }
    {
      Use enter = use(kEnterCharge);
      enter->bind(1, signed_of(entry.sequence));
      enter->bind(2, signed_of(entry.round.value()));
      enter->bind(3, signed_of(entry.cost.units()));
      enter->bind(4, entry.honest);
      enter->bind(5, std::int64_t{entry.when.time_since_epoch().count()});
      enter.blob(6, entry.chain);
      enter->exec();
    }
    {
      Use count = use(kCountAttempt);
      count->bind(1, signed_of(round.value()));
      count->exec();
    }
    change.commit();
    return known.seal();
  });
}

Status SqliteStore::charge(RoundId round, const RoundCharge& charge) {
  CHORUS_TRY(const privacy::LedgerSeal seal, enter_charge(round, charge));
  // The ledger is durable, and may be longer than its seal: a crash here wastes what was charged.
  return write_seal(seal);
}

}  // namespace chorus::client
