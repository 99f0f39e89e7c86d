#include "common/net/tls_context.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include <fmt/core.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "common/base/check.hpp"
#include "common/crypto/openssl_handles.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/chain.hpp"
#include "common/identity/private_key_pem.hpp"
#include "common/identity/revocation_list.hpp"
#include "common/protocol/messages.hpp"

namespace chorus::net {

namespace {

using identity::SubjectKind;

constexpr std::size_t kMaxPem = std::size_t{16} * 1024;
// A list of 150,000 devices, in PEM.
constexpr std::size_t kMaxListPem = std::size_t{24} * 1024 * 1024;

// Into `text`, which may be one that wipes itself: no buffer in between keeps a key.
template <typename Text>
Status read_file(const std::filesystem::path& path, std::size_t most, Text& text) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (file == nullptr) return fail(ErrorCode::not_found, "cannot be opened", path.string());
  std::setvbuf(file.get(), nullptr, _IONBF, 0);
  std::size_t filled = 0;
  text.resize(std::min(most + 1, std::size_t{4096}));
  while (true) {
    const std::size_t read = std::fread(text.data() + filled, 1, text.size() - filled, file.get());
    if (read == 0) break;
    filled += read;
    if (filled > most) {
      return fail(ErrorCode::malformed, fmt::format("more than {} bytes, which no such file has", most), path.string());
    }
    if (filled == text.size()) text.resize(std::min(most + 1, 2 * filled));
  }
  if (std::ferror(file.get()) != 0) return fail(ErrorCode::io, "cannot be read", path.string());
  text.resize(filled);
  return {};
}

// What both ends insist on: the length-prefixed form of one protocol name.
std::string alpn_list() {
  return static_cast<char>(protocol::kAlpn.size()) + std::string(protocol::kAlpn);
}

// A client that names no protocol at all never reaches select_protocol.
int require_alpn(SSL* ssl, int* alert, void*) {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data, &size) == 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  // An old version is named as such, whatever else is wrong.
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &data, &size) != 1)
    return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned int offered_size, void*) {
  static const std::string ours = alpn_list();
  unsigned char* selected = nullptr;
  const int found = SSL_select_next_proto(&selected, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                                          static_cast<unsigned int>(ours.size()), offered, offered_size);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

void set_alpn(SSL_CTX* context, bool server) {
  if (server) {
    SSL_CTX_set_client_hello_cb(context, &require_alpn, nullptr);
    SSL_CTX_set_alpn_select_cb(context, &select_protocol, nullptr);
    return;
  }
  const std::string list = alpn_list();
  // Zero is success here, unlike everywhere else.
  CHORUS_ENSURE(SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(list.data()),
                                        static_cast<unsigned int>(list.size())) == 0,
                "a protocol name is set");
}

// TLS 1.3 with Ed25519 and X25519 alone; no resumption, no tickets, no early data.
void set_protocol(SSL_CTX* context) {
  CHORUS_ENSURE(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set_ciphersuites(
                        context, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384") == 1 &&
                    SSL_CTX_set1_groups_list(context, "X25519") == 1 &&
                    SSL_CTX_set1_sigalgs_list(context, "ed25519") == 1 &&
                    SSL_CTX_set1_client_sigalgs_list(context, "ed25519") == 1,
                "OpenSSL knows TLS 1.3, X25519 and Ed25519");
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  CHORUS_ENSURE(SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set_max_early_data(context, 0) == 1,
                "no session is resumed");
  // An idle connection holds no record buffers; a frame is written record by record, from where it lies.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
  // One system call a record instead of two.
  SSL_CTX_set_read_ahead(context, 1);
}

// The authority is the only trust anchor; there are no intermediate authorities; the list must be in date.
void set_verification(SSL_CTX* context, const identity::Certificate& authority, const identity::RevocationList& list,
                      SubjectKind peer) {
  const unsigned char* root_at = authority.der().data();
  const crypto::X509Handle root(d2i_X509(nullptr, &root_at, static_cast<long>(authority.der().size())));
  const unsigned char* list_at = list.der().data();
  const crypto::CrlHandle crl(d2i_X509_CRL(nullptr, &list_at, static_cast<long>(list.der().size())));
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  CHORUS_ENSURE(root != nullptr && crl != nullptr && X509_STORE_add_cert(store, root.get()) == 1 &&
                    X509_STORE_add_crl(store, crl.get()) == 1,
                "what was parsed once is taken");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_verify_depth(context, 0);
  X509_VERIFY_PARAM* const parameters = SSL_CTX_get0_param(context);
  const int purpose = peer == SubjectKind::coordinator ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
  CHORUS_ENSURE(X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_X509_STRICT |
                                                            X509_V_FLAG_CHECK_SS_SIGNATURE) == 1 &&
                    X509_VERIFY_PARAM_set_purpose(parameters, purpose) == 1,
                "what is checked is set");
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
}

