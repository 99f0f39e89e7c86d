#include "common/net/enrolment_channel.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <asio/experimental/as_tuple.hpp>
#include <asio/read.hpp>
#include <asio/ssl.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <fmt/core.h>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "common/crypto/openssl_handles.hpp"
#include "common/identity/private_key_pem.hpp"
#include "common/net/tls_reasons.hpp"
#include "common/protocol/enrolment.hpp"

namespace chorus::net {

namespace enrolment = protocol::enrolment;
using asio::ip::tcp;

struct EnrolmentTls::State {
  explicit State(asio::ssl::context::method method) : context(method) {}
  asio::ssl::context context;
  Digest authority{};  // the device's end: whom it expects
};

namespace {

constexpr auto kAwait = asio::experimental::as_tuple(asio::use_awaitable);
constexpr std::size_t kLengthBytes = 4;
// A message's buffer grows by so much as it arrives, never by what was announced.
constexpr std::size_t kPiece = std::size_t{64} * 1024;

// The length-prefixed form of the one protocol name.
const std::string& alpn_list() {
  static const std::string list = static_cast<char>(enrolment::kAlpn.size()) + std::string(enrolment::kAlpn);
  return list;
}

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned int offered_size, void*) {
  const std::string& ours = alpn_list();
  unsigned char* selected = nullptr;
  const int found = SSL_select_next_proto(&selected, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                                          static_cast<unsigned int>(ours.size()), offered, offered_size);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

// As for the rounds (tls_context.cpp): TLS 1.3 with Ed25519 and X25519 alone, nothing resumed.
void set_protocol(SSL_CTX* context) {
  CHORUS_ENSURE(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set_ciphersuites(
                        context, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384") == 1 &&
                    SSL_CTX_set1_groups_list(context, "X25519") == 1 &&
                    SSL_CTX_set1_sigalgs_list(context, "ed25519") == 1,
                "OpenSSL knows TLS 1.3, X25519 and Ed25519");
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  CHORUS_ENSURE(SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set_max_early_data(context, 0) == 1,
                "no session is resumed");
}

struct StackFree {
  void operator()(STACK_OF(X509) * stack) const noexcept { sk_X509_free(stack); }  // the certificates are others'
};

// The one trust anchor is the certificate with the fingerprint that the device was given, among those that are shown.
int verify_pinned(X509_STORE_CTX* store, void* expected) {
  const Digest& authority = *static_cast<const Digest*>(expected);
  const std::unique_ptr<STACK_OF(X509), StackFree> anchors(sk_X509_new_null());
  STACK_OF(X509)* const shown = X509_STORE_CTX_get0_untrusted(store);
  for (int i = 0; anchors != nullptr && i < sk_X509_num(shown); ++i) {
    X509* const candidate = sk_X509_value(shown, i);
    Digest digest{};
    unsigned int size = 0;
    if (X509_digest(candidate, EVP_sha256(), digest.data(), &size) != 1 || digest != authority) continue;
    sk_X509_push(anchors.get(), candidate);
    break;
  }
  if (anchors == nullptr || sk_X509_num(anchors.get()) == 0) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
    return 0;
  }
  X509_STORE_CTX_set0_trusted_stack(store, anchors.get());
  const int verified = X509_verify_cert(store);
  X509_STORE_CTX_set0_trusted_stack(store, nullptr);
  return verified;
}

bool names_the_service(const identity::CertificateInfo& info) {
  return info.kind == identity::SubjectKind::coordinator &&
         std::ranges::any_of(info.hosts,
                             [](const identity::HostName& host) { return host.text == enrolment::kServiceName; });
}

Result<identity::Certificate> copied(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  CHORUS_ENSURE(size > 0, "a certificate that was verified has a DER form");
  auto parsed = identity::Certificate::from_der(ByteView(der, static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  return parsed;
}

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return fmt::format(fmt::runtime(endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}"), address, endpoint.port());
}

}  // namespace

// Held by the coroutines in flight.
struct EnrolmentChannel::State {
  State(tcp::socket connected, std::shared_ptr<EnrolmentTls::State> held, bool is_service)
      : tls(std::move(held)),
        stream(std::move(connected), tls->context),
        timer(stream.get_executor()),
        service(is_service) {
    asio::error_code gone;
    const tcp::endpoint other = stream.next_layer().remote_endpoint(gone);
    address = gone ? "(gone)" : text_of(other);
  }

  std::shared_ptr<EnrolmentTls::State> tls;
  asio::ssl::stream<tcp::socket> stream;
  asio::steady_timer timer;
  std::uint64_t arming = 0;
  bool service;
  bool expired = false;
  std::string address;
  std::optional<Error> refusal;  // what is wrong with the host that the certificate must name
  std::optional<identity::Certificate> authority;
  std::optional<identity::Certificate> peer;
};

namespace {

using Connection = std::shared_ptr<EnrolmentChannel::State>;

// While it lives, the operation under way has so much time; then the socket is closed.
class Deadline {
 public:
  Deadline(const Connection& connection, std::chrono::nanoseconds timeout) : connection_(connection) {
    connection->timer.expires_after(timeout);
    connection->timer.async_wait(
        [alive = std::weak_ptr(connection), arming = ++connection->arming](const asio::error_code& cancelled) {
          const Connection held = alive.lock();
          if (cancelled || held == nullptr || held->arming != arming) return;
          held->expired = true;
          asio::error_code ignored;
          held->stream.next_layer().close(ignored);
        });
  }
  ~Deadline() {
    ++connection_->arming;
    connection_->timer.cancel();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  Connection connection_;
};

Error explain(const EnrolmentChannel::State& c, const asio::error_code& error) {
  const std::string_view peer = c.service ? "device" : "enrolment authority";
  if (c.expired) return {ErrorCode::timeout, fmt::format("the {} took too long", peer), c.address};
  if (error.category() == asio::error::get_ssl_category()) {
    return {ErrorCode::tls, fmt::format("TLS with the {} failed: {}", peer, error.message()), c.address};
  }
  return {ErrorCode::closed, fmt::format("the {} closed the connection ({})", peer, error.message()), c.address};
}

asio::awaitable<Status> run_handshake(Connection c, std::chrono::nanoseconds timeout) {
  if (c->refusal) co_return fail(*c->refusal);
  const Deadline deadline(c, timeout);
  const auto [error] = co_await c->stream.async_handshake(
      c->service ? asio::ssl::stream_base::server : asio::ssl::stream_base::client, kAwait);
  SSL* const ssl = c->stream.native_handle();
  if (error) {
    const long verified = SSL_get_verify_result(ssl);
    if (!c->expired && !c->service && verified != X509_V_OK) {
      co_return fail(explain_refusal(verified, "enrolment authority").at(c->address));
    }
    co_return fail(explain(*c, error));
  }
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  if (std::string_view(reinterpret_cast<const char*>(protocol), size) != enrolment::kAlpn) {
    co_return fail(ErrorCode::tls, fmt::format("the peer does not speak the protocol {}", enrolment::kAlpn),
                   c->address);
  }
  if (c->service) co_return Status{};
  auto shown = copied(SSL_get0_peer_certificate(ssl));
  if (!shown) co_return fail(shown.error().at(c->address));
  if (!names_the_service(shown->info())) {
    co_return fail(ErrorCode::bad_certificate, "this is not the enrolment authority but another of its servers",
                   c->address);
  }
  STACK_OF(X509)* const chain = SSL_get0_verified_chain(ssl);
  auto root = copied(sk_X509_value(chain, sk_X509_num(chain) - 1));
  if (!root) co_return fail(root.error().at(c->address));
  if (root->info().kind != identity::SubjectKind::authority) {
    co_return fail(ErrorCode::bad_certificate, "the fingerprint is not that of an authority", c->address);
  }
  c->peer = *std::move(shown);
  c->authority = *std::move(root);
  co_return Status{};
}

asio::awaitable<Result<crypto::ZeroizingBytes>> run_receive(Connection c, std::size_t most,
                                                            std::chrono::nanoseconds timeout) {
  const Deadline deadline(c, timeout);
  ByteArray<kLengthBytes> head{};
  const auto [failed, read] = co_await asio::async_read(c->stream, asio::buffer(head), kAwait);
  if (failed) co_return fail(explain(*c, failed));
  const std::size_t size = ByteReader(head).u32();
  if (size > most) {
    co_return fail(ErrorCode::too_large, fmt::format("a message of {} bytes; the limit is {}", size, most), c->address);
  }
  crypto::ZeroizingBytes message;
  while (message.size() < size) {
    const std::size_t before = message.size();
    message.resize(std::min(size, before + kPiece));
    const auto [error, more] =
        co_await asio::async_read(c->stream, asio::buffer(message.data() + before, message.size() - before), kAwait);
    if (error) co_return fail(explain(*c, error));
  }
  co_return message;
}

asio::awaitable<Status> run_send(Connection c, crypto::ZeroizingBytes message, std::chrono::nanoseconds timeout) {
  const Deadline deadline(c, timeout);
  ByteWriter head;
  head.u32(static_cast<std::uint32_t>(message.size()));
  message.insert(message.begin(), head.view().begin(), head.view().end());
  const auto [error, written] = co_await asio::async_write(c->stream, asio::buffer(message), kAwait);
  if (error) co_return fail(explain(*c, error));
  co_return Status{};
}

asio::awaitable<void> run_finish(Connection c, std::chrono::nanoseconds timeout) {
  const Deadline deadline(c, timeout);
  co_await c->stream.async_shutdown(kAwait);  // an error is an end, too
  asio::error_code ignored;
  c->stream.next_layer().close(ignored);
}

}  // namespace

Result<EnrolmentTls> EnrolmentTls::service(const identity::Certificate& own, const crypto::SigningKey& key,
                                           const identity::Certificate& authority) {
  if (own.info().key != key.public_key()) {
    return fail(ErrorCode::bad_certificate, "the key does not belong to the certificate");
  }
  const crypto::ErrorMark mark;
  auto state = std::make_shared<State>(asio::ssl::context::tls_server);
  SSL_CTX* const context = state->context.native_handle();
  set_protocol(context);
  SSL_CTX_set_alpn_select_cb(context, &select_protocol, nullptr);
  const crypto::ZeroizingBytes pem = identity::private_key_pem(key);
  asio::error_code error;
  const std::string chain = own.pem() + authority.pem();
  state->context.use_certificate_chain(asio::buffer(chain), error);
  CHORUS_ENSURE(!error, "a chain of two certificates is taken");
  state->context.use_private_key(asio::buffer(pem.data(), pem.size()), asio::ssl::context::pem, error);
  CHORUS_ENSURE(!error, "a key and its certificate are taken");
  return EnrolmentTls(std::move(state));
}

EnrolmentTls EnrolmentTls::device(const Digest& authority) {
  const crypto::ErrorMark mark;
  auto state = std::make_shared<State>(asio::ssl::context::tls_client);
  state->authority = authority;
  SSL_CTX* const context = state->context.native_handle();
  set_protocol(context);
  // Zero is success here.
  CHORUS_ENSURE(SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(alpn_list().data()),
                                        static_cast<unsigned int>(alpn_list().size())) == 0,
                "a protocol name is set");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_verify_depth(context, 0);
  // The state lives as long as any stream that was made of it.
  SSL_CTX_set_cert_verify_callback(context, &verify_pinned, &state->authority);
  X509_VERIFY_PARAM* const parameters = SSL_CTX_get0_param(context);
  CHORUS_ENSURE(
      X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE) == 1 &&
          X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER) == 1,
      "what is checked is set");
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return EnrolmentTls(std::move(state));
}

EnrolmentChannel::EnrolmentChannel(tcp::socket socket, const EnrolmentTls& tls)
    : state_(std::make_shared<State>(std::move(socket), tls.state_, true)) {}

EnrolmentChannel::EnrolmentChannel(tcp::socket socket, const EnrolmentTls& tls, std::string host)
    : state_(std::make_shared<State>(std::move(socket), tls.state_, false)) {
  const auto name = identity::parse_host_name(host);
  if (!name) {
    state_->refusal = name.error();
    return;
  }
  SSL* const ssl = state_->stream.native_handle();
  X509_VERIFY_PARAM* const parameters = SSL_get0_param(ssl);
  const bool set = name->kind == identity::HostKind::dns
                       ? X509_VERIFY_PARAM_set1_host(parameters, name->text.data(), name->text.size()) == 1 &&
                             SSL_set_tlsext_host_name(ssl, name->text.c_str()) == 1
                       : X509_VERIFY_PARAM_set1_ip(parameters, name->address.data(), name->address.size()) == 1;
  CHORUS_ENSURE(set, "a host name is set");
}

EnrolmentChannel::~EnrolmentChannel() {
  close();
}

asio::awaitable<Status> EnrolmentChannel::handshake(std::chrono::nanoseconds timeout) {
  return run_handshake(state_, timeout);
}

asio::awaitable<Result<crypto::ZeroizingBytes>> EnrolmentChannel::receive(std::size_t most,
                                                                          std::chrono::nanoseconds timeout) {
  return run_receive(state_, most, timeout);
}

asio::awaitable<Status> EnrolmentChannel::send(crypto::ZeroizingBytes message, std::chrono::nanoseconds timeout) {
  return run_send(state_, std::move(message), timeout);
}

asio::awaitable<void> EnrolmentChannel::finish(std::chrono::nanoseconds timeout) {
  return run_finish(state_, timeout);
}

void EnrolmentChannel::close() noexcept {
  asio::error_code ignored;
  state_->stream.next_layer().close(ignored);
}

const identity::Certificate& EnrolmentChannel::authority() const {
  CHORUS_ENSURE(state_->authority.has_value(), "the handshake is done, on the device's side");
  return *state_->authority;
}

const identity::Certificate& EnrolmentChannel::peer() const {
  CHORUS_ENSURE(state_->peer.has_value(), "the handshake is done, on the device's side");
  return *state_->peer;
}

const std::string& EnrolmentChannel::peer_address() const noexcept {
  return state_->address;
}

}  // namespace chorus::net
