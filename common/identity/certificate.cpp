#include "common/identity/certificate.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "common/identity/x509_values.hpp"

namespace chorus::identity {

namespace {

constexpr char kPemName[] = "CERTIFICATE";
constexpr std::size_t kMostBytes = 16 * 1024;
constexpr std::size_t kMostHosts = 64;
constexpr long kX509Version3 = 2;

using BasicConstraints = crypto::OpensslHandle<BASIC_CONSTRAINTS, &BASIC_CONSTRAINTS_free>;
using BitString = crypto::OpensslHandle<ASN1_BIT_STRING, &ASN1_BIT_STRING_free>;
using KeyPurposes = crypto::OpensslHandle<EXTENDED_KEY_USAGE, &EXTENDED_KEY_USAGE_free>;
using Names = crypto::OpensslHandle<GENERAL_NAMES, &GENERAL_NAMES_free>;
using AuthorityKeyId = crypto::OpensslHandle<AUTHORITY_KEYID, &AUTHORITY_KEYID_free>;

// ---- reading ----

std::unexpected<Error> bad(std::string sentence) {
  return fail(ErrorCode::bad_certificate, std::move(sentence), "certificate");
}

std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

Result<crypto::PublicKey> read_key(const X509* certificate) {
  const EVP_PKEY* const key = X509_get0_pubkey(certificate);
  crypto::PublicKey bytes;
  std::size_t size = bytes.size();
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key, bytes.data(), &size) != 1 || size != bytes.size()) {
    return bad("expected an Ed25519 key");
  }
  return bytes;
}

Status read_alternative_names(const GENERAL_NAMES* names, CertificateInfo& info) {
  const int count = sk_GENERAL_NAME_num(names);
  for (int i = 0; i < count; ++i) {
    int type = 0;
    const void* const value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
    const auto* const string = static_cast<const ASN1_STRING*>(value);
    switch (type) {
      case GEN_DNS: {
        auto host = parse_host_name(text_of(string));
        if (!host || host->kind != HostKind::dns) return bad("a DNS name that is none");
        info.hosts.push_back(*std::move(host));
        break;
      }
      case GEN_IPADD: {
        CHORUS_TRY(HostName host, host_from_address(as_bytes(text_of(string))));
        info.hosts.push_back(std::move(host));
        break;
      }
      case GEN_URI: {
        const auto device = parse_device_urn(text_of(string));
        if (!device) return bad("a URI that is no device's: " + device.error().sentence());
        if (info.device) return bad("two devices in one certificate");
        info.device = *device;
        break;
      }
      default:
        return bad("an alternative name that is neither a host nor a device");
    }
  }
  return {};
}

// The kind follows from what the certificate may be used for, and its names must fit.
Result<SubjectKind> read_kind(X509* certificate, const CertificateInfo& info) {
  const std::uint32_t flags = X509_get_extension_flags(certificate);
  if ((flags & EXFLAG_INVALID) != 0) return bad("an extension that does not parse");
  if ((flags & EXFLAG_CA) != 0) {
    if (X509_get_pathlen(certificate) != 0 || info.device || !info.hosts.empty()) {
      return bad("an authority that is not a root of path length 0 without alternative names");
    }
    return SubjectKind::authority;
  }
  const std::uint32_t purposes = X509_get_extended_key_usage(certificate);
  if ((flags & EXFLAG_XKUSAGE) != 0 && purposes == XKU_SSL_SERVER && !info.hosts.empty() && !info.device) {
    return SubjectKind::coordinator;
  }
  if ((flags & EXFLAG_XKUSAGE) != 0 && purposes == XKU_SSL_CLIENT && info.hosts.empty() && info.device) {
    return SubjectKind::device;
  }
  return bad("expected a coordinator (hosts, server authentication) or a device (its URN, client authentication)");
}

// ---- building ----

void add_extension(X509* certificate, int nid, void* value, bool critical) {
  CHORUS_ENSURE(X509_add1_ext_i2d(certificate, nid, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) == 1,
                "an extension is added");
}

x509::Asn1OctetString octets(ByteView bytes) {
  x509::Asn1OctetString string(ASN1_OCTET_STRING_new());
  CHORUS_ENSURE(
      string != nullptr && ASN1_OCTET_STRING_set(string.get(), bytes.data(), static_cast<int>(bytes.size())) == 1,
      "an octet string is allocated");
  return string;
}

// RFC 7093 section 2, method 1: the first 160 bits of SHA-256 of the key.
x509::Asn1OctetString key_id(const crypto::PublicKey& key) {
  const Digest digest = crypto::sha256(key);
  return octets(ByteView(digest).first(20));
}

void add_key_ids(X509* certificate, const crypto::PublicKey& subject, const crypto::PublicKey& issuer) {
  const x509::Asn1OctetString own = key_id(subject);
  add_extension(certificate, NID_subject_key_identifier, own.get(), false);
  const AuthorityKeyId authority(AUTHORITY_KEYID_new());
  CHORUS_ENSURE(authority != nullptr, "a key identifier is allocated");
  authority->keyid = key_id(issuer).release();
  add_extension(certificate, NID_authority_key_identifier, authority.get(), false);
}

