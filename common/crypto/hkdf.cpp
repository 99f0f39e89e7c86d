#include "common/crypto/hkdf.hpp"

#include <openssl/core_names.h>
#include <openssl/kdf.h>

#include "common/base/check.hpp"
#include "common/crypto/openssl_handles.hpp"

namespace chorus::crypto {

namespace {

using KdfContext = OpensslHandle<EVP_KDF_CTX, &EVP_KDF_CTX_free>;

KdfContext make_context() {
  EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_HKDF, nullptr);
  CHORUS_ENSURE(kdf != nullptr, "OpenSSL has HKDF");
  KdfContext context(EVP_KDF_CTX_new(kdf));
  EVP_KDF_free(kdf);
  CHORUS_ENSURE(context != nullptr, "a KDF context is allocated");
  return context;
}

OSSL_PARAM octets(const char* name, ByteView bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

SecretBytes<32> hkdf_sha256(std::span<const std::uint8_t> key_material, ByteView salt, ByteView info) {
  thread_local const KdfContext context = make_context();
  char digest[] = "SHA256";
  static constexpr std::uint8_t kNothing[1] = {};
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      octets(OSSL_KDF_PARAM_KEY, key_material),
      // OpenSSL refuses null pointers even for empty strings.
      octets(OSSL_KDF_PARAM_SALT, salt.empty() ? ByteView(kNothing, 0) : salt),
      octets(OSSL_KDF_PARAM_INFO, info.empty() ? ByteView(kNothing, 0) : info),
      OSSL_PARAM_construct_end(),
  };
  SecretBytes<32> key;
  const auto out = key.expose();
  CHORUS_ENSURE(EVP_KDF_derive(context.get(), out.data(), out.size(), parameters) == 1, "HKDF derives 32 bytes");
  // The context keeps the key material until it is reset, which wipes it.
  EVP_KDF_CTX_reset(context.get());
  return key;
}

}  // namespace chorus::crypto
