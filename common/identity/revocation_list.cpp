#include "common/identity/revocation_list.hpp"

#include <algorithm>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/identity/x509_values.hpp"

namespace chorus::identity {

namespace {

constexpr char kPemName[] = "X509 CRL";
constexpr std::size_t kMostBytes = 16 * 1024 * 1024;
constexpr long kCrlVersion2 = 1;
constexpr char kDeviceExtension[] = "2.25.325569893177334470072696287174342376693";

using ObjectHandle = crypto::OpensslHandle<ASN1_OBJECT, &ASN1_OBJECT_free>;
using ExtensionHandle = crypto::OpensslHandle<X509_EXTENSION, &X509_EXTENSION_free>;
using RevokedHandle = crypto::OpensslHandle<X509_REVOKED, &X509_REVOKED_free>;

std::unexpected<Error> bad(std::string sentence) {
  return fail(ErrorCode::bad_certificate, std::move(sentence), "revocation list");
}

// Made once: the identifier has a 128-bit arc, and parsing it is no cheap thing to do for every entry.
const ASN1_OBJECT* device_extension() {
  static const ObjectHandle object(OBJ_txt2obj(kDeviceExtension, 1));
  CHORUS_ENSURE(object != nullptr, "the extension's identifier parses");
  return object.get();
}

// An extension's value is DER: an OCTET STRING (tag 4) of 48 bytes.
constexpr ByteArray<2> kDeviceHeader = {0x04, 48};

Bytes encode_device(const RevokedDevice& device) {
  ByteWriter writer;
  writer.raw(kDeviceHeader);
  writer.raw(device.id.bytes);
  writer.raw(device.key);
  return std::move(writer).take();
}

Result<RevokedDevice> decode_device(ByteView bytes) {
  ByteReader reader(bytes);
  if (reader.array<2>() != kDeviceHeader) reader.reject("expected an octet string of 48 bytes");
  RevokedDevice device;
  device.id.bytes = reader.array<16>();
  device.key = reader.array<32>();
  CHORUS_TRY_DO(reader.finish("a revoked device"));
  return device;
}

Result<RevokedCertificate> read_entry(const X509_REVOKED* revoked) {
  RevokedCertificate entry;
  CHORUS_TRY(entry.serial, x509::serial(X509_REVOKED_get0_serialNumber(revoked)));
  CHORUS_TRY(entry.revoked_at, x509::wall_time(X509_REVOKED_get0_revocationDate(revoked)));
  const int index = X509_REVOKED_get_ext_by_OBJ(revoked, device_extension(), -1);
  if (index >= 0) {
    const ASN1_OCTET_STRING* const value = X509_EXTENSION_get_data(X509_REVOKED_get_ext(revoked, index));
    auto device = decode_device({ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value))});
    if (!device) return bad(device.error().to_string());
    entry.device = *device;
  }
  return entry;
}

Result<std::uint64_t> read_number(const X509_CRL* list) {
  const x509::Asn1Integer number(
      static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(list, NID_crl_number, nullptr, nullptr)));
  std::uint64_t value = 0;
  if (number == nullptr || ASN1_INTEGER_get_uint64(&value, number.get()) != 1) {
    return bad("expected a list number of at most 64 bits");
  }
  return value;
}