// RFC 5280 section 4.2.1.9.
void add_basic_constraints(X509* certificate, bool is_authority) {
  const BasicConstraints constraints(BASIC_CONSTRAINTS_new());
  CHORUS_ENSURE(constraints != nullptr, "basic constraints are allocated");
  constraints->ca = is_authority ? 0xff : 0;
  if (is_authority) {
    constraints->pathlen = ASN1_INTEGER_new();
    CHORUS_ENSURE(constraints->pathlen != nullptr && ASN1_INTEGER_set(constraints->pathlen, 0) == 1,
                  "a path length is allocated");
  }
  add_extension(certificate, NID_basic_constraints, constraints.get(), true);
}

// RFC 5280 section 4.2.1.3: bit 0 digitalSignature, 5 keyCertSign, 6 cRLSign.
void add_key_usage(X509* certificate, std::initializer_list<int> bits) {
  const BitString usage(ASN1_BIT_STRING_new());
  CHORUS_ENSURE(usage != nullptr, "a bit string is allocated");
  for (const int bit : bits) CHORUS_ENSURE(ASN1_BIT_STRING_set_bit(usage.get(), bit, 1) == 1, "a bit is set");
  add_extension(certificate, NID_key_usage, usage.get(), true);
}

void add_purpose(X509* certificate, int nid) {
  const KeyPurposes purposes(sk_ASN1_OBJECT_new_null());
  CHORUS_ENSURE(purposes != nullptr && sk_ASN1_OBJECT_push(purposes.get(), OBJ_nid2obj(nid)) == 1,
                "a key purpose is allocated");
  add_extension(certificate, NID_ext_key_usage, purposes.get(), false);
}

void add_name(GENERAL_NAMES* names, int type, ByteView bytes) {
  ASN1_STRING* const value = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
  GENERAL_NAME* const name = GENERAL_NAME_new();
  CHORUS_ENSURE(
      value != nullptr && name != nullptr && ASN1_STRING_set(value, bytes.data(), static_cast<int>(bytes.size())) == 1,
      "an alternative name is allocated");
  GENERAL_NAME_set0_value(name, type, value);
  CHORUS_ENSURE(sk_GENERAL_NAME_push(names, name) > 0, "an alternative name is added");
}

Names new_names() {
  Names names(sk_GENERAL_NAME_new_null());
  CHORUS_ENSURE(names != nullptr, "alternative names are allocated");
  return names;
}

// What all three kinds share. Names, purposes and the signature are added after.
Result<crypto::X509Handle> new_certificate(const crypto::PublicKey& key, const std::string& common_name,
                                           const Serial& serial, const Validity& validity) {
  const x509::Asn1Time not_before = x509::to_asn1(validity.not_before);
  const x509::Asn1Time not_after = x509::to_asn1(validity.not_after);
  if (not_before == nullptr || not_after == nullptr || validity.not_after <= validity.not_before) {
    return fail(ErrorCode::invalid_argument, "a validity that ends before it begins or leaves the years 1 to 9999",
                "validity");
  }
  crypto::X509Handle certificate(X509_new());
  const x509::Asn1Integer number = x509::to_asn1(serial);
  const crypto::KeyHandle handle = x509::public_key(key);
  CHORUS_ENSURE(certificate != nullptr && X509_set_version(certificate.get(), kX509Version3) == 1 &&
                    X509_set_serialNumber(certificate.get(), number.get()) == 1 &&
                    X509_set1_notBefore(certificate.get(), not_before.get()) == 1 &&
                    X509_set1_notAfter(certificate.get(), not_after.get()) == 1 &&
                    X509_set_pubkey(certificate.get(), handle.get()) == 1 &&
                    X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, MBSTRING_ASC,
                                               reinterpret_cast<const unsigned char*>(common_name.data()),
                                               static_cast<int>(common_name.size()), -1, 0) == 1,
                "a certificate takes its fields");
  return certificate;
}

// Signs, and reads back what was signed: a certificate that we could not read is never handed out.
Result<Certificate> signed_certificate(X509* certificate, const X509_NAME* issuer, const crypto::SigningKey& key) {
  const crypto::KeyHandle handle = x509::private_key(key);
  CHORUS_ENSURE(X509_set_issuer_name(certificate, issuer) == 1 && X509_sign(certificate, handle.get(), nullptr) > 0,
                "a certificate is signed");
  return Certificate::from_der(x509::der_of(certificate, &i2d_X509));
}

Result<Certificate> signed_by(X509* certificate, const Issuer& issuer) {
  const auto authority = x509::parse_der<crypto::X509Handle>(issuer.certificate.der(), &d2i_X509);
  CHORUS_ENSURE(authority != nullptr && issuer.certificate.info().kind == SubjectKind::authority &&
                    issuer.certificate.info().key == issuer.key.public_key(),
                "the issuer is an authority with its own key");
  return signed_certificate(certificate, X509_get_subject_name(authority.get()), issuer.key);
}

}  // namespace

