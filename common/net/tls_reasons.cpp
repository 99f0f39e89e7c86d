#include "common/net/tls_reasons.hpp"

#include <array>

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

namespace chorus::net {

namespace {

struct Reason {
  int openssl;
  ErrorCode code;
  // Begins after "the <peer> ".
  std::string_view sentence;
};

// Alerts that the peer sent (RFC 8446 section 6.2) and what our own end objects to.
constexpr std::array kReasons = {
    Reason{SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, ErrorCode::expired,
           "refused our certificate: it is expired, or the revocation list there is out of date"},
    Reason{SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, ErrorCode::revoked, "refused our certificate: it is revoked"},
    Reason{SSL_R_TLSV1_ALERT_UNKNOWN_CA, ErrorCode::bad_certificate,
           "refused our certificate: it is not from the same enrolment authority"},
    Reason{SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, ErrorCode::bad_certificate,
           "refused the connection: it wants to see a certificate"},
    Reason{SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, ErrorCode::bad_certificate,
           "refused our certificate: it is not yet valid there, names another host, or is damaged"},
    Reason{SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, ErrorCode::bad_certificate,
           "refused our certificate: it is for another purpose or of another kind"},
    Reason{SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, ErrorCode::bad_certificate, "refused our certificate"},
    Reason{SSL_R_SSLV3_ALERT_NO_CERTIFICATE, ErrorCode::bad_certificate, "wants to see a certificate"},
    Reason{SSL_R_TLSV1_ALERT_DECRYPT_ERROR, ErrorCode::bad_certificate,
           "refused our certificate: a signature does not hold"},
    Reason{SSL_R_TLSV1_ALERT_ACCESS_DENIED, ErrorCode::bad_certificate, "denied us access"},
    Reason{SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, ErrorCode::unsupported_version, "does not speak TLS 1.3"},
    Reason{SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, ErrorCode::tls, "does not speak the protocol chorus/1"},
    Reason{SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, ErrorCode::tls, "found nothing in common with our TLS settings"},

    Reason{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, ErrorCode::bad_certificate, "showed no certificate"},
    Reason{SSL_R_UNSUPPORTED_PROTOCOL, ErrorCode::unsupported_version, "does not speak TLS 1.3"},
    Reason{SSL_R_VERSION_TOO_LOW, ErrorCode::unsupported_version, "does not speak TLS 1.3"},
    Reason{SSL_R_WRONG_SSL_VERSION, ErrorCode::unsupported_version, "does not speak TLS 1.3"},
    Reason{SSL_R_WRONG_VERSION_NUMBER, ErrorCode::tls, "does not speak TLS"},
    Reason{SSL_R_HTTP_REQUEST, ErrorCode::tls, "speaks HTTP instead of TLS"},
    Reason{SSL_R_HTTPS_PROXY_REQUEST, ErrorCode::tls, "speaks HTTP instead of TLS"},
    Reason{SSL_R_NO_APPLICATION_PROTOCOL, ErrorCode::tls, "does not speak the protocol chorus/1"},
    Reason{SSL_R_CALLBACK_FAILED, ErrorCode::tls, "does not speak the protocol chorus/1"},
    Reason{SSL_R_UNEXPECTED_EOF_WHILE_READING, ErrorCode::closed, "closed the connection without a word"},
};

}  // namespace

std::string_view peer_of(const SSL* ssl) noexcept {
  return SSL_is_server(ssl) == 1 ? "device" : "coordinator";
}

Error explain_refusal(long verify_result, std::string_view peer) {
  switch (verify_result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return {ErrorCode::expired, fmt::format("the certificate of the {} is expired", peer)};
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return {ErrorCode::not_yet_valid,
              fmt::format("the certificate of the {} is not yet valid; are both clocks right?", peer)};
    case X509_V_ERR_CRL_HAS_EXPIRED:
      return {ErrorCode::expired,
              "our revocation list is out of date; fetch the authority's newest, or set the clock right"};
    case X509_V_ERR_CRL_NOT_YET_VALID:
      return {ErrorCode::not_yet_valid, "our revocation list is not yet valid; is the clock right?"};
    case X509_V_ERR_CERT_REVOKED:
      return {ErrorCode::revoked, fmt::format("the certificate of the {} is revoked", peer)};
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return {ErrorCode::wrong_host, fmt::format("the certificate of the {} is for another host", peer)};
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return {ErrorCode::bad_certificate,
              fmt::format("the certificate of the {} is not from our enrolment authority", peer)};
    default:
      return {ErrorCode::bad_certificate, fmt::format("the certificate of the {} is refused: {}", peer,
                                                      X509_verify_cert_error_string(verify_result))};
  }
}

Error explain_tls_failure(const SSL* ssl) {
  const std::string_view peer = peer_of(ssl);
  // The first error is the cause; what follows it is where it led.
  const unsigned long error = ERR_peek_error();
  const int reason = ERR_GET_REASON(error);
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) return explain_refusal(SSL_get_verify_result(ssl), peer);
  if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
    for (const Reason& known : kReasons) {
      if (known.openssl == reason) return {known.code, fmt::format("the {} {}", peer, known.sentence)};
    }
  }
  const char* const words = ERR_reason_error_string(error);
  return {ErrorCode::tls,
          fmt::format("TLS with the {} failed: {}", peer, words != nullptr ? words : "no reason given")};
}

}  // namespace chorus::net
