#include "coordinator/store/sqlite_support.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <sqlite3.h>

namespace chorus::coordinator::sqlite {

namespace {

constexpr std::size_t kMaxBlob = 1'000'000'000;  // SQLITE_MAX_LENGTH as it is built

}  // namespace

Error to_error(const SQLite::Exception& exception, const std::filesystem::path& folder) {
  const int extended = exception.getExtendedErrorCode();
  const std::string place = folder.string();
  if (extended == SQLITE_IOERR_SHMSIZE) return Error(ErrorCode::disk_full, "the disk is full", place);
  switch (exception.getErrorCode() & 0xff) {
    case SQLITE_FULL:
      return Error(ErrorCode::disk_full, "the disk is full", place);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error(ErrorCode::corrupt,
                   "coordinator.db is damaged; put a backup in its place, or start again with an empty state folder",
                   place);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return Error(ErrorCode::unwritable, fmt::format("coordinator.db cannot be written: {}", exception.what()), place);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Error(ErrorCode::already_exists, "coordinator.db is in use by another process", place);
    case SQLITE_TOOBIG:
      return Error(ErrorCode::too_large, "the model is larger than one row of coordinator.db can be", place);
    default:
      return Error(ErrorCode::io, fmt::format("coordinator.db: {}", exception.what()), place);
  }
}

void bind_blob(SQLite::Statement& statement, int index, ByteView bytes) {
  // SQLite's own bound, asked before the size becomes an int.
  if (bytes.size() > kMaxBlob) throw SQLite::Exception("a blob is too large", SQLITE_TOOBIG);
  static constexpr std::uint8_t kNothing = 0;
  statement.bindNoCopy(index, bytes.empty() ? &kNothing : bytes.data(), static_cast<int>(bytes.size()));
}

Bytes blob(const SQLite::Column& column) {
  const auto* data = static_cast<const std::uint8_t*>(column.getBlob());
  return data == nullptr ? Bytes() : Bytes(data, data + column.getBytes());
}

std::unexpected<Error> corrupt(std::string_view what, const std::filesystem::path& folder) {
  return fail(ErrorCode::corrupt,
              fmt::format("the {} in coordinator.db fails its checksum; put a backup in its place, or start again "
                          "with an empty state folder",
                          what),
              folder.string());
}

Result<Bytes> checked(const SQLite::Column& bytes, const SQLite::Column& digest, std::string_view what,
                      const std::filesystem::path& folder) {
  Bytes value = blob(bytes);
  const Digest actual = crypto::sha256(value);
  const Bytes stored = blob(digest);
  if (!std::equal(actual.begin(), actual.end(), stored.begin(), stored.end())) return corrupt(what, folder);
  return value;
}

Digest progress_digest(std::uint64_t last_round, bool surveyed, bool measured, ByteView ledger) {
  Bytes all;
  for (int shift = 56; shift >= 0; shift -= 8) all.push_back(static_cast<std::uint8_t>(last_round >> shift));
  all.push_back(surveyed ? 1 : 0);
  all.push_back(measured ? 1 : 0);
  all.insert(all.end(), ledger.begin(), ledger.end());
  return crypto::sha256(all);
}

}  // namespace chorus::coordinator::sqlite