std::string_view to_string(SubjectKind kind) noexcept {
  switch (kind) {
    case SubjectKind::authority:
      return "authority";
    case SubjectKind::coordinator:
      return "coordinator";
    case SubjectKind::device:
      return "device";
  }
  return "unknown";
}

Serial random_serial(crypto::RandomSource& random) {
  Serial serial = random.array<16>();
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x3f) | 0x40);
  return serial;
}

Result<CertificateInfo> describe(X509& parsed) {
  X509* const certificate = &parsed;
  if (X509_get_version(certificate) != kX509Version3) return bad("expected X.509 version 3");
  if (X509_get_signature_nid(certificate) != NID_ED25519) return bad("expected an Ed25519 signature");
  CertificateInfo info;
  CHORUS_TRY(info.key, read_key(certificate));
  CHORUS_TRY(info.serial, x509::serial(X509_get0_serialNumber(certificate)));
  CHORUS_TRY(info.validity.not_before, x509::wall_time(X509_get0_notBefore(certificate)));
  CHORUS_TRY(info.validity.not_after, x509::wall_time(X509_get0_notAfter(certificate)));
  int critical = -1;  // -1: absent; -2: twice
  const Names names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
  if (names == nullptr && critical != -1) return bad("alternative names that do not parse");
  if (names != nullptr) CHORUS_TRY_DO(read_alternative_names(names.get(), info));
  CHORUS_TRY(info.kind, read_kind(certificate, info));
  return info;
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
  CHORUS_TRY(const Bytes der, x509::der_from_pem(pem, kPemName, kMostBytes));
  return from_der(der);
}

Result<Certificate> Certificate::from_der(ByteView der) {
  if (der.size() > kMostBytes) {
    return fail(ErrorCode::too_large, fmt::format("{} bytes; the limit is {}", der.size(), kMostBytes), "certificate");
  }
  const crypto::ErrorMark mark;
  const auto certificate = x509::parse_der<crypto::X509Handle>(der, &d2i_X509);
  if (certificate == nullptr) return bad("expected one X.509 certificate in DER");
  CHORUS_TRY(CertificateInfo info, describe(*certificate));
  return Certificate(Bytes(der.begin(), der.end()), std::move(info));
}

std::string Certificate::pem() const {
  return x509::pem_from_der(der_, kPemName);
}

Result<Certificate> make_authority_certificate(const crypto::SigningKey& key, const Serial& serial,
                                               const Validity& validity) {
  // The serial number makes two authorities' names differ, for whoever reads a chain.
  const std::string name = "Chorus enrolment authority " + to_hex(ByteView(serial).first(4));
  CHORUS_TRY(const crypto::X509Handle certificate, new_certificate(key.public_key(), name, serial, validity));
  add_basic_constraints(certificate.get(), true);
  add_key_usage(certificate.get(), {5, 6});
  add_key_ids(certificate.get(), key.public_key(), key.public_key());
  return signed_certificate(certificate.get(), X509_get_subject_name(certificate.get()), key);
}

Result<Certificate> make_coordinator_certificate(const crypto::PublicKey& key, std::span<const HostName> hosts,
                                                 const Serial& serial, const Validity& validity, const Issuer& issuer) {
  if (hosts.empty() || hosts.size() > kMostHosts) {
    return fail(ErrorCode::invalid_argument, fmt::format("expected 1 to {} hosts, found {}", kMostHosts, hosts.size()),
                "hosts");
  }
  CHORUS_TRY(const crypto::X509Handle certificate, new_certificate(key, "Chorus coordinator", serial, validity));
  add_basic_constraints(certificate.get(), false);
  add_key_usage(certificate.get(), {0});
  add_purpose(certificate.get(), NID_server_auth);
  const Names names = new_names();
  for (const HostName& host : hosts) {
    const bool is_dns = host.kind == HostKind::dns;
    add_name(names.get(), is_dns ? GEN_DNS : GEN_IPADD, is_dns ? as_bytes(host.text) : ByteView(host.address));
  }
  add_extension(certificate.get(), NID_subject_alt_name, names.get(), false);
  add_key_ids(certificate.get(), key, issuer.key.public_key());
  return signed_by(certificate.get(), issuer);
}

Result<Certificate> make_device_certificate(const crypto::PublicKey& key, const DeviceId& device, const Serial& serial,
                                            const Validity& validity, const Issuer& issuer) {
  CHORUS_TRY(const crypto::X509Handle certificate, new_certificate(key, "Chorus device", serial, validity));
  add_basic_constraints(certificate.get(), false);
  add_key_usage(certificate.get(), {0});
  add_purpose(certificate.get(), NID_client_auth);
  const Names names = new_names();
  add_name(names.get(), GEN_URI, as_bytes(to_urn(device)));
  add_extension(certificate.get(), NID_subject_alt_name, names.get(), false);
  add_key_ids(certificate.get(), key, issuer.key.public_key());
  return signed_by(certificate.get(), issuer);
}

}  // namespace chorus::identity
