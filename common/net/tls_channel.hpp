// One TLS connection on Asio's socket: OpenSSL is driven directly (SSL_set_fd on the non-blocking socket), because
// asio::ssl::stream holds about 84 KiB a connection and this about 18 (common/decisions). Coroutines; I/O errors are
// values. One reader and one writer may be active at the same time, on one strand; nothing here locks.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "common/base/result.hpp"
#include "common/net/tls_context.hpp"
#include "common/wire/frame.hpp"

namespace chorus::net {

class TlsChannel {
 public:
  // Server side of an accepted socket.
  TlsChannel(asio::ip::tcp::socket socket, const TlsContext& context);
  // Client side of a connected socket: the coordinator's certificate must name `host` (DNS name or address literal).
  TlsChannel(asio::ip::tcp::socket socket, const TlsContext& context, std::string host);
  ~TlsChannel();
  TlsChannel(const TlsChannel&) = delete;
  TlsChannel& operator=(const TlsChannel&) = delete;

  // Errors: timeout, closed, tls (with OpenSSL's reason in words), unsupported_version (TLS below 1.3),
  // bad_certificate, expired, not_yet_valid, revoked, wrong_host. The peer is known afterwards.
  [[nodiscard]] asio::awaitable<Result<PeerIdentity>> handshake(std::chrono::nanoseconds timeout);

  // The next message, if its type is one of `accepted` (bits of protocol::message_bit). Without a timeout it waits as
  // long as the connection lives; once a frame has begun, the rest of it must come within `frame_timeout` (slow peers).
  // Errors: closed, timeout, malformed, too_large, out_of_phase, tls.
  [[nodiscard]] asio::awaitable<Result<protocol::Message>> receive(std::uint32_t accepted,
                                                                   std::optional<std::chrono::nanoseconds> timeout,
                                                                   std::chrono::nanoseconds frame_timeout);

  // Writes one frame whole. Errors: closed, timeout, tls.
  [[nodiscard]] asio::awaitable<Status> send(wire::Frame frame, std::chrono::nanoseconds timeout);

  // Sends close_notify if that is possible at once, and closes the socket; pending operations end with `closed`.
  void close() noexcept;

  [[nodiscard]] asio::any_io_executor executor();
  [[nodiscard]] std::uint64_t bytes_in() const noexcept;  // payload bytes of TLS records, for reports
  [[nodiscard]] std::uint64_t bytes_out() const noexcept;
  // "127.0.0.1:50312"
  [[nodiscard]] const std::string& peer_address() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Resolves and connects, trying every address of the host (IPv6 and IPv4). Errors: unreachable, timeout.
[[nodiscard]] asio::awaitable<Result<asio::ip::tcp::socket>> connect(std::string host, std::uint16_t port,
                                                                     std::chrono::nanoseconds timeout);

}  // namespace chorus::net
