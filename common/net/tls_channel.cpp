#include "common/net/tls_channel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <asio/experimental/as_tuple.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/base/check.hpp"
#include "common/crypto/openssl_handles.hpp"
#include "common/identity/certificate.hpp"
#include "common/net/deadline.hpp"
#include "common/net/socket_bio.hpp"
#include "common/net/tls_reasons.hpp"

namespace chorus::net {

// Coroutines hold it by shared_ptr, so that it outlives the channel while one of them is suspended.
struct TlsConnection {
  TlsConnection(asio::ip::tcp::socket connected, const TlsContext& context)
      : socket(std::move(connected)), ssl(SSL_new(context.native())) {
    CHORUS_ENSURE(ssl != nullptr, "a TLS connection is allocated");
    end.descriptor = socket.native_handle();
    BIO* const bio = make_socket_bio(end).release();
    SSL_set_bio(ssl.get(), bio, bio);
  }

  asio::ip::tcp::socket socket;
  SocketEnd end;
  crypto::OpensslHandle<SSL, &SSL_free> ssl;
  wire::FrameReader reader;
  Watch in;
  Watch out;
  // Only until the handshake: what is wrong with the host that the coordinator's certificate must name.
  std::unique_ptr<Error> refusal;
  std::string peer_address;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  bool established = false;
  bool failed = false;  // no further TLS record may be written
  bool closed = false;
};

namespace {

constexpr auto kAwait = asio::experimental::as_tuple(asio::use_awaitable);

// A dead peer is noticed after about two minutes of silence.
constexpr int kKeepaliveIdle = 60;
constexpr int kKeepaliveInterval = 15;
constexpr int kKeepaliveProbes = 4;
// Reads without waiting after which the other connections get their turn.
constexpr int kReadsInTurn = 64;

using Connection = std::shared_ptr<TlsConnection>;
using asio::ip::tcp;

std::string address_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return fmt::format(fmt::runtime(endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}"), address, endpoint.port());
}

Error at_peer(const TlsConnection& c, Error error) {
  return {error.code(), error.sentence(), c.peer_address};
}

Error closed_error(const TlsConnection& c, std::string sentence) {
  return {ErrorCode::closed, std::move(sentence), c.peer_address};
}

Error timeout_error(const TlsConnection& c, std::string_view what) {
  return {ErrorCode::timeout, fmt::format("the {} {} in time", peer_of(c.ssl.get()), what), c.peer_address};
}

void tune(tcp::socket& socket) {
  asio::error_code ignored;  // a connection without these works too
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const int descriptor = socket.native_handle();
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepaliveIdle, sizeof kKeepaliveIdle);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepaliveInterval, sizeof kKeepaliveInterval);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &kKeepaliveProbes, sizeof kKeepaliveProbes);
}

Connection make_connection(tcp::socket socket, const TlsContext& context) {
  tune(socket);
  auto connection = std::make_shared<TlsConnection>(std::move(socket), context);
  asio::error_code gone;
  const tcp::endpoint peer = connection->socket.remote_endpoint(gone);
  connection->peer_address = gone ? "(gone)" : address_of(peer);
  return connection;
}

// Before each call on the SSL: what is reported afterwards is of that call.
SSL* fresh(TlsConnection& c) {
  ERR_clear_error();
  c.end.error = 0;
  return c.ssl.get();
}

