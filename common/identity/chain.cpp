#include "common/identity/chain.hpp"

#include <ctime>
#include <string>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/x509_vfy.h>

#include "common/base/check.hpp"
#include "common/identity/x509_values.hpp"

namespace chorus::identity {

namespace {

using StoreHandle = crypto::OpensslHandle<X509_STORE, &X509_STORE_free>;
using StoreContext = crypto::OpensslHandle<X509_STORE_CTX, &X509_STORE_CTX_free>;

std::string place_of(const CertificateInfo& info) {
  switch (info.kind) {
    case SubjectKind::authority:
      return "the authority's certificate";
    case SubjectKind::coordinator:
      return "certificate of " + info.hosts.front().text;
    case SubjectKind::device:
      return "certificate of device " + to_string(*info.device);
  }
  return "certificate";
}

}  // namespace

struct ChainVerifier::State {
  StoreHandle store{X509_STORE_new()};
  Validity authority;
  WallTime list_from{};
  WallTime list_until{};

  // `error` and `depth` as OpenSSL reports them: depth 0 is the certificate, 1 the authority's.
  [[nodiscard]] Error explain(int error, int depth, const CertificateInfo& info) const {
    const std::string place = depth == 0 ? place_of(info) : "the authority's certificate";
    const Validity& validity = depth == 0 ? info.validity : authority;
    switch (error) {
      case X509_V_ERR_CERT_HAS_EXPIRED:
        return {ErrorCode::expired, fmt::format("expired on {:%FT%TZ}", validity.not_after), place};
      case X509_V_ERR_CERT_NOT_YET_VALID:
        return {ErrorCode::not_yet_valid, fmt::format("begins on {:%FT%TZ}; is the clock right?", validity.not_before),
                place};
      case X509_V_ERR_CRL_HAS_EXPIRED:
        return {ErrorCode::expired,
                fmt::format("out of date since {:%FT%TZ}; fetch the authority's newest, or set the clock right",
                            list_until),
                "revocation list"};
      case X509_V_ERR_CRL_NOT_YET_VALID:
        return {ErrorCode::not_yet_valid, fmt::format("begins on {:%FT%TZ}; is the clock right?", list_from),
                "revocation list"};
      case X509_V_ERR_CERT_REVOKED:
        return {ErrorCode::revoked, "the authority revoked it", place};
      default:
        return {ErrorCode::bad_certificate, X509_verify_cert_error_string(error), place};
    }
  }
};

ChainVerifier::ChainVerifier(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChainVerifier::~ChainVerifier() = default;
ChainVerifier::ChainVerifier(ChainVerifier&&) noexcept = default;
ChainVerifier& ChainVerifier::operator=(ChainVerifier&&) noexcept = default;

Result<ChainVerifier> ChainVerifier::create(const Certificate& authority, const RevocationList& list) {
  if (authority.info().kind != SubjectKind::authority) {
    return fail(ErrorCode::bad_certificate, "expected an authority's certificate", place_of(authority.info()));
  }
  const auto root = x509::parse_der<crypto::X509Handle>(authority.der(), &d2i_X509);
  const auto crl = x509::parse_der<crypto::CrlHandle>(list.der(), &d2i_X509_CRL);
  CHORUS_ENSURE(root != nullptr && crl != nullptr, "what was parsed once parses again");
  auto state = std::make_unique<State>();
  CHORUS_ENSURE(state->store != nullptr && X509_STORE_add_cert(state->store.get(), root.get()) == 1 &&
                    X509_STORE_add_crl(state->store.get(), crl.get()) == 1,
                "a store takes a root and a list");
  state->authority = authority.info().validity;
  state->list_from = list.this_update();
  state->list_until = list.next_update();
  return ChainVerifier(std::move(state));
}

Status ChainVerifier::verify(const Certificate& certificate, WallTime now, SubjectKind role) const {
  CHORUS_ENSURE(state_ != nullptr, "the verifier was not moved from");
  const CertificateInfo& info = certificate.info();
  if (info.kind != role) {
    return fail(
        ErrorCode::bad_certificate,
        fmt::format("expected the certificate of a {}, found that of a {}", to_string(role), to_string(info.kind)),
        place_of(info));
  }
  const crypto::ErrorMark mark;
  const auto leaf = x509::parse_der<crypto::X509Handle>(certificate.der(), &d2i_X509);
  const StoreContext context(X509_STORE_CTX_new());
  CHORUS_ENSURE(leaf != nullptr && context != nullptr &&
                    X509_STORE_CTX_init(context.get(), state_->store.get(), leaf.get(), nullptr) == 1,
                "a certificate is looked at");
  X509_VERIFY_PARAM* const parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, static_cast<std::time_t>(now.time_since_epoch().count()));
  X509_VERIFY_PARAM_set_depth(parameters, 0);  // no intermediate authorities
  // A root is looked at for its own sake: it is on no list, and it is neither server nor client.
  unsigned long flags = X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE;
  if (role != SubjectKind::authority) {
    flags |= X509_V_FLAG_CRL_CHECK;
    const int purpose = role == SubjectKind::coordinator ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
    CHORUS_ENSURE(X509_VERIFY_PARAM_set_purpose(parameters, purpose) == 1, "a purpose is set");
  }
  CHORUS_ENSURE(X509_VERIFY_PARAM_set_flags(parameters, flags) == 1, "flags are set");
  if (X509_verify_cert(context.get()) == 1) return {};
  return fail(
      state_->explain(X509_STORE_CTX_get_error(context.get()), X509_STORE_CTX_get_error_depth(context.get()), info));
}

Status verify(const Certificate& certificate, const Certificate& authority, const RevocationList& list, WallTime now,
              SubjectKind role) {
  CHORUS_TRY(const ChainVerifier verifier, ChainVerifier::create(authority, list));
  return verifier.verify(certificate, now, role);
}

}  // namespace chorus::identity
