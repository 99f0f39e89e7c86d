// The SQL of the store and how one statement is used. For sqlite_store.cpp alone: these functions throw
// SQLite::Exception, which stops there.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include "common/base/bytes.hpp"

namespace chorus::client {

enum Sql : std::size_t {
  kHasRating,
  kPutRating,
  kRemoveRating,
  kRatings,
  kCountRatings,
  kFederation,
  kPin,
  kRaiseRound,
  kContact,
  kHeader,
  kContent,
  kPutDocument,
  kAttempts,
  kCountAttempt,
  kStartRound,
  kFinishRound,
  kCharge,
  kVote,
  kVoted,
  kHistory,
  kLedger,
  kLatestCharges,
  kEnterCharge,
  kStatements,
};

inline constexpr std::array<const char*, kStatements> kSql = {
    "SELECT 1 FROM ratings WHERE item = ?",
    "INSERT INTO ratings (item, value, rated_at, held_out) VALUES (?, ?, ?, ?) ON CONFLICT (item) DO UPDATE SET "
    "value = excluded.value, rated_at = excluded.rated_at, held_out = excluded.held_out",
    "DELETE FROM ratings WHERE item = ?",
    "SELECT item, value, rated_at, held_out FROM ratings ORDER BY item",
    "SELECT count(*), coalesce(sum(held_out), 0) FROM ratings",
    "SELECT coordinator_key, highest_round, contact_at, contact_outcome, contact_ready, contact_needed FROM federation",
    "UPDATE federation SET coordinator_key = ?",
    "UPDATE federation SET highest_round = ?",
    "UPDATE federation SET contact_at = ?, contact_outcome = ?, contact_ready = ?, contact_needed = ?",
    "SELECT document, signature FROM documents WHERE name = ?",
    "SELECT document, signature, items, content FROM documents WHERE name = ?",
    "INSERT OR REPLACE INTO documents (name, document, signature, items, content) VALUES (?, ?, ?, ?, ?)",
    "SELECT count FROM attempts WHERE model_id = ? AND purpose = ?",
    "INSERT INTO attempts (model_id, purpose, count) SELECT model_id, purpose, 1 FROM rounds WHERE round = ? "
    "ON CONFLICT (model_id, purpose) DO UPDATE SET count = count + 1",
    "INSERT INTO rounds (cohort, purpose, model_version, model_id, started_at, members, survivors, bytes_up, "
    "bytes_down, ending, reason, round) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "UPDATE rounds SET cohort = ?, purpose = ?, model_version = ?, model_id = ?, started_at = ?, members = ?, "
    "survivors = ?, bytes_up = ?, bytes_down = ?, ending = ?, reason = ? WHERE round = ?",
    "UPDATE rounds SET ending = ? WHERE round = ? AND ending = ?",
    "UPDATE rounds SET vote = ? WHERE round = ? AND vote IS NULL",
    "SELECT vote FROM rounds WHERE round = ?",
    "SELECT cohort, purpose, model_version, model_id, started_at, members, survivors, bytes_up, bytes_down, ending, "
    "reason, round FROM rounds ORDER BY round DESC LIMIT ?",
    "SELECT sequence, round, cost, honest, charged_at, chain FROM ledger ORDER BY sequence",
    "SELECT sequence, round, cost, honest, charged_at, chain FROM ledger ORDER BY sequence DESC LIMIT ?",
    "INSERT INTO ledger (sequence, round, cost, honest, charged_at, chain) VALUES (?, ?, ?, ?, ?, ?)",
};

// SQLite's integers are signed; ours on disk are counts far below 2^63, or bits that come back as they were.
inline std::int64_t signed_of(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}
inline std::uint64_t unsigned_of(const SQLite::Column& column) {
  return static_cast<std::uint64_t>(column.getInt64());
}

inline ByteView blob_of(const SQLite::Column& column) {
  return {static_cast<const std::uint8_t*>(column.getBlob()), static_cast<std::size_t>(column.getBytes())};
}

template <std::size_t N>
ByteArray<N> array_of(const SQLite::Column& column) {
  const ByteView bytes = blob_of(column);
  ByteArray<N> out{};
  // SQLite checks pages, not values: a blob of another length is a damaged file.
  if (bytes.size() != N) throw SQLite::Exception("a stored value has the wrong length", SQLITE_CORRUPT);
  std::memcpy(out.data(), bytes.data(), N);
  return out;
}

// A prepared statement in use: reset, and its bindings dropped, when the use ends.
class Use {
 public:
  explicit Use(SQLite::Statement& statement) : statement_(statement) {}
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ~Use() {
    statement_.tryReset();
    statement_.clearBindings();
  }
  SQLite::Statement* operator->() { return &statement_; }
  void blob(int index, ByteView bytes) {
    statement_.bindNoCopy(index, bytes.empty() ? static_cast<const void*>("") : bytes.data(),
                          static_cast<int>(bytes.size()));
  }

 private:
  SQLite::Statement& statement_;
};

}  // namespace chorus::client
