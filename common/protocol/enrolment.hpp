// What a device and the enrolment authority say to each other (certs/README.md, "The service"). One connection, TLS
// with the authority's own certificate; the device shows none, and proves what it must by signatures:
//
//   authority: Challenge           a number of this connection
//   device:    FetchList           → List
//              Enrol               → Issued | Pending | Refused     a key and an invitation, or nothing but a key
//              Renew               → Issued | Refused               the key that is certified signs the challenge
//              Resign              → Resigned | Refused             the device leaves: revokes itself
//
// Canonical encoding: "CHORUS/1/enrolment", the kind, the fields in the order below. Pure values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"
#include "common/base/result.hpp"
#include "common/crypto/secret_bytes.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/certificate_request.hpp"

namespace chorus::protocol::enrolment {

inline constexpr std::string_view kAlpn = "chorus-enrolment/1";
// A host that the certificate of the authority's service names besides its own, and no coordinator's ever does (RFC
// 6761: nobody can own it): so that a coordinator cannot pass for the authority and take invitations.
inline constexpr std::string_view kServiceName = "enrolment.chorus.invalid";

// A request is small; an answer may carry two revocation lists of 16 MiB.
inline constexpr std::size_t kMostRequest = identity::kMostRequestBytes + 512;
inline constexpr std::size_t kMostList = std::size_t{16} * 1024 * 1024;
inline constexpr std::size_t kMostAnswer = 2 * kMostList + std::size_t{64} * 1024;
inline constexpr std::size_t kMostSentence = 256;
inline constexpr std::size_t kMostAddress = 300;  // HOST:PORT

// What an invitation admits with: its number, which the authority looks up, and its secret, of which the authority
// keeps a hash.
struct Token {
  ByteArray<8> number{};
  crypto::SecretBytes<16> secret{};
};

// What the authority keeps of a token. The secret is 128 random bits: a plain hash keeps it as well as a slow one.
[[nodiscard]] Digest hash_of(const Token& token);

// Whom to enrol with, and with what: a text that a person passes on. 64 hexadecimal digits, the SHA-256 fingerprint of
// the authority's certificate; and, if it carries a token, a dot and 48 more. Without a token an operator must approve.
struct Invitation {
  Digest authority{};  // SHA-256 of its DER
  std::optional<Token> token{};
};
// Wiped when it goes.
using InvitationText = crypto::ZeroizingVector<char>;
[[nodiscard]] InvitationText to_text(const Invitation& invitation);
// Errors: malformed.
[[nodiscard]] chorus::Result<Invitation> parse_invitation(std::string_view text);

struct Challenge {
  ByteArray<32> nonce{};
};

struct FetchList {};
struct Enrol {
  Bytes request;  // PKCS #10
  std::optional<Token> token{};
};
struct Renew {
  identity::Serial serial{};  // of a certificate of this device, which may have ended not long ago
  Bytes request;              // for the same key
  crypto::Signature proof{};  // by the certified key, over renewal_bytes
};
struct Resign {
  identity::Serial serial{};
  crypto::Signature proof{};  // over resignation_bytes
};
using Request = std::variant<FetchList, Enrol, Renew, Resign>;

struct List {
  Bytes list;  // DER, newest
};
// What a device's folder holds, but for its key. All DER, the statement in its own encoding.
struct Documents {
  Bytes authority;
  Bytes certificate;
  Bytes statement;
  Bytes list;
};
// The same device's under the authority that will follow this one, and where that listens ("": where this one does).
struct Successor {
  Documents documents;
  std::string address;
};
struct Issued {
  Documents documents;
  std::optional<Successor> successor{};
};
struct Pending {
  std::chrono::seconds retry_after{60};  // an operator has not yet decided
};
struct Refused {
  ErrorCode code = ErrorCode::invalid_argument;
  std::string sentence;
};
struct Resigned {
  Bytes list;  // that revokes the device
};
using Answer = std::variant<List, Issued, Pending, Refused, Resigned>;

// What a Renew and a Resign sign, under these labels; the challenge keeps them from being used again.
inline constexpr std::string_view kRenewalLabel = "CHORUS/1/renewal";
inline constexpr std::string_view kResignationLabel = "CHORUS/1/resignation";
[[nodiscard]] Bytes renewal_bytes(const Challenge& challenge, const Digest& authority, const Renew& renew);
[[nodiscard]] Bytes resignation_bytes(const Challenge& challenge, const Digest& authority, const Resign& resign);

// Wiped when they go: a request may carry a token. REQUIRES: parts within the limits above; a sentence is cut.
[[nodiscard]] crypto::ZeroizingBytes encode(const Request& request);
[[nodiscard]] Bytes encode(const Challenge& challenge);
[[nodiscard]] Bytes encode(const Answer& answer);
// Errors: malformed (also trailing bytes), too_large.
[[nodiscard]] chorus::Result<Challenge> decode_challenge(ByteView bytes);
[[nodiscard]] chorus::Result<Request> decode_request(ByteView bytes);
[[nodiscard]] chorus::Result<Answer> decode_answer(ByteView bytes);

}  // namespace chorus::protocol::enrolment
