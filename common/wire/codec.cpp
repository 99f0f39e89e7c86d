// The messages' fields, in the order in which they travel (common/WIRE.md). Cereal stops here.
#include <array>
#include <istream>
#include <ostream>
#include <type_traits>
#include <utility>

#include <fmt/core.h>

#include "common/base/check.hpp"
#include "common/dataset/text.hpp"
#include "common/protocol/job_description.hpp"
#include "common/wire/bounded.hpp"
#include "common/wire/frame.hpp"

namespace chorus::wire {
namespace {

// A code travels as its name, so that numbering is nobody's contract.
struct CodeName {
  ErrorCode& value;

  template <typename Archive>
  void save(Archive& archive) const {
    std::string name(to_string(value));
    archive(bounded<protocol::kMaxCodeName>(name));
  }
  template <typename Archive>
  void load(Archive& archive) {
    std::string name;
    archive(bounded<protocol::kMaxCodeName>(name));
    constexpr int kLast = static_cast<int>(ErrorCode::overloaded);
    for (int code = 0; code <= kLast; ++code) {
      if (to_string(static_cast<ErrorCode>(code)) != name) continue;
      value = static_cast<ErrorCode>(code);
      return;
    }
    refuse("an unknown error code");
  }
};

// A sentence for a person: it may be printed on a terminal as it is.
struct Sentence {
  std::string& value;

  template <typename Archive>
  void save(Archive& archive) const {
    std::string text = dataset::printable(value, protocol::kMaxSentence);
    archive(bounded<protocol::kMaxSentence>(text));
  }
  template <typename Archive>
  void load(Archive& archive) {
    archive(bounded<protocol::kMaxSentence>(value));
    if (!dataset::is_utf8(value) || dataset::has_control(value)) refuse("a sentence that is not printable");
  }
};

// Milliseconds as 32 bits.
struct RetryAfter {
  std::chrono::milliseconds& value;

  template <typename Archive>
  void save(Archive& archive) const {
    CHORUS_ENSURE(value >= value.zero() && value <= protocol::kMaxRetryAfter, "a peer waits for a day at most");
    archive(static_cast<std::uint32_t>(value.count()));
  }
  template <typename Archive>
  void load(Archive& archive) {
    std::uint32_t count = 0;
    archive(count);
    value = std::chrono::milliseconds(count);
    if (value > protocol::kMaxRetryAfter) refuse("a wait of more than a day");
  }
};

template <typename Id>
struct IdValue {
  Id& value;

  template <typename Archive>
  void save(Archive& archive) const {
    archive(value.value());
  }
  template <typename Archive>
  void load(Archive& archive) {
    typename Id::rep number{};
    archive(number);
    value = Id(number);
  }
};

using Kind = Enumerated<protocol::BlobKind::catalogue, protocol::BlobKind::model>;
using protocol::kChunkSize;

}  // namespace
}  // namespace chorus::wire

// Beside the types, where Cereal looks for them (by argument, which sees no unnamed namespace).
namespace chorus::protocol {

template <typename Archive>
static void serialize(Archive& archive, Signed& signed_document) {
  archive(wire::bounded<kMaxDocument>(signed_document.document), wire::fixed(signed_document.signature));
}
template <typename Archive>
static void serialize(Archive& archive, Hello& hello) {
  archive(hello.protocol_version, wire::bounded<kMaxJobName>(hello.job));
}
template <typename Archive>
static void serialize(Archive& archive, Fetch& fetch) {
  archive(wire::Kind{fetch.kind}, fetch.version);
}
template <typename Archive>
static void serialize(Archive& archive, Ready& ready) {
  archive(wire::IdValue<ModelVersion>{ready.model_version}, wire::Flag{ready.has_model});
}
template <typename Archive>
static void serialize(Archive& archive, Decline& decline) {
  archive(wire::fixed(decline.session), wire::CodeName{decline.code}, wire::Sentence{decline.sentence});
}
template <typename Archive>
static void serialize(Archive& archive, Update& update) {
  archive(wire::fixed(update.session), update.offset, update.total, wire::bounded<kChunkSize>(update.data));
}
template <typename Archive>
static void serialize(Archive& archive, Welcome& welcome) {
  archive(welcome.job, welcome.catalogue, wire::Maybe<Signed>{welcome.model}, wire::Flag{welcome.finished});
}
template <typename Archive>
static void serialize(Archive& archive, Blob& blob) {
  archive(wire::Kind{blob.kind}, blob.version, blob.offset, blob.total, wire::bounded<kChunkSize>(blob.data));
}
template <typename Archive>
static void serialize(Archive& archive, Waiting& waiting) {
  archive(waiting.devices_ready, waiting.devices_needed);
}
template <typename Archive>
static void serialize(Archive& archive, Manifest& manifest) {
  archive(manifest.plan, wire::bounded<kMaxRevocations>(manifest.revocations));
}
template <typename Archive, Step kStep>
static void serialize(Archive& archive, SumStep<kStep>& step) {
  archive(wire::fixed(step.session), wire::bounded<max_body(kStep)>(step.body));
}
template <typename Archive>
static void serialize(Archive& archive, Resume& resume) {
  archive(wire::fixed(resume.session));
}
template <typename Archive>
static void serialize(Archive& archive, Resumed& resumed) {
  archive(wire::fixed(resumed.session), wire::Flag{resumed.in_round}, resumed.received);
}
template <typename Archive>
static void serialize(Archive& archive, Result& result) {
  archive(result.result);
}
template <typename Archive>
static void serialize(Archive& archive, Published& published) {
  archive(published.model);
}
template <typename Archive>
static void serialize(Archive&, Finished&) {}
template <typename Archive>
static void serialize(Archive& archive, Refusal& refusal) {
  archive(wire::CodeName{refusal.code}, wire::Sentence{refusal.sentence}, wire::RetryAfter{refusal.retry_after});
}

}  // namespace chorus::protocol

