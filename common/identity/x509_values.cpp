#include "common/identity/x509_values.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

#include <fmt/format.h>
#include <openssl/pem.h>

#include "common/base/check.hpp"

namespace chorus::identity::x509 {

namespace {

struct OpensslMemory {
  void operator()(void* memory) const noexcept { OPENSSL_free(memory); }
};

bool is_blank(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; });
}

}  // namespace

Asn1Time to_asn1(WallTime time) {
  // ASN1_TIME_set takes years beyond 9999 modulo something; RFC 5280 section 4.1.2.5 has four digits.
  constexpr WallTime kFirst = std::chrono::sys_days(std::chrono::year(1) / 1 / 1);
  constexpr WallTime kEnd = std::chrono::sys_days(std::chrono::year(10000) / 1 / 1);
  if (time < kFirst || time >= kEnd) return nullptr;
  return Asn1Time(ASN1_TIME_set(nullptr, static_cast<std::time_t>(time.time_since_epoch().count())));
}

Asn1Integer to_asn1(const Serial& serial_number) {
  const crypto::BignumHandle number(BN_bin2bn(serial_number.data(), static_cast<int>(serial_number.size()), nullptr));
  CHORUS_ENSURE(number != nullptr, "a serial number is a number");
  Asn1Integer integer(BN_to_ASN1_INTEGER(number.get(), nullptr));
  CHORUS_ENSURE(integer != nullptr, "a number is an ASN.1 integer");
  return integer;
}

Result<WallTime> wall_time(const ASN1_TIME* time) {
  std::tm fields{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &fields) != 1) {
    return fail(ErrorCode::bad_certificate, "a date that does not parse");
  }
  const std::chrono::year_month_day date{std::chrono::year(fields.tm_year + 1900),
                                         std::chrono::month(static_cast<unsigned>(fields.tm_mon + 1)),
                                         std::chrono::day(static_cast<unsigned>(fields.tm_mday))};
  if (!date.ok()) return fail(ErrorCode::bad_certificate, "a date that is in no calendar");
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(fields.tm_hour) +
         std::chrono::minutes(fields.tm_min) + std::chrono::seconds(fields.tm_sec);
}

Result<Serial> serial(const ASN1_INTEGER* integer) {
  Serial bytes{};
  const crypto::BignumHandle number(integer == nullptr ? nullptr : ASN1_INTEGER_to_BN(integer, nullptr));
  if (number == nullptr || BN_is_negative(number.get()) != 0 || BN_is_zero(number.get()) != 0 ||
      BN_bn2binpad(number.get(), bytes.data(), static_cast<int>(bytes.size())) < 0) {
    return fail(ErrorCode::bad_certificate, "expected a positive serial number of at most 128 bits");
  }
  return bytes;
}

crypto::KeyHandle private_key(const crypto::SigningKey& key) {
  const auto seed = key.seed().expose();
  crypto::KeyHandle handle(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  CHORUS_ENSURE(handle != nullptr, "32 bytes are an Ed25519 seed");
  return handle;
}

crypto::KeyHandle public_key(const crypto::PublicKey& key) {
  crypto::KeyHandle handle(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  CHORUS_ENSURE(handle != nullptr, "32 bytes are taken for an Ed25519 key");
  return handle;
}

ByteView contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(std::max(size, 0L))};
}

crypto::BioHandle reading(ByteView bytes) {
  CHORUS_ENSURE(bytes.size() <= INT32_MAX, "the caller bounded what it reads");
  crypto::BioHandle bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  CHORUS_ENSURE(bio != nullptr, "a memory BIO is allocated");
  return bio;
}

Result<Bytes> der_from_pem(std::string_view pem, const char* name, std::size_t most) {
  if (pem.size() > most) {
    return fail(ErrorCode::too_large, fmt::format("{} bytes of PEM; the limit is {}", pem.size(), most), name);
  }
  const crypto::ErrorMark mark;
  const crypto::BioHandle bio = reading(as_bytes(pem));
  char* found_name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  const bool read = PEM_read_bio(bio.get(), &found_name, &header, &data, &size) == 1;
  const std::unique_ptr<char, OpensslMemory> name_owner(found_name);
  const std::unique_ptr<char, OpensslMemory> header_owner(header);
  const std::unique_ptr<unsigned char, OpensslMemory> data_owner(data);
  if (!read || std::string_view(found_name) != name) {
    return fail(ErrorCode::malformed, fmt::format("expected one PEM block that begins -----BEGIN {}-----", name), name);
  }
  if (!is_blank(contents(bio.get()))) {
    return fail(ErrorCode::malformed, "expected one PEM block and nothing after it", name);
  }
  return Bytes(data, data + size);
}

std::string pem_from_der(ByteView der, const char* name) {
  const crypto::BioHandle bio(BIO_new(BIO_s_mem()));
  CHORUS_ENSURE(bio != nullptr && PEM_write_bio(bio.get(), name, "", der.data(), static_cast<long>(der.size())) > 0,
                "PEM is written to memory");
  const ByteView text = contents(bio.get());
  return {text.begin(), text.end()};
}

}  // namespace chorus::identity::x509
