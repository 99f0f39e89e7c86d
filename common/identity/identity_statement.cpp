#include "common/identity/identity_statement.hpp"

#include <chrono>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "common/base/check.hpp"

namespace chorus::identity {

namespace {

constexpr std::string_view kLabel = "CHORUS/1/identity";
constexpr ByteArray<6> kMagic = {'C', 'H', 'O', 'R', 'I', 'D'};
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kSignedSize = 104;
constexpr std::size_t kSize = kSignedSize + 64;

// What X.509 can write too, and what a person can read.
constexpr WallTime kFirstDate{};
constexpr WallTime kLastDate = std::chrono::sys_days(std::chrono::year(9999) / 12 / 31);

std::int64_t seconds(WallTime time) {
  return time.time_since_epoch().count();
}
WallTime wall_time(std::int64_t seconds_since_1970) {
  return WallTime(std::chrono::seconds(seconds_since_1970));
}

void write_signed_part(ByteWriter& writer, const IdentityStatement& statement) {
  writer.raw(kMagic);
  writer.u8(kVersion);
  writer.u8(0);
  writer.raw(statement.id.bytes);
  writer.raw(statement.key);
  writer.raw(statement.authority_key);
  writer.i64(seconds(statement.enrolled_at));
  writer.i64(seconds(statement.expires_at));
  CHORUS_ENSURE(writer.view().size() == kSignedSize, "the signed part of a statement has its documented size");
}

Bytes signed_part(const IdentityStatement& statement) {
  ByteWriter writer;
  writer.reserve(kSize);
  write_signed_part(writer, statement);
  return std::move(writer).take();
}

}  // namespace

Bytes encode(const IdentityStatement& statement) {
  ByteWriter writer;
  writer.reserve(kSize);
  write_signed_part(writer, statement);
  writer.raw(statement.signature);
  return std::move(writer).take();
}

Result<IdentityStatement> decode_identity_statement(ByteView bytes) {
  ByteReader reader(bytes);
  if (reader.array<6>() != kMagic) reader.reject("expected an identity statement, which begins with CHORID");
  const std::uint8_t version = reader.u8();
  if (!reader.failed() && version != kVersion) {
    return fail(ErrorCode::unsupported_version,
                fmt::format("version {} of the identity statement; this build reads version {}", version, kVersion),
                "identity statement");
  }
  if (reader.u8() != 0) reader.reject("expected a zero byte after the version");
  IdentityStatement statement;
  statement.id.bytes = reader.array<16>();
  statement.key = reader.array<32>();
  statement.authority_key = reader.array<32>();
  statement.enrolled_at = wall_time(reader.i64());
  statement.expires_at = wall_time(reader.i64());
  if (statement.enrolled_at < kFirstDate || statement.expires_at > kLastDate ||
      statement.expires_at <= statement.enrolled_at) {
    reader.reject("expected an enrolment date before the expiry date, both in the years 1970 to 9999");
  }
  statement.signature = reader.array<64>();
  CHORUS_TRY_DO(reader.finish("identity statement"));
  return statement;
}

IdentityStatement sign(IdentityStatement statement, const crypto::SigningKey& authority) {
  statement.authority_key = authority.public_key();
  statement.signature = authority.sign(kLabel, signed_part(statement));
  return statement;
}

Status check(const IdentityStatement& statement, const crypto::PublicKey& authority, WallTime now) {
  const std::string place = "device " + to_string(statement.id);
  if (statement.authority_key != authority) {
    return fail(ErrorCode::bad_identity, "the identity statement is another authority's", place);
  }
  if (!crypto::verify(authority, kLabel, signed_part(statement), statement.signature)) {
    return fail(ErrorCode::bad_identity, "the authority's signature on the identity statement does not hold", place);
  }
  // The signature holds, so the dates are the authority's and can be printed.
  if (now < statement.enrolled_at) {
    return fail(ErrorCode::not_yet_valid,
                fmt::format("the identity statement begins on {:%FT%TZ}; is the clock right?", statement.enrolled_at),
                place);
  }
  if (now >= statement.expires_at) {
    return fail(ErrorCode::expired, fmt::format("the identity statement expired on {:%FT%TZ}", statement.expires_at),
                place);
  }
  return {};
}

}  // namespace chorus::identity
