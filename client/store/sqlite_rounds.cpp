// What the store promises about rounds; SQLiteCpp's exceptions stop in this file.
#include <fmt/format.h>

#include "client/store/sqlite_store.hpp"

namespace chorus::client {

Result<RoundId> SqliteStore::highest_round() {
  return guarded("read the highest round", [&]() -> Result<RoundId> {
    Use row = use(kFederation);
    if (!row->executeStep()) return RoundId(0);
    return RoundId(unsigned_of(row->getColumn(1)));
  });
}

Result<std::uint32_t> SqliteStore::attempts(const Digest& model_id, plan::Purpose purpose) {
  return guarded("read the attempts", [&]() -> Result<std::uint32_t> {
    Use row = use(kAttempts);
    row.blob(1, model_id);
    row->bind(2, static_cast<int>(purpose));
    return row->executeStep() ? row->getColumn(0).getUInt() : 0U;
  });
}

void SqliteStore::write_round(Sql which, const Participation& line) {
  Use put = use(which);
  put->bind(1, line.cohort.value());
  put->bind(2, static_cast<int>(line.purpose));
  put->bind(3, signed_of(line.model_version.value()));
  put.blob(4, line.model_id);
  put->bind(5, std::int64_t{line.when.time_since_epoch().count()});
  put->bind(6, line.members);
  put->bind(7, line.survivors);
  put->bind(8, signed_of(line.bytes_up));
  put->bind(9, signed_of(line.bytes_down));
  put->bind(10, static_cast<int>(line.ending));
  put->bind(11, line.reason);
  put->bind(12, signed_of(line.round.value()));
  put->exec();
}

Status SqliteStore::reserve(const Participation& started) {
  return guarded("reserve the round", [&]() -> Status {
    SQLite::Transaction change = transaction();
    CHORUS_TRY(const RoundId highest, highest_round());
    if (started.round <= highest || started.round.value() > std::uint64_t{1} << 62) {
      return fail(ErrorCode::stale_round, fmt::format("round {} is not above round {}, which this device took part in",
                                                      started.round.value(), highest.value()));
    }
    {
      Use raise = use(kRaiseRound);
      raise->bind(1, signed_of(started.round.value()));
      raise->exec();
    }
    Participation withheld = started;
    withheld.ending = Ending::withheld;
    write_round(kStartRound, withheld);
    change.commit();
    return {};
  });
}

Status SqliteStore::vote(RoundId round, const Digest& survivors) {
  return guarded("write a vote", [&]() -> Status {
    SQLite::Transaction change = transaction();
    {
      Use voted = use(kVoted);
      voted->bind(1, signed_of(round.value()));
      if (!voted->executeStep()) {
        return fail(ErrorCode::not_found, fmt::format("round {} was never reserved", round.value()));
      }
      if (!voted->getColumn(0).isNull()) {
        if (array_of<32>(voted->getColumn(0)) == survivors) return {};
        return fail(ErrorCode::already_signed,
                    fmt::format("this device voted for other survivors of round {}", round.value()));
      }
    }
    Use vote = use(kVote);
    vote.blob(1, survivors);
    vote->bind(2, signed_of(round.value()));
    vote->exec();
    change.commit();
    return {};
  });
}

Status SqliteStore::finish(const Participation& ended) {
  return guarded("write a round's outcome", [&]() -> Status {
    write_round(kFinishRound, ended);
    if (database_.getChanges() == 1) return {};
    return fail(ErrorCode::not_found, fmt::format("round {} was never reserved", ended.round.value()));
  });
}

Result<std::vector<Participation>> SqliteStore::history(std::size_t most) {
  return guarded("read the history", [&]() -> Result<std::vector<Participation>> {
    std::vector<Participation> out;
    Use rows = use(kHistory);
    rows->bind(1, signed_of(most));
    while (rows->executeStep()) {
      out.push_back({.round = RoundId(unsigned_of(rows->getColumn(11))),
                     .cohort = CohortId(rows->getColumn(0).getUInt()),
                     .purpose = static_cast<plan::Purpose>(rows->getColumn(1).getInt()),
                     .model_version = ModelVersion(unsigned_of(rows->getColumn(2))),
                     .model_id = array_of<32>(rows->getColumn(3)),
                     .when = WallTime(std::chrono::seconds(rows->getColumn(4).getInt64())),
                     .members = rows->getColumn(5).getUInt(),
                     .survivors = rows->getColumn(6).getUInt(),
                     .bytes_up = unsigned_of(rows->getColumn(7)),
                     .bytes_down = unsigned_of(rows->getColumn(8)),
                     .ending = static_cast<Ending>(rows->getColumn(9).getInt()),
                     .reason = rows->getColumn(10).getString()});
    }
    return out;
  });
}

}  // namespace chorus::client
