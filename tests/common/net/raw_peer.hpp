// A peer with a mind of its own: blocking OpenSSL or bare TCP on a thread, for what our own channel would never do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <openssl/ssl.h>

#include "common/net/tls_context.hpp"

namespace chorus::net {

struct RawSettings {
  std::optional<TlsCredentials> own = {};  // its authority is trusted blindly: no verification at all
  int version = TLS1_3_VERSION;
  std::string alpn = "chorus/1";  // empty: none
  std::string signatures{};       // OpenSSL's default if empty
};

struct RawOutcome {
  bool established = false;
  int reason = 0;        // SSL_R_… of the first failure, of the handshake or later
  std::string protocol;  // ALPN that was agreed on
};

class RawPeer {
 public:
  using Script = std::function<void(SSL*)>;

  // A TLS client that connects to the port, shakes hands and runs the script; what the script leaves unread is read
  // until the end.
  [[nodiscard]] static std::unique_ptr<RawPeer> client(std::uint16_t port, RawSettings settings, Script script = {});
  // A TLS server for one connection, on a port of its own.
  [[nodiscard]] static std::unique_ptr<RawPeer> server(RawSettings settings, Script script = {});
  // A TCP client: `script` gets the socket.
  [[nodiscard]] static std::unique_ptr<RawPeer> tcp(std::uint16_t port, std::function<void(int)> script);

  ~RawPeer();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Waits for its end.
  const RawOutcome& outcome();

 private:
  RawPeer() = default;
  std::uint16_t port_ = 0;
  RawOutcome outcome_;
  std::thread thread_;
};

// All of it, or an exception. To be used in scripts.
void write_all(SSL* ssl, std::span<const std::uint8_t> bytes);
// Exactly `size` bytes; fewer if the peer ends.
[[nodiscard]] Bytes read_some(SSL* ssl, std::size_t size);

}  // namespace chorus::net