void add_entry(X509_CRL* list, const RevokedCertificate& entry, const ASN1_TIME* revoked_at) {
  RevokedHandle revoked(X509_REVOKED_new());
  const x509::Asn1Integer serial = x509::to_asn1(entry.serial);
  CHORUS_ENSURE(revoked != nullptr && X509_REVOKED_set_serialNumber(revoked.get(), serial.get()) == 1 &&
                    X509_REVOKED_set_revocationDate(revoked.get(), const_cast<ASN1_TIME*>(revoked_at)) == 1,
                "an entry takes its fields");
  if (entry.device) {
    const Bytes encoded = encode_device(*entry.device);
    const x509::Asn1OctetString value(ASN1_OCTET_STRING_new());
    CHORUS_ENSURE(
        value != nullptr && ASN1_OCTET_STRING_set(value.get(), encoded.data(), static_cast<int>(encoded.size())) == 1,
        "an octet string is allocated");
    const ExtensionHandle extension(X509_EXTENSION_create_by_OBJ(nullptr, device_extension(), /*crit=*/0, value.get()));
    CHORUS_ENSURE(extension != nullptr && X509_REVOKED_add_ext(revoked.get(), extension.get(), -1) == 1,
                  "an entry takes its device");
  }
  CHORUS_ENSURE(X509_CRL_add0_revoked(list, revoked.release()) == 1, "a list takes an entry");
}

void add_number(X509_CRL* list, std::uint64_t number) {
  const x509::Asn1Integer value(ASN1_INTEGER_new());
  CHORUS_ENSURE(value != nullptr && ASN1_INTEGER_set_uint64(value.get(), number) == 1 &&
                    X509_CRL_add1_ext_i2d(list, NID_crl_number, value.get(), 0, X509V3_ADD_DEFAULT) == 1,
                "a list takes its number");
}

// The authority's own key identifier, so that two authorities' lists are told apart.
void add_authority_key_id(X509_CRL* list, X509* authority) {
  const crypto::OpensslHandle<AUTHORITY_KEYID, &AUTHORITY_KEYID_free> id(AUTHORITY_KEYID_new());
  const ASN1_OCTET_STRING* const own = X509_get0_subject_key_id(authority);
  CHORUS_ENSURE(id != nullptr && own != nullptr, "an authority has a key identifier");
  id->keyid = ASN1_OCTET_STRING_dup(own);
  CHORUS_ENSURE(id->keyid != nullptr &&
                    X509_CRL_add1_ext_i2d(list, NID_authority_key_identifier, id.get(), 0, X509V3_ADD_DEFAULT) == 1,
                "a list takes its authority's key identifier");
}

}  // namespace

Result<RevocationList> RevocationList::from_pem(std::string_view pem) {
  CHORUS_TRY(const Bytes der, x509::der_from_pem(pem, kPemName, kMostBytes));
  return from_der(der);
}

Result<RevocationList> RevocationList::from_der(ByteView der) {
  if (der.size() > kMostBytes) {
    return fail(ErrorCode::too_large, fmt::format("{} bytes; the limit is {}", der.size(), kMostBytes),
                "revocation list");
  }
  const crypto::ErrorMark mark;
  const auto crl = x509::parse_der<crypto::CrlHandle>(der, &d2i_X509_CRL);
  if (crl == nullptr) return bad("expected one X.509 revocation list in DER");
  if (X509_CRL_get_version(crl.get()) != kCrlVersion2) return bad("expected version 2");
  if (X509_CRL_get_signature_nid(crl.get()) != NID_ED25519) return bad("expected an Ed25519 signature");
  RevocationList list;
  list.der_.assign(der.begin(), der.end());
  CHORUS_TRY(list.number_, read_number(crl.get()));
  CHORUS_TRY(list.this_update_, x509::wall_time(X509_CRL_get0_lastUpdate(crl.get())));
  // Absent is an error too: a list without an end would hide a revocation for ever.
  CHORUS_TRY(list.next_update_, x509::wall_time(X509_CRL_get0_nextUpdate(crl.get())));
  const STACK_OF(X509_REVOKED)* const revoked = X509_CRL_get_REVOKED(crl.get());
  const int count = revoked == nullptr ? 0 : sk_X509_REVOKED_num(revoked);
  list.entries_.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    CHORUS_TRY(RevokedCertificate entry, read_entry(sk_X509_REVOKED_value(revoked, i)));
    if (entry.device) list.devices_.push_back(*entry.device);
    list.entries_.push_back(std::move(entry));
  }
  std::ranges::sort(list.entries_);
  std::ranges::sort(list.devices_);
  return list;
}

