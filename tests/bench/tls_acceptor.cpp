#include "tests/bench/tls_acceptor.hpp"

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
      connections_.emplace(socket, std::move(ssl));
    }
  }

  // False: the connection has ended.
  bool advance(int socket) {
    SSL* const ssl = connections_.at(socket).get();
    ERR_clear_error();
    if (SSL_is_init_finished(ssl) == 1) {
      char byte = 0;
      const int read = SSL_read(ssl, &byte, 1);
      return read > 0 || SSL_get_error(ssl, read) == SSL_ERROR_WANT_READ;
    }
    const int result = SSL_do_handshake(ssl);
    if (result != 1) return SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
    return SSL_write(ssl, greeting_.data(), static_cast<int>(greeting_.size())) > 0;
  }

  SSL_CTX* context_;
  ByteView greeting_;
  int listener_ = -1;
  int events_ = -1;
  std::unordered_map<int, Ssl> connections_;
};

}  // namespace

Status accept_tls(const net::TlsContext& context, ByteView greeting) {
  std::signal(SIGPIPE, SIG_IGN);
  Acceptor acceptor(context, greeting);
  CHORUS_TRY_DO(acceptor.listen());
  acceptor.serve();
}

}  // namespace chorus::bench