namespace chorus::wire {
namespace {

using protocol::Message;
using protocol::MessageType;

// Room for every field but a chunk's data and documents.
constexpr std::size_t kSmallPayload = 512;

std::size_t expected_payload(const Message& message) {
  if (const auto* const update = std::get_if<protocol::Update>(&message)) return kSmallPayload + update->data.size();
  if (const auto* const blob = std::get_if<protocol::Blob>(&message)) return kSmallPayload + blob->data.size();
  return std::visit(
      [](const auto& fields) {
        if constexpr (requires { fields.body; }) return kSmallPayload + fields.body.size();
        return kSmallPayload;
      },
      message);
}

// Pieces are never empty, so that a peer cannot send them for ever, and stay within their whole.
template <typename Piece>
bool is_piece(const Piece& piece, std::uint64_t max_total) {
  return !piece.data.empty() && piece.total <= max_total && piece.offset < piece.total &&
         piece.data.size() <= piece.total - piece.offset;
}

// What a message's fields must be besides well-formed; empty, or what is wrong.
std::string_view objection(const Message& message) {
  if (const auto* const hello = std::get_if<protocol::Hello>(&message)) {
    if (!hello->job.empty() && !protocol::is_job_name(hello->job)) return "not a job's name";
  } else if (const auto* const update = std::get_if<protocol::Update>(&message)) {
    if (!is_piece(*update, protocol::kMaxUpdate)) return "the piece does not lie within the update";
  } else if (const auto* const blob = std::get_if<protocol::Blob>(&message)) {
    if (!is_piece(*blob, protocol::kMaxBlob)) return "the piece does not lie within the blob";
  }
  return {};
}

template <std::size_t Index>
Message load(InputArchive& archive) {
  Message message(std::in_place_index<Index>);
  archive(std::get<Index>(message));
  return message;
}

// One loader a message type, in the order of Message's alternatives.
template <std::size_t... Index>
constexpr auto make_loaders(std::index_sequence<Index...>) {
  return std::array<Message (*)(InputArchive&), sizeof...(Index)>{&load<Index>...};
}
constexpr auto kLoaders = make_loaders(std::make_index_sequence<protocol::kMessageTypes>{});

constexpr std::uint8_t kLittleEndian = 1;

std::unexpected<Error> malformed(MessageType type, std::string_view reason) {
  return fail(ErrorCode::malformed, fmt::format("the message is malformed: {}", reason),
              std::string(protocol::to_string(type)));
}

}  // namespace

Frame encode(const Message& message) {
  CHORUS_ENSURE(objection(message).empty(), "only a message within the protocol's limits is sent");
  const MessageType type = protocol::type_of(message);
  auto frame = std::make_shared<Bytes>();
  frame->reserve(kFrameHeader + expected_payload(message));
  frame->resize(kFrameHeader);
  ByteSink sink(*frame);
  std::ostream stream(&sink);
  OutputArchive archive(stream, OutputArchive::Options::LittleEndian());
  std::visit([&archive](const auto& fields) { archive(fields); }, message);

  const std::size_t payload = frame->size() - kFrameHeader;
  CHORUS_ENSURE(payload <= protocol::max_payload(type), "a payload keeps the limit of its type");
  const std::size_t length = payload + 1;
  for (std::size_t i = 0; i < 4; ++i) (*frame)[i] = static_cast<std::uint8_t>(length >> (8 * i));
  (*frame)[4] = static_cast<std::uint8_t>(type);
  return frame;
}

Result<Message> decode(MessageType type, ByteView payload) {
  if (payload.size() > protocol::max_payload(type)) return malformed(type, "it is longer than its type allows");
  // One byte order, so that a message has one encoding.
  if (payload.empty() || payload.front() != kLittleEndian) return malformed(type, "it is not in little-endian order");
  try {
    PayloadSource source(payload);
    std::istream stream(&source);
    InputArchive archive(source, stream);
    Message message = kLoaders[static_cast<std::size_t>(type) - 1](archive);
    if (source.remaining() != 0) {
      return malformed(type, fmt::format("{} bytes after its end", source.remaining()));
    }
    if (const std::string_view reason = objection(message); !reason.empty()) return malformed(type, reason);
    return message;
  } catch (const std::exception& error) {
    return malformed(type, error.what());
  }
}

}  // namespace chorus::wire
