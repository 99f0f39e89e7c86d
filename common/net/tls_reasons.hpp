// OpenSSL's reasons as errors of ours: what went wrong with a TLS connection, in words for both ends. For the .cpp
// files of net alone.
#pragma once

#include <openssl/ssl.h>

#include "common/base/error.hpp"

namespace chorus::net {

// "coordinator" or "device": whom this end talks to.
[[nodiscard]] std::string_view peer_of(const SSL* ssl) noexcept;

// Why `ssl` failed: reads the thread's error queue, the verify result and the alert that the peer sent.
// REQUIRES: the last call on `ssl` in this thread failed with SSL_ERROR_SSL.
[[nodiscard]] Error explain_tls_failure(const SSL* ssl);

// Why our own check refused the peer's certificate.
[[nodiscard]] Error explain_refusal(long verify_result, std::string_view peer);

}  // namespace chorus::net