// What a call on the SSL that moved nothing waits for, or why it failed.
Result<tcp::socket::wait_type> need_of(TlsConnection& c, int result) {
  switch (SSL_get_error(c.ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return tcp::socket::wait_read;
    case SSL_ERROR_WANT_WRITE:
      return tcp::socket::wait_write;
    case SSL_ERROR_ZERO_RETURN:
      return fail(closed_error(c, fmt::format("the {} closed the connection", peer_of(c.ssl.get()))));
    case SSL_ERROR_SSL:
      c.failed = true;
      return fail(at_peer(c, explain_tls_failure(c.ssl.get())));
    default:
      c.failed = true;
      if (c.end.error == 0) {
        return fail(closed_error(c, fmt::format("the {} closed the connection without a word", peer_of(c.ssl.get()))));
      }
      return fail(closed_error(
          c, fmt::format("the connection to the {} broke: {}", peer_of(c.ssl.get()), std::strerror(c.end.error))));
  }
}

// Until the socket is ready. Errors: closed, timeout (of `watch`, if it is armed).
asio::awaitable<Status> wait_until_ready(Connection c, Watch* watch, tcp::socket::wait_type type,
                                         std::string_view late) {
  while (true) {
    if (c->closed) co_return fail(closed_error(*c, "the connection was closed"));
    if (watch->expired()) co_return fail(timeout_error(*c, late));
    const auto [error] = co_await c->socket.async_wait(type, kAwait);
    if (c->closed || watch->expired()) continue;
    // The other direction's deadline cancels all waits on the socket.
    if (error == asio::error::operation_aborted) continue;
    if (error) co_return fail(closed_error(*c, error.message()));
    co_return Status{};
  }
}

Result<PeerIdentity> identify(TlsConnection& c) {
  const std::string_view peer = peer_of(c.ssl.get());
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(c.ssl.get(), &protocol, &size);
  if (std::string_view(reinterpret_cast<const char*>(protocol), size) != protocol::kAlpn) {
    return fail(ErrorCode::tls, fmt::format("the {} does not speak the protocol {}", peer, protocol::kAlpn),
                c.peer_address);
  }
  X509* const shown = SSL_get0_peer_certificate(c.ssl.get());
  CHORUS_ENSURE(shown != nullptr, "an established connection has a peer certificate");
  const auto described = identity::describe(*shown);
  if (!described) return fail(at_peer(c, described.error()));
  const identity::CertificateInfo& info = *described;
  const auto expected =
      SSL_is_server(c.ssl.get()) == 1 ? identity::SubjectKind::device : identity::SubjectKind::coordinator;
  if (info.kind != expected) {
    return fail(ErrorCode::bad_certificate,
                fmt::format("expected the certificate of a {}, found that of a {}", peer, to_string(info.kind)),
                c.peer_address);
  }
  PeerIdentity identity{.device = info.device, .subject = {}, .key = info.key, .expires_at = info.validity.not_after};
  for (const identity::HostName& host : info.hosts) {
    if (!identity.subject.empty()) identity.subject += ',';
    identity.subject += host.text;
  }
  return identity;
}

asio::awaitable<Result<PeerIdentity>> run_handshake(Connection c, std::chrono::nanoseconds timeout) {
  CHORUS_ENSURE(!c->established, "a handshake is made once");
  if (c->refusal != nullptr) co_return fail(*c->refusal);
  const Watch::Use use(c->in);
  while (!c->closed) {
    const int result = SSL_do_handshake(fresh(*c));
    if (result == 1) {
      auto identity = identify(*c);
      c->established = identity.has_value();
      c->failed = !c->established;
      co_return identity;
    }
    const auto need = need_of(*c, result);
    if (!need) co_return fail(need.error());
    if (!c->in.armed()) c->in.arm(c, c->socket, timeout);
    const Status ready = co_await wait_until_ready(c, &c->in, *need, "did not finish the handshake");
    if (!ready) co_return fail(ready.error());
  }
  co_return fail(closed_error(*c, "the connection was closed"));
}

asio::awaitable<Result<protocol::Message>> run_receive(Connection c, std::uint32_t accepted,
                                                       std::optional<std::chrono::nanoseconds> timeout,
                                                       std::chrono::nanoseconds frame_timeout) {
  const Watch::Use use(c->in);
  c->reader.set_accepted(accepted);
  bool frame_watched = false;
  int reads = 0;
  while (!c->closed) {
    const std::span<std::uint8_t> room = c->reader.space();
    std::size_t size = 0;
    const int result = SSL_read_ex(fresh(*c), room.data(), room.size(), &size);
    if (result == 1) {
      c->bytes_in += size;
      auto message = c->reader.filled(size);
      if (!message) co_return fail(message.error().at(c->peer_address));
      if (*message) co_return std::move(**message);
      if (++reads % kReadsInTurn == 0) co_await asio::post(c->socket.get_executor(), asio::use_awaitable);
      continue;
    }
    const auto need = need_of(*c, result);
    if (!need) {
      const bool orderly = (SSL_get_shutdown(c->ssl.get()) & SSL_RECEIVED_SHUTDOWN) != 0 && !c->failed;
      if (orderly && c->reader.mid_frame()) {
        co_return fail(ErrorCode::malformed,
                       fmt::format("the {} closed in the middle of a message", peer_of(c->ssl.get())), c->peer_address);
      }
      co_return fail(need.error());
    }
    if (c->reader.mid_frame()) {
      if (!frame_watched) c->in.arm(c, c->socket, frame_timeout);
      frame_watched = true;
    } else if (timeout && !c->in.armed()) {
      c->in.arm(c, c->socket, *timeout);
    }
    const Status ready =
        co_await wait_until_ready(c, &c->in, *need, frame_watched ? "did not finish its message" : "said nothing");
    if (!ready) co_return fail(ready.error());
  }
  co_return fail(closed_error(*c, "the connection was closed"));
}

// A peer that closes while we write may have said why: an alert that lies unread.
Error last_words(TlsConnection& c, const Error& error) {
  if (c.in.busy() || (c.end.error != EPIPE && c.end.error != ECONNRESET)) return error;
  std::uint8_t byte = 0;
  std::size_t size = 0;
  const int result = SSL_peek_ex(fresh(c), &byte, 1, &size);
  if (result == 1 || SSL_get_error(c.ssl.get(), result) != SSL_ERROR_SSL) return error;
  return at_peer(c, explain_tls_failure(c.ssl.get()));
}

asio::awaitable<Status> run_send(Connection c, wire::Frame frame, std::chrono::nanoseconds timeout) {
  const Watch::Use use(c->out);
  std::size_t sent = 0;
  while (!c->closed) {
    if (sent == frame->size()) co_return Status{};
    std::size_t written = 0;
    const int result = SSL_write_ex(fresh(*c), frame->data() + sent, frame->size() - sent, &written);
    if (result == 1) {
      sent += written;
      c->bytes_out += written;
      continue;
    }
    const auto need = need_of(*c, result);
    if (!need) co_return fail(last_words(*c, need.error()));
    if (!c->out.armed()) c->out.arm(c, c->socket, timeout);
    const Status ready = co_await wait_until_ready(c, &c->out, *need, "did not take our message");
    if (!ready) {
      // Half a frame was written: nothing can follow it.
      c->failed = true;
      co_return fail(ready.error());
    }
  }
  co_return fail(closed_error(*c, "the connection was closed"));
}

void say_goodbye(TlsConnection& c) noexcept {
  if (!c.established || c.failed || c.closed) return;
  SSL_shutdown(fresh(c));
  ERR_clear_error();
}

void close_now(TlsConnection& c) noexcept {
  if (c.closed) return;
  say_goodbye(c);
  c.closed = true;
  c.end.descriptor = -1;
  asio::error_code ignored;
  c.socket.close(ignored);
  c.in.disarm();
  c.out.disarm();
}

asio::awaitable<void> run_finish(Connection c, std::chrono::nanoseconds timeout) {
  if (c->closed) co_return;
  say_goodbye(*c);
  asio::error_code gone;
  c->socket.shutdown(tcp::socket::shutdown_send, gone);
  if (!gone) {
    const Watch::Use use(c->in);
    c->in.arm(c, c->socket, timeout);
    // What arrives is dropped undecrypted.
    std::array<std::uint8_t, 4096> dropped;
    while (!c->closed) {
      const ssize_t size = ::recv(c->end.descriptor, dropped.data(), dropped.size(), MSG_DONTWAIT);
      if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) break;
      if (size > 0 && !c->in.expired()) continue;
      const Status ready = co_await wait_until_ready(c, &c->in, tcp::socket::wait_read, "did not close");
      if (!ready) break;
    }
  }
  close_now(*c);
}

