// The TLS connection between a device and the enrolment authority: 1.3 alone, ALPN "chorus-enrolment/1". The service
// shows its certificate and, after it, the authority's own; the device shows none, and knows the authority by the
// fingerprint that an invitation gave it. Messages are a 32-bit little-endian length and as many bytes.
//
// On asio::ssl::stream, whose 84 KiB a connection matter where there are ten thousand of them (net/tls_channel), and
// not where there are dozens. Coroutines; I/O errors are values, and their where() is the peer's address. One operation
// at a time, on one strand. Every deadline is for the whole of its operation, so that a peer that dribbles gains
// nothing.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>

#include "common/base/result.hpp"
#include "common/crypto/secret_bytes.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/certificate.hpp"

namespace chorus::net {

// Immutable; may be shared by connections.
class EnrolmentTls {
 public:
  // The service's end: devices believe a certificate that names it. Errors: bad_certificate (the key is not its own).
  [[nodiscard]] static Result<EnrolmentTls> service(const identity::Certificate& own, const crypto::SigningKey& key,
                                                    const identity::Certificate& authority);
  // The device's end: `authority` is the SHA-256 of its certificate.
  [[nodiscard]] static EnrolmentTls device(const Digest& authority);

  struct State;

 private:
  friend class EnrolmentChannel;
  explicit EnrolmentTls(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

class EnrolmentChannel {
 public:
  // The service's side of an accepted socket.
  EnrolmentChannel(asio::ip::tcp::socket socket, const EnrolmentTls& tls);
  // The device's side: the certificate must name `host`, and the service.
  EnrolmentChannel(asio::ip::tcp::socket socket, const EnrolmentTls& tls, std::string host);
  ~EnrolmentChannel();
  EnrolmentChannel(const EnrolmentChannel&) = delete;
  EnrolmentChannel& operator=(const EnrolmentChannel&) = delete;

  // Errors: timeout, closed, tls, bad_certificate, expired, not_yet_valid, wrong_host; invalid_argument (the host).
  [[nodiscard]] asio::awaitable<Status> handshake(std::chrono::nanoseconds timeout);
  // Errors: timeout, closed, too_large (more than `most` bytes are announced: none of them is read).
  [[nodiscard]] asio::awaitable<Result<crypto::ZeroizingBytes>> receive(std::size_t most,
                                                                        std::chrono::nanoseconds timeout);
  // Errors: timeout, closed.
  [[nodiscard]] asio::awaitable<Status> send(crypto::ZeroizingBytes message, std::chrono::nanoseconds timeout);
  // Says that no more comes, waits until the peer says so too, and closes.
  [[nodiscard]] asio::awaitable<void> finish(std::chrono::nanoseconds timeout);
  void close() noexcept;

  // The device's side, after the handshake.
  [[nodiscard]] const identity::Certificate& authority() const;
  [[nodiscard]] const identity::Certificate& peer() const;
  // "127.0.0.1:50312"
  [[nodiscard]] const std::string& peer_address() const noexcept;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace chorus::net
