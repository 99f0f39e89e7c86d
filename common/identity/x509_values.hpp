// Conversions between OpenSSL's X.509 objects and plain values, for the .cpp files of this folder alone.
#pragma once

#include <string>
#include <string_view>

#include "common/base/bytes.hpp"
#include "common/base/time.hpp"
#include "common/crypto/openssl_handles.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/certificate.hpp"

namespace chorus::identity::x509 {

using Asn1Integer = crypto::OpensslHandle<ASN1_INTEGER, &ASN1_INTEGER_free>;
using Asn1OctetString = crypto::OpensslHandle<ASN1_OCTET_STRING, &ASN1_OCTET_STRING_free>;
using Asn1Time = crypto::OpensslHandle<ASN1_TIME, &ASN1_TIME_free>;

// Null outside the years 1 to 9999, which X.509 cannot write.
[[nodiscard]] Asn1Time to_asn1(WallTime time);
[[nodiscard]] Asn1Integer to_asn1(const Serial& serial);
// Errors: bad_certificate.
[[nodiscard]] Result<WallTime> wall_time(const ASN1_TIME* time);
[[nodiscard]] Result<Serial> serial(const ASN1_INTEGER* integer);

[[nodiscard]] crypto::KeyHandle private_key(const crypto::SigningKey& key);
[[nodiscard]] crypto::KeyHandle public_key(const crypto::PublicKey& key);

// What a memory BIO holds.
[[nodiscard]] ByteView contents(BIO* bio);
[[nodiscard]] crypto::BioHandle reading(ByteView bytes);

// The DER bytes of the one PEM block named `name` ("CERTIFICATE", "X509 CRL") in `pem`; text before it is skipped.
// Errors: malformed, too_large (`pem` longer than `most` bytes).
[[nodiscard]] Result<Bytes> der_from_pem(std::string_view pem, const char* name, std::size_t most);
[[nodiscard]] std::string pem_from_der(ByteView der, const char* name);

// DER of an object that we built. REQUIRES: `encode` is its i2d function.
template <typename T>
[[nodiscard]] Bytes der_of(const T* object, int (*encode)(const T*, unsigned char**)) {
  const int size = encode(object, nullptr);
  if (size <= 0) return {};
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* end = der.data();
  encode(object, &end);
  return der;
}

// The object in `der`, or null if it does not parse or leaves bytes over. REQUIRES: `decode` is its d2i function.
template <typename Handle, typename T>
[[nodiscard]] Handle parse_der(ByteView der, T* (*decode)(T**, const unsigned char**, long)) {
  const unsigned char* end = der.data();
  Handle object(decode(nullptr, &end, static_cast<long>(der.size())));
  if (object != nullptr && end != der.data() + der.size()) object.reset();
  return object;
}

}  // namespace chorus::identity::x509