// A certificate names hosts, so we hold the one that was dialled against it.
Status expect_host(SSL* ssl, const std::string& host) {
  CHORUS_TRY(const identity::HostName name, identity::parse_host_name(host));
  X509_VERIFY_PARAM* const parameters = SSL_get0_param(ssl);
  const bool set = name.kind == identity::HostKind::dns
                       ? X509_VERIFY_PARAM_set1_host(parameters, name.text.data(), name.text.size()) == 1 &&
                             SSL_set_tlsext_host_name(ssl, name.text.c_str()) == 1
                       : X509_VERIFY_PARAM_set1_ip(parameters, name.address.data(), name.address.size()) == 1;
  CHORUS_ENSURE(set, "a host name is set");
  return {};
}

}  // namespace

TlsChannel::TlsChannel(asio::ip::tcp::socket socket, const TlsContext& context)
    : connection_(make_connection(std::move(socket), context)) {
  SSL_set_accept_state(connection_->ssl.get());
}

TlsChannel::TlsChannel(asio::ip::tcp::socket socket, const TlsContext& context, std::string host)
    : connection_(make_connection(std::move(socket), context)) {
  SSL_set_connect_state(connection_->ssl.get());
  if (const Status status = expect_host(connection_->ssl.get(), host); !status) {
    connection_->refusal = std::make_unique<Error>(status.error());
  }
}

TlsChannel::~TlsChannel() {
  close();
}

asio::awaitable<Result<PeerIdentity>> TlsChannel::handshake(std::chrono::nanoseconds timeout) {
  return run_handshake(connection_, timeout);
}

asio::awaitable<Result<protocol::Message>> TlsChannel::receive(std::uint32_t accepted,
                                                               std::optional<std::chrono::nanoseconds> timeout,
                                                               std::chrono::nanoseconds frame_timeout) {
  return run_receive(connection_, accepted, timeout, frame_timeout);
}

asio::awaitable<Status> TlsChannel::send(wire::Frame frame, std::chrono::nanoseconds timeout) {
  return run_send(connection_, std::move(frame), timeout);
}

void TlsChannel::close() noexcept {
  close_now(*connection_);
}

asio::awaitable<void> TlsChannel::finish(std::chrono::nanoseconds timeout) {
  return run_finish(connection_, timeout);
}

asio::any_io_executor TlsChannel::executor() {
  return connection_->socket.get_executor();
}

std::uint64_t TlsChannel::bytes_in() const noexcept {
  return connection_->bytes_in;
}

std::uint64_t TlsChannel::bytes_out() const noexcept {
  return connection_->bytes_out;
}

const std::string& TlsChannel::peer_address() const noexcept {
  return connection_->peer_address;
}

}  // namespace chorus::net
