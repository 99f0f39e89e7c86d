// Owning handles of OpenSSL objects, for the .cpp files of crypto, identity and net alone: no public header
// includes this one.
#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace chorus::crypto {

template <auto Free>
struct OpensslFree {
  template <typename T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

template <typename T, auto Free>
using OpensslHandle = std::unique_ptr<T, OpensslFree<Free>>;

using BioHandle = OpensslHandle<BIO, &BIO_free_all>;
using BignumHandle = OpensslHandle<BIGNUM, &BN_free>;
using CipherContext = OpensslHandle<EVP_CIPHER_CTX, &EVP_CIPHER_CTX_free>;
using DigestContext = OpensslHandle<EVP_MD_CTX, &EVP_MD_CTX_free>;
using KeyHandle = OpensslHandle<EVP_PKEY, &EVP_PKEY_free>;
using X509Handle = OpensslHandle<X509, &X509_free>;
using CrlHandle = OpensslHandle<X509_CRL, &X509_CRL_free>;

// Forgets the errors that OpenSSL queued since it was made. A failed check is our `Error`; left in the queue, it would
// be taken for a failure of the thread's next TLS record.
class ErrorMark {
 public:
  ErrorMark() noexcept { ERR_set_mark(); }
  ErrorMark(const ErrorMark&) = delete;
  ErrorMark& operator=(const ErrorMark&) = delete;
  ~ErrorMark() { ERR_pop_to_mark(); }
};

}  // namespace chorus::crypto
