#include "common/identity/private_key_pem.hpp"

#include <cstring>
#include <string_view>

#include <openssl/pem.h>

#include "common/base/check.hpp"
#include "common/identity/x509_values.hpp"

namespace chorus::identity {

namespace {

constexpr std::size_t kMostBytes = 16 * 1024;
// OWASP Password Storage Cheat Sheet (2023) for PBKDF2-HMAC-SHA-256.
constexpr int kIterations = 600'000;
constexpr std::string_view kPlace = "private key";

using Pkcs8Key = crypto::OpensslHandle<PKCS8_PRIV_KEY_INFO, &PKCS8_PRIV_KEY_INFO_free>;
using EncryptedKey = crypto::OpensslHandle<X509_SIG, &X509_SIG_free>;
using Algorithm = crypto::OpensslHandle<X509_ALGOR, &X509_ALGOR_free>;

// A memory BIO wipes its buffer when it grows and when it is freed.
crypto::BioHandle writing() {
  crypto::BioHandle bio(BIO_new(BIO_s_mem()));
  CHORUS_ENSURE(bio != nullptr, "a memory BIO is allocated");
  return bio;
}

crypto::ZeroizingBytes taken(BIO* bio) {
  const ByteView text = x509::contents(bio);
  return {text.begin(), text.end()};
}

struct Passphrase {
  std::optional<ByteView> bytes;
};

// OpenSSL's pem_password_cb: without a passphrase it must fail, or OpenSSL would ask on the terminal.
int give_passphrase(char* buffer, int size, int, void* user_data) {
  const auto& passphrase = static_cast<const Passphrase*>(user_data)->bytes;
  if (!passphrase || passphrase->size() > static_cast<std::size_t>(size)) return -1;
  std::memcpy(buffer, passphrase->data(), passphrase->size());
  return static_cast<int>(passphrase->size());
}

}  // namespace

crypto::ZeroizingBytes private_key_pem(const crypto::SigningKey& key) {
  const crypto::KeyHandle handle = x509::private_key(key);
  const crypto::BioHandle bio = writing();
  CHORUS_ENSURE(PEM_write_bio_PKCS8PrivateKey(bio.get(), handle.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
                "a key is written as PKCS#8");
  return taken(bio.get());
}

crypto::ZeroizingBytes private_key_pem(const crypto::SigningKey& key, ByteView passphrase,
                                       crypto::RandomSource& random) {
  CHORUS_ENSURE(!passphrase.empty(), "a passphrase is not empty");
  const crypto::KeyHandle handle = x509::private_key(key);
  const Pkcs8Key plain(EVP_PKEY2PKCS8(handle.get()));
  ByteArray<16> salt = random.array<16>();
  ByteArray<16> iv = random.array<16>();
  Algorithm algorithm(PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), kIterations, salt.data(), static_cast<int>(salt.size()),
                                        iv.data(), NID_hmacWithSHA256));
  CHORUS_ENSURE(plain != nullptr && algorithm != nullptr, "PBES2 is there");
  const EncryptedKey encrypted(PKCS8_set0_pbe(reinterpret_cast<const char*>(passphrase.data()),
                                              static_cast<int>(passphrase.size()), plain.get(), algorithm.get()));
  CHORUS_ENSURE(encrypted != nullptr, "a key is encrypted");
  static_cast<void>(algorithm.release());  // now the encrypted key's
  const crypto::BioHandle bio = writing();
  CHORUS_ENSURE(PEM_write_bio_PKCS8(bio.get(), encrypted.get()) == 1, "an encrypted key is written as PKCS#8");
  return taken(bio.get());
}

Result<crypto::SigningKey> parse_private_key_pem(ByteView pem, std::optional<ByteView> passphrase) {
  if (pem.size() > kMostBytes) {
    return fail(ErrorCode::too_large, "more than 16 KiB of PEM", std::string(kPlace));
  }
  const std::string_view text(reinterpret_cast<const char*>(pem.data()), pem.size());
  const bool is_encrypted = text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") != std::string_view::npos;
  if (!is_encrypted && text.find("-----BEGIN PRIVATE KEY-----") == std::string_view::npos) {
    return fail(ErrorCode::malformed, "expected a PKCS#8 key, which begins -----BEGIN PRIVATE KEY-----",
                std::string(kPlace));
  }
  if (is_encrypted && !passphrase) {
    return fail(ErrorCode::bad_key, "the key is protected: its passphrase is needed", std::string(kPlace));
  }
  const crypto::ErrorMark mark;
  Passphrase given{passphrase};
  const crypto::BioHandle bio = x509::reading(pem);
  const crypto::KeyHandle handle(PEM_read_bio_PrivateKey(bio.get(), nullptr, &give_passphrase, &given));
  if (handle == nullptr) {
    if (is_encrypted) {
      return fail(ErrorCode::bad_key, "the passphrase does not open the key, or the key is damaged",
                  std::string(kPlace));
    }
    return fail(ErrorCode::malformed, "the PEM block holds no key", std::string(kPlace));
  }
  crypto::SecretBytes<32> seed;
  std::size_t size = seed.expose().size();
  if (EVP_PKEY_get_id(handle.get()) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_private_key(handle.get(), seed.expose().data(), &size) != 1 || size != seed.expose().size()) {
    return fail(ErrorCode::bad_key, "expected an Ed25519 key", std::string(kPlace));
  }
  return crypto::SigningKey::from_seed(std::move(seed));
}

}  // namespace chorus::identity
