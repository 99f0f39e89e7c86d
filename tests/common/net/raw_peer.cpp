#include "tests/common/net/raw_peer.hpp"

#include <csignal>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/crypto/openssl_handles.hpp"

namespace chorus::net {

namespace {

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {
    require(descriptor >= 0, "a socket");
    // A test that waits for ever says nothing.
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  ~Socket() { ::close(descriptor_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

int connected(std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  require(::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "connect");
  return descriptor;
}

using Context = crypto::OpensslHandle<SSL_CTX, &SSL_CTX_free>;

Context make_context(const RawSettings& settings, bool server) {
  Context context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  require(SSL_CTX_set_min_proto_version(context.get(), settings.version) == 1, "version");
  require(SSL_CTX_set_max_proto_version(context.get(), settings.version) == 1, "version");
  if (!settings.signatures.empty()) {
    require(SSL_CTX_set1_sigalgs_list(context.get(), settings.signatures.c_str()) == 1, "signatures");
  }
  if (settings.own) {
    const TlsCredentials& own = *settings.own;
    const crypto::BioHandle certificate(
        BIO_new_mem_buf(own.certificate.data(), static_cast<int>(own.certificate.size())));
    const crypto::X509Handle x509(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
    const crypto::BioHandle key(BIO_new_mem_buf(own.key.data(), static_cast<int>(own.key.size())));
    const crypto::KeyHandle pkey(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
    require(SSL_CTX_use_certificate(context.get(), x509.get()) == 1, "certificate");
    require(SSL_CTX_use_PrivateKey(context.get(), pkey.get()) == 1, "key");
  }
  if (settings.alpn.empty()) return context;
  if (!server) {
    const std::string list = static_cast<char>(settings.alpn.size()) + settings.alpn;
    require(SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(list.data()),
                                    static_cast<unsigned int>(list.size())) == 0,
            "alpn");
  } else {
    // Answers with its own name, whatever was offered.
    static thread_local std::string answer;
    answer = settings.alpn;
    SSL_CTX_set_alpn_select_cb(
        context.get(),
        [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char*, unsigned int, void*) {
          *out = reinterpret_cast<const unsigned char*>(answer.data());
          *size = static_cast<unsigned char>(answer.size());
          return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
  }
  return context;
}

void ignore_pipe_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void converse(int descriptor, SSL_CTX* context, bool server, const RawPeer::Script& script, RawOutcome& outcome) {
  const crypto::OpensslHandle<SSL, &SSL_free> ssl(SSL_new(context));
  SSL_set_fd(ssl.get(), descriptor);
  ERR_clear_error();
  outcome.established = (server ? SSL_accept(ssl.get()) : SSL_connect(ssl.get())) == 1;
  if (outcome.established) {
    const unsigned char* protocol = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl.get(), &protocol, &size);
    outcome.protocol.assign(reinterpret_cast<const char*>(protocol), size);
    try {
      if (script) script(ssl.get());
    } catch (const std::exception&) {
      // The peer is gone; why is what the reading below finds.
    }
    std::array<std::uint8_t, 4096> rest;
    std::size_t read = 0;
    while (SSL_read_ex(ssl.get(), rest.data(), rest.size(), &read) == 1) {
    }
  }
  outcome.reason = ERR_GET_REASON(ERR_peek_error());
}

}  // namespace

std::unique_ptr<RawPeer> RawPeer::client(std::uint16_t port, RawSettings settings, Script script) {
  std::unique_ptr<RawPeer> peer(new RawPeer);
  peer->port_ = port;
  peer->thread_ = std::thread([raw = peer.get(), settings = std::move(settings), script = std::move(script)] {
    ignore_pipe_signal();
    const Socket socket(connected(raw->port_));
    converse(socket.get(), make_context(settings, false).get(), false, script, raw->outcome_);
  });
  return peer;
}

std::unique_ptr<RawPeer> RawPeer::server(RawSettings settings, Script script) {
  std::unique_ptr<RawPeer> peer(new RawPeer);
  auto listener = std::make_shared<Socket>(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  require(::bind(listener->get(), reinterpret_cast<const sockaddr*>(&address), size) == 0, "bind");
  require(::listen(listener->get(), 1) == 0, "listen");
  require(::getsockname(listener->get(), reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  peer->port_ = ntohs(address.sin_port);
  peer->thread_ = std::thread([raw = peer.get(), listener, settings = std::move(settings), script = std::move(script)] {
    ignore_pipe_signal();
    const Socket socket(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
    converse(socket.get(), make_context(settings, true).get(), true, script, raw->outcome_);
  });
  return peer;
}

std::unique_ptr<RawPeer> RawPeer::tcp(std::uint16_t port, std::function<void(int)> script) {
  std::unique_ptr<RawPeer> peer(new RawPeer);
  peer->port_ = port;
  peer->thread_ = std::thread([raw = peer.get(), script = std::move(script)] {
    ignore_pipe_signal();
    const Socket socket(connected(raw->port_));
    script(socket.get());
  });
  return peer;
}

RawPeer::~RawPeer() {
  if (thread_.joinable()) thread_.join();
}

const RawOutcome& RawPeer::outcome() {
  if (thread_.joinable()) thread_.join();
  return outcome_;
}

void write_all(SSL* ssl, std::span<const std::uint8_t> bytes) {
  std::size_t written = 0;
  require(SSL_write_ex(ssl, bytes.data(), bytes.size(), &written) == 1 && written == bytes.size(), "write");
}

Bytes read_some(SSL* ssl, std::size_t size) {
  Bytes bytes(size);
  std::size_t filled = 0;
  std::size_t read = 0;
  while (filled < size && SSL_read_ex(ssl, bytes.data() + filled, size - filled, &read) == 1) filled += read;
  bytes.resize(filled);
  return bytes;
}

}  // namespace chorus::net
