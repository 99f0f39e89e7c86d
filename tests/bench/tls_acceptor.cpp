#include "tests/bench/tls_acceptor.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <memory>
#include <unordered_map>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/crypto/openssl_handles.hpp"

namespace chorus::bench {
namespace {

class Acceptor {
 public:
  Acceptor(const net::TlsContext& context, ByteView greeting) : context_(context.native()), greeting_(greeting) {}

  Status listen() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    events_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (listener_ < 0 || events_ < 0 || ::bind(listener_, generic, size) != 0 || ::listen(listener_, SOMAXCONN) != 0 ||
        ::getsockname(listener_, generic, &size) != 0 || !watch(listener_)) {
      return fail(ErrorCode::io, "the acceptor cannot listen");
    }
    fmt::print("port {}\n", ntohs(address.sin_port));
    std::fflush(stdout);
    return {};
  }

  [[noreturn]] void serve() {
    std::array<epoll_event, 256> ready{};
    while (true) {
      const int count = ::epoll_wait(events_, ready.data(), static_cast<int>(ready.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int socket = ready[static_cast<std::size_t>(i)].data.fd;
        if (socket == listener_) {
          take_connections();
        } else if (!advance(socket)) {
          connections_.erase(socket);
          ::close(socket);
        }
      }
    }
  }

 private:
  using Ssl = crypto::OpensslHandle<SSL, &SSL_free>;
  struct Connection {
    Ssl ssl;
    std::array<std::uint8_t, 8> length{};  // of the upload that has begun
    std::uint64_t taken = 0;               // of it, its length too
  };

  bool watch(int socket) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = socket;
    return ::epoll_ctl(events_, EPOLL_CTL_ADD, socket, &event) == 0;
  }

  void take_connections() {
    while (true) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0) return;
      const int on = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      Ssl ssl(SSL_new(context_));
      if (ssl == nullptr || SSL_set_fd(ssl.get(), socket) != 1 || !watch(socket)) {
        ::close(socket);
        continue;
      }
      SSL_set_accept_state(ssl.get());
      connections_.emplace(socket, Connection{.ssl = std::move(ssl)});
    }
  }

  // False: the connection has ended.
  bool advance(int socket) {
    Connection& connection = connections_.at(socket);
    SSL* const ssl = connection.ssl.get();
    ERR_clear_error();
    if (SSL_is_init_finished(ssl) == 1) return swallow(connection);
    const int result = SSL_do_handshake(ssl);
    if (result != 1) return SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
    return greet(ssl);
  }

  bool greet(SSL* ssl) { return SSL_write(ssl, greeting_.data(), static_cast<int>(greeting_.size())) > 0; }

  // Reads what has come, and throws it away.
  bool swallow(Connection& connection) {
    SSL* const ssl = connection.ssl.get();
    while (true) {
      const bool begins = connection.taken < connection.length.size();
      std::uint8_t* const room = begins ? connection.length.data() + connection.taken : discarded_.data();
      const std::size_t most = begins ? connection.length.size() - connection.taken
                                      : std::min(discarded_.size(), total(connection) - connection.taken);
      const int read = SSL_read(ssl, room, static_cast<int>(most));
      if (read <= 0) return SSL_get_error(ssl, read) == SSL_ERROR_WANT_READ;
      connection.taken += static_cast<std::uint64_t>(read);
      if (connection.taken >= connection.length.size() && connection.taken == total(connection)) {
        connection.taken = 0;
        if (!greet(ssl)) return false;
      }
    }
  }

  static std::uint64_t total(const Connection& connection) {
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < connection.length.size(); ++i) length |= std::uint64_t{connection.length[i]} << (8 * i);
    return connection.length.size() + length;
  }

  SSL_CTX* context_;
  ByteView greeting_;
  int listener_ = -1;
  int events_ = -1;
  std::unordered_map<int, Connection> connections_;
  std::array<std::uint8_t, std::size_t{16} * 1024> discarded_{};  // a record's worth
};

}  // namespace

Status accept_tls(const net::TlsContext& context, ByteView greeting) {
  std::signal(SIGPIPE, SIG_IGN);
  Acceptor acceptor(context, greeting);
  CHORUS_TRY_DO(acceptor.listen());
  acceptor.serve();
}

}  // namespace chorus::bench