// REQUIRES: parse_private_key_pem took the key, and it belongs to the certificate.
void set_own_certificate(SSL_CTX* context, const identity::Certificate& certificate, ByteView key_pem) {
  const unsigned char* at = certificate.der().data();
  const crypto::X509Handle own(d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size())));
  const crypto::BioHandle bio(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  CHORUS_ENSURE(own != nullptr && bio != nullptr, "what was parsed once parses again");
  const crypto::KeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  CHORUS_ENSURE(key != nullptr && SSL_CTX_use_certificate(context, own.get()) == 1 &&
                    SSL_CTX_use_PrivateKey(context, key.get()) == 1,
                "a key and its certificate are taken");
}

struct Made {
  std::shared_ptr<SSL_CTX> context;
  WallTime certificate_expires;
  WallTime crl_expires;
};

template <typename T>
Result<T> named(Result<T> result, std::string_view name) {
  if (!result) return fail(result.error().at(name));
  return result;
}

Result<Made> make(const TlsCredentials& credentials, WallTime now, SubjectKind role) {
  CHORUS_TRY(const auto authority,
             named(identity::Certificate::from_pem(credentials.authority), "the authority's certificate"));
  CHORUS_TRY(const auto list, named(identity::RevocationList::from_pem(credentials.crl), "the revocation list"));
  CHORUS_TRY(const auto certificate, named(identity::Certificate::from_pem(credentials.certificate),
                                           fmt::format("the {}'s certificate", to_string(role))));
  CHORUS_TRY(const auto key,
             named(identity::parse_private_key_pem(credentials.key), fmt::format("the {}'s key", to_string(role))));
  if (key.public_key() != certificate.info().key) {
    return fail(ErrorCode::bad_certificate, "the key does not belong to the certificate",
                fmt::format("the {}'s key", to_string(role)));
  }
  CHORUS_TRY_DO(identity::check(list, authority, now));
  CHORUS_TRY_DO(identity::verify(certificate, authority, list, now, role));

  const crypto::ErrorMark mark;
  const bool server = role == SubjectKind::coordinator;
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()), &SSL_CTX_free);
  CHORUS_ENSURE(context != nullptr, "a TLS context is allocated");
  set_protocol(context.get());
  set_alpn(context.get(), server);
  set_verification(context.get(), authority, list, server ? SubjectKind::device : SubjectKind::coordinator);
  set_own_certificate(context.get(), certificate, credentials.key);
  return Made{std::move(context), certificate.info().validity.not_after, list.next_update()};
}

}  // namespace

Result<TlsCredentials> read_credentials(const std::filesystem::path& folder, std::string_view role) {
  TlsCredentials credentials;
  CHORUS_TRY_DO(read_file(folder / fmt::format("{}.crt", role), kMaxPem, credentials.certificate));
  CHORUS_TRY_DO(read_file(folder / fmt::format("{}.key", role), kMaxPem, credentials.key));
  CHORUS_TRY_DO(read_file(folder / "authority.crt", kMaxPem, credentials.authority));
  CHORUS_TRY_DO(read_file(folder / "crl.pem", kMaxListPem, credentials.crl));
  if (role == "device") CHORUS_TRY_DO(read_file(folder / "identity.statement", kMaxPem, credentials.statement));
  return credentials;
}

Result<TlsContext> TlsContext::server(const TlsCredentials& credentials, WallTime now) {
  CHORUS_TRY(Made made, make(credentials, now, SubjectKind::coordinator));
  TlsContext context;
  context.context_ = std::move(made.context);
  context.certificate_expires_ = made.certificate_expires;
  context.crl_expires_ = made.crl_expires;
  return context;
}

Result<TlsContext> TlsContext::client(const TlsCredentials& credentials, WallTime now) {
  CHORUS_TRY(Made made, make(credentials, now, SubjectKind::device));
  TlsContext context;
  context.context_ = std::move(made.context);
  context.certificate_expires_ = made.certificate_expires;
  context.crl_expires_ = made.crl_expires;
  return context;
}

}  // namespace chorus::net
