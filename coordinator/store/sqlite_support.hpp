// What the parts of the SQLite store share. SQLite's exceptions stop in coordinator/store.
#pragma once

#include <filesystem>
#include <string_view>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/crypto/hash.hpp"

namespace chorus::coordinator::sqlite {

[[nodiscard]] Error to_error(const SQLite::Exception& exception, const std::filesystem::path& folder);

// Not a copy: the bytes outlive the statement's execution. An empty blob is not NULL.
void bind_blob(SQLite::Statement& statement, int index, ByteView bytes);
[[nodiscard]] Bytes blob(const SQLite::Column& column);

inline void bind_time(SQLite::Statement& statement, int index, WallTime time) {
  statement.bind(index, std::int64_t{time.time_since_epoch().count()});
}
[[nodiscard]] inline WallTime time_of(const SQLite::Column& column) {
  return WallTime(std::chrono::seconds(column.getInt64()));
}
[[nodiscard]] inline std::uint64_t whole(const SQLite::Column& column) {
  return static_cast<std::uint64_t>(column.getInt64());
}

// Damage that a checksum shows.
[[nodiscard]] std::unexpected<Error> corrupt(std::string_view what, const std::filesystem::path& folder);
// A blob that has the digest stored beside it. Errors: corrupt.
[[nodiscard]] Result<Bytes> checked(const SQLite::Column& bytes, const SQLite::Column& digest, std::string_view what,
                                    const std::filesystem::path& folder);

// Of how far a job is: what its row keeps beside its numbers, so that no damage to them is taken for data.
[[nodiscard]] Digest progress_digest(std::uint64_t last_round, bool surveyed, bool measured, ByteView ledger);

template <typename T, typename Work>
[[nodiscard]] Result<T> guarded(const std::filesystem::path& folder, Work work) {
  try {
    return work();
  } catch (const SQLite::Exception& exception) {
    return fail(to_error(exception, folder));
  }
}

}  // namespace chorus::coordinator::sqlite
