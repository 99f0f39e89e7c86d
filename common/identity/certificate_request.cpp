#include "common/identity/certificate_request.hpp"

#include <string>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/identity/x509_values.hpp"

namespace chorus::identity {
namespace {

constexpr std::string_view kPlace = "certificate request";

using RequestHandle = crypto::OpensslHandle<X509_REQ, &X509_REQ_free>;

}  // namespace

Bytes make_certificate_request(const crypto::SigningKey& key) {
  const crypto::ErrorMark mark;
  const RequestHandle request(X509_REQ_new());
  const crypto::KeyHandle handle = x509::private_key(key);
  CHORUS_ENSURE(request != nullptr && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
                    X509_REQ_set_pubkey(request.get(), handle.get()) == 1 &&
                    X509_REQ_sign(request.get(), handle.get(), nullptr) > 0,
                "a request is signed");
  return x509::der_of(request.get(), &i2d_X509_REQ);
}

Result<crypto::PublicKey> read_certificate_request(ByteView der) {
  if (der.size() > kMostRequestBytes) {
    return fail(ErrorCode::too_large, fmt::format("{} bytes; the limit is {}", der.size(), kMostRequestBytes),
                std::string(kPlace));
  }
  const crypto::ErrorMark mark;
  const auto request = x509::parse_der<RequestHandle>(der, &d2i_X509_REQ);
  if (request == nullptr) {
    return fail(ErrorCode::malformed, "expected one PKCS #10 request in DER", std::string(kPlace));
  }
  EVP_PKEY* const key = X509_REQ_get0_pubkey(request.get());
  crypto::PublicKey bytes;
  std::size_t size = bytes.size();
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key, bytes.data(), &size) != 1 || size != bytes.size()) {
    return fail(ErrorCode::bad_key, "expected an Ed25519 key", std::string(kPlace));
  }
  if (X509_REQ_get_signature_nid(request.get()) != NID_ED25519 || X509_REQ_verify(request.get(), key) != 1) {
    return fail(ErrorCode::bad_signature, "the request is not signed by the key that it names", std::string(kPlace));
  }
  return bytes;
}

}  // namespace chorus::identity
