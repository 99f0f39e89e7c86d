#include "common/protocol/enrolment.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/crypto/hash.hpp"
#include "common/dataset/text.hpp"

namespace chorus::protocol::enrolment {
namespace {

constexpr std::string_view kLabel = "CHORUS/1/enrolment";
constexpr std::string_view kTokenLabel = "CHORUS/1/invitation";
constexpr std::size_t kMostDocument = 16 * 1024;
constexpr std::size_t kMostCode = 32;
constexpr std::size_t kTokenSize = 8 + 16;

enum class Kind : std::uint8_t {
  challenge = 1,
  fetch_list,
  enrol,
  renew,
  resign,
  list,
  issued,
  pending,
  refused,
  resigned,
};

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

ByteWriter begin(Kind kind) {
  ByteWriter out;
  out.string(kLabel);
  out.u8(static_cast<std::uint8_t>(kind));
  return out;
}

// The kind of what begins here.
chorus::Result<Kind> begin(ByteReader& in) {
  const ByteView label = in.bytes(kLabel.size());
  const std::uint8_t kind = in.u8();
  if (in.failed() || !std::ranges::equal(label, as_bytes(kLabel))) {
    return fail(ErrorCode::malformed, fmt::format("expected a message that begins with '{}'", kLabel));
  }
  return static_cast<Kind>(kind);
}

Bytes owned(ByteView bytes) {
  return {bytes.begin(), bytes.end()};
}

// A flag of one byte: whether something follows.
bool present(ByteReader& in) {
  const std::uint8_t flag = in.u8();
  if (flag > 1) in.reject("a part is there or not");
  return flag == 1;
}

void write(ByteWriter& out, const Documents& documents) {
  out.bytes(documents.authority);
  out.bytes(documents.certificate);
  out.bytes(documents.statement);
  out.bytes(documents.list);
}

Documents read_documents(ByteReader& in) {
  Documents documents;
  documents.authority = owned(in.bytes(kMostDocument));
  documents.certificate = owned(in.bytes(kMostDocument));
  documents.statement = owned(in.bytes(kMostDocument));
  documents.list = owned(in.bytes(kMostList));
  return documents;
}

// A code travels as its name, so that numbering is nobody's contract.
ErrorCode read_code(ByteReader& in) {
  const std::string name = in.string(kMostCode);
  constexpr int kLast = static_cast<int>(ErrorCode::overloaded);
  for (int code = 0; code <= kLast; ++code) {
    if (to_string(static_cast<ErrorCode>(code)) == name) return static_cast<ErrorCode>(code);
  }
  in.reject("an unknown error code");
  return ErrorCode::malformed;
}

Bytes signed_bytes(const Challenge& challenge, const Digest& authority, const identity::Serial& serial,
                   const Digest& more) {
  ByteWriter out;
  out.raw(challenge.nonce);
  out.raw(authority);
  out.raw(serial);
  out.raw(more);
  return std::move(out).take();
}

void append_hex(InvitationText& text, ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
}

}  // namespace

Digest hash_of(const Token& token) {
  return crypto::Sha256().update(as_bytes(kTokenLabel)).update(token.number).update(token.secret.expose()).finish();
}

InvitationText to_text(const Invitation& invitation) {
  InvitationText text;
  text.reserve(2 * (invitation.authority.size() + kTokenSize) + 1);
  append_hex(text, invitation.authority);
  if (invitation.token) {
    text.push_back('.');
    append_hex(text, invitation.token->number);
    append_hex(text, invitation.token->secret.expose());
  }
  return text;
}

chorus::Result<Invitation> parse_invitation(std::string_view text) {
  const auto malformed = [] {
    return fail(ErrorCode::malformed,
                "an invitation is 64 hexadecimal digits, and with a token a dot and 48 more: copy all of it",
                "invitation");
  };
  Invitation invitation;
  const std::size_t dot = text.find('.');
  if (!from_hex_into(text.substr(0, dot), invitation.authority)) return malformed();
  if (dot == std::string_view::npos) return invitation;
  const std::string_view rest = text.substr(dot + 1);
  if (rest.size() != 2 * kTokenSize) return malformed();
  Token& token = invitation.token.emplace();
  if (!from_hex_into(rest.substr(0, 16), token.number) || !from_hex_into(rest.substr(16), token.secret.expose())) {
    return malformed();
  }
  return invitation;
}

Bytes renewal_bytes(const Challenge& challenge, const Digest& authority, const Renew& renew) {
  return signed_bytes(challenge, authority, renew.serial, crypto::sha256(renew.request));
}

Bytes resignation_bytes(const Challenge& challenge, const Digest& authority, const Resign& resign) {
  return signed_bytes(challenge, authority, resign.serial, Digest{});
}

crypto::ZeroizingBytes encode(const Request& request) {
  // ByteWriter's own buffer would keep a token: what is secret is appended to one that wipes itself.
  const auto wiped = [](ByteWriter out) { return crypto::ZeroizingBytes(out.view().begin(), out.view().end()); };
  return std::visit(Overloaded{
                        [&](const FetchList&) { return wiped(begin(Kind::fetch_list)); },
                        [&](const Enrol& enrol) {
                          ByteWriter out = begin(Kind::enrol);
                          out.bytes(enrol.request);
                          out.u8(enrol.token ? 1 : 0);
                          crypto::ZeroizingBytes bytes = wiped(std::move(out));
                          if (enrol.token) {
                            const auto secret = enrol.token->secret.expose();
                            bytes.reserve(bytes.size() + kTokenSize);
                            bytes.insert(bytes.end(), enrol.token->number.begin(), enrol.token->number.end());
                            bytes.insert(bytes.end(), secret.begin(), secret.end());
                          }
                          return bytes;
                        },
                        [&](const Renew& renew) {
                          ByteWriter out = begin(Kind::renew);
                          out.raw(renew.serial);
                          out.bytes(renew.request);
                          out.raw(renew.proof);
                          return wiped(std::move(out));
                        },
                        [&](const Resign& resign) {
                          ByteWriter out = begin(Kind::resign);
                          out.raw(resign.serial);
                          out.raw(resign.proof);
                          return wiped(std::move(out));
                        },
                    },
                    request);
}

Bytes encode(const Challenge& challenge) {
  ByteWriter out = begin(Kind::challenge);
  out.raw(challenge.nonce);
  return std::move(out).take();
}

Bytes encode(const Answer& answer) {
  return std::visit(Overloaded{
                        [](const List& list) {
                          ByteWriter out = begin(Kind::list);
                          out.bytes(list.list);
                          return std::move(out).take();
                        },
                        [](const Issued& issued) {
                          ByteWriter out = begin(Kind::issued);
                          write(out, issued.documents);
                          out.u8(issued.successor ? 1 : 0);
                          if (issued.successor) {
                            write(out, issued.successor->documents);
                            out.string(issued.successor->address);
                          }
                          return std::move(out).take();
                        },
                        [](const Pending& pending) {
                          ByteWriter out = begin(Kind::pending);
                          out.u32(static_cast<std::uint32_t>(pending.retry_after.count()));
                          return std::move(out).take();
                        },
                        [](const Refused& refused) {
                          ByteWriter out = begin(Kind::refused);
                          out.string(to_string(refused.code));
                          out.string(dataset::printable(refused.sentence, kMostSentence));
                          return std::move(out).take();
                        },
                        [](const Resigned& resigned) {
                          ByteWriter out = begin(Kind::resigned);
                          out.bytes(resigned.list);
                          return std::move(out).take();
                        },
                    },
                    answer);
}

chorus::Result<Challenge> decode_challenge(ByteView bytes) {
  ByteReader in(bytes);
  CHORUS_TRY(const Kind kind, begin(in));
  if (kind != Kind::challenge) in.reject("another message than a challenge");
  Challenge challenge;
  challenge.nonce = in.array<32>();
  CHORUS_TRY_DO(in.finish("challenge"));
  return challenge;
}

chorus::Result<Request> decode_request(ByteView bytes) {
  if (bytes.size() > kMostRequest) {
    return fail(ErrorCode::too_large,
                fmt::format("a request of {} bytes; the limit is {}", bytes.size(), kMostRequest));
  }
  ByteReader in(bytes);
  CHORUS_TRY(const Kind kind, begin(in));
  Request request;
  switch (kind) {
    case Kind::fetch_list:
      break;
    case Kind::enrol: {
      Enrol& enrol = request.emplace<Enrol>();
      enrol.request = owned(in.bytes(identity::kMostRequestBytes));
      if (present(in)) {
        Token& token = enrol.token.emplace();
        token.number = in.array<8>();
        in.raw(token.secret.expose());
      }
      break;
    }
    case Kind::renew: {
      Renew& renew = request.emplace<Renew>();
      renew.serial = in.array<16>();
      renew.request = owned(in.bytes(identity::kMostRequestBytes));
      renew.proof = in.array<64>();
      break;
    }
    case Kind::resign: {
      Resign& resign = request.emplace<Resign>();
      resign.serial = in.array<16>();
      resign.proof = in.array<64>();
      break;
    }
    default:
      in.reject("another message than a request");
  }
  CHORUS_TRY_DO(in.finish("enrolment request"));
  return request;
}

chorus::Result<Answer> decode_answer(ByteView bytes) {
  if (bytes.size() > kMostAnswer) {
    return fail(ErrorCode::too_large, fmt::format("an answer of {} bytes; the limit is {}", bytes.size(), kMostAnswer));
  }
  ByteReader in(bytes);
  CHORUS_TRY(const Kind kind, begin(in));
  Answer answer;
  switch (kind) {
    case Kind::list:
      answer.emplace<List>().list = owned(in.bytes(kMostList));
      break;
    case Kind::issued: {
      Issued& issued = answer.emplace<Issued>();
      issued.documents = read_documents(in);
      if (present(in)) {
        Successor& successor = issued.successor.emplace();
        successor.documents = read_documents(in);
        successor.address = in.string(kMostAddress);
        if (!dataset::is_utf8(successor.address) || dataset::has_control(successor.address)) {
          in.reject("an address that is not printable");
        }
      }
      break;
    }
    case Kind::pending:
      answer.emplace<Pending>().retry_after = std::chrono::seconds(in.u32());
      break;
    case Kind::refused: {
      Refused& refused = answer.emplace<Refused>();
      refused.code = read_code(in);
      refused.sentence = in.string(kMostSentence);
      if (dataset::printable(refused.sentence, kMostSentence) != refused.sentence) {
        in.reject("a sentence that is not printable");
      }
      break;
    }
    case Kind::resigned:
      answer.emplace<Resigned>().list = owned(in.bytes(kMostList));
      break;
    default:
      in.reject("another message than an answer");
  }
  CHORUS_TRY_DO(in.finish("enrolment answer"));
  return answer;
}

}  // namespace chorus::protocol::enrolment