std::string RevocationList::pem() const {
  return x509::pem_from_der(der_, kPemName);
}

bool RevocationList::contains(const Serial& serial) const {
  return std::ranges::binary_search(entries_, serial, {}, &RevokedCertificate::serial);
}

bool RevocationList::revokes(const RevokedDevice& device) const {
  return std::ranges::binary_search(devices_, device);
}

Result<RevocationList> make_revocation_list(std::span<const RevokedCertificate> entries, std::uint64_t number,
                                            WallTime this_update, WallTime next_update, const Issuer& issuer) {
  const x509::Asn1Time from = x509::to_asn1(this_update);
  const x509::Asn1Time until = x509::to_asn1(next_update);
  if (from == nullptr || until == nullptr || next_update <= this_update) {
    return fail(ErrorCode::invalid_argument, "dates that end before they begin or leave the years 1 to 9999",
                "revocation list");
  }
  const auto authority = x509::parse_der<crypto::X509Handle>(issuer.certificate.der(), &d2i_X509);
  const crypto::CrlHandle crl(X509_CRL_new());
  CHORUS_ENSURE(authority != nullptr && issuer.certificate.info().key == issuer.key.public_key(),
                "the issuer is an authority with its own key");
  CHORUS_ENSURE(crl != nullptr && X509_CRL_set_version(crl.get(), kCrlVersion2) == 1 &&
                    X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(authority.get())) == 1 &&
                    X509_CRL_set1_lastUpdate(crl.get(), from.get()) == 1 &&
                    X509_CRL_set1_nextUpdate(crl.get(), until.get()) == 1,
                "a list takes its fields");
  for (const RevokedCertificate& entry : entries) {
    const x509::Asn1Time revoked_at = x509::to_asn1(entry.revoked_at);
    if (revoked_at == nullptr) {
      return fail(ErrorCode::invalid_argument, "a date outside the years 1 to 9999", "revocation list");
    }
    add_entry(crl.get(), entry, revoked_at.get());
  }
  add_authority_key_id(crl.get(), authority.get());
  add_number(crl.get(), number);
  const crypto::KeyHandle key = x509::private_key(issuer.key);
  CHORUS_ENSURE(X509_CRL_sort(crl.get()) == 1 && X509_CRL_sign(crl.get(), key.get(), nullptr) > 0, "a list is signed");
  return RevocationList::from_der(x509::der_of(crl.get(), &i2d_X509_CRL));
}

Status check(const RevocationList& list, const Certificate& authority, WallTime now) {
  const crypto::ErrorMark mark;
  const auto crl = x509::parse_der<crypto::CrlHandle>(list.der(), &d2i_X509_CRL);
  const auto issuer = x509::parse_der<crypto::X509Handle>(authority.der(), &d2i_X509);
  CHORUS_ENSURE(crl != nullptr && issuer != nullptr, "what was parsed once parses again");
  const crypto::KeyHandle key = x509::public_key(authority.info().key);
  if (authority.info().kind != SubjectKind::authority ||
      X509_NAME_cmp(X509_CRL_get_issuer(crl.get()), X509_get_subject_name(issuer.get())) != 0 ||
      X509_CRL_verify(crl.get(), key.get()) != 1) {
    return bad("the list is not signed by this authority");
  }
  if (now < list.this_update()) {
    return fail(ErrorCode::not_yet_valid,
                fmt::format("the revocation list begins on {:%FT%TZ}; is the clock right?", list.this_update()),
                "revocation list");
  }
  if (now >= list.next_update()) {
    return fail(
        ErrorCode::expired,
        fmt::format(
            "the revocation list is out of date since {:%FT%TZ}; fetch the authority's newest, or set the clock right",
            list.next_update()),
        "revocation list");
  }
  return {};
}

}  // namespace chorus::identity
