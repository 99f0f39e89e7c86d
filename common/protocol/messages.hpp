// What travels between a device and its coordinator, as plain structs (common/WIRE.md has the bytes). The device's
// identity is not in any message: the TLS certificate names it.
//
//   device                                   coordinator
//   Hello            ──────────────────────▶
//                    ◀──────────────────────  Welcome (job, catalogue, latest model: headers)  | Refusal
//   Fetch            ──────────────────────▶
//                    ◀──────────────────────  Blob, Blob, … (catalogue or model bytes)
//   Ready            ──────────────────────▶
//                    ◀──────────────────────  Waiting (again when the numbers change)
//                    ◀──────────────────────  Manifest: this device is in a cohort
//   Advertise        ──────────────────────▶            (or, until its update is out, Decline)
//                    ◀──────────────────────  Roster
//   Shares           ──────────────────────▶
//                    ◀──────────────────────  Delivery
//   Update, Update … ──────────────────────▶
//   Masked           ──────────────────────▶
//                    ◀──────────────────────  Survivors
//   Vote             ──────────────────────▶
//                    ◀──────────────────────  Certificate
//   Openings         ──────────────────────▶
//                    ◀──────────────────────  Result (at any time, if the cohort aborts)
//                    ◀──────────────────────  Published (to everybody, on each new version)
//   Ready …                                   Finished (the job reached its goal)
//
// A device that lost its connection in a round connects again and, after the Welcome, sends Resume: Resumed, and the
// present phase's message again, follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"
#include "common/base/id.hpp"
#include "common/base/time.hpp"
#include "common/protocol/documents.hpp"
#include "common/secagg/messages.hpp"
#include "common/secagg/roster.hpp"

namespace chorus::protocol {

inline constexpr std::uint16_t kProtocolVersion = 1;
inline constexpr std::string_view kAlpn = "chorus/1";
// The most data bytes of a Blob or an Update.
inline constexpr std::size_t kChunkSize = std::size_t{256} * 1024;
inline constexpr std::size_t kMaxDocument = std::size_t{16} * 1024;
// The largest packed update, all its pieces together.
inline constexpr std::uint64_t kMaxUpdate = std::uint64_t{1} << 30;
// The largest revocation list that travels: about 2,000 devices.
inline constexpr std::size_t kMaxRevocations = std::size_t{256} * 1024;
// The longest name of an ErrorCode, as codes travel.
inline constexpr std::size_t kMaxCodeName = 32;
inline constexpr std::chrono::milliseconds kMaxRetryAfter = std::chrono::hours(24);

enum class BlobKind : std::uint8_t { catalogue = 1, model = 2 };

// --- device to coordinator
struct Hello {
  std::uint16_t protocol_version = kProtocolVersion;
  std::string job;  // is_job_name; empty: the coordinator's only one
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct Fetch {
  BlobKind kind = BlobKind::model;
  std::uint64_t version = 0;
  friend bool operator==(const Fetch&, const Fetch&) = default;
};
// "Invite me." Holds for one round; sent again after a Result.
struct Ready {
  ModelVersion model_version;  // the version that the device holds
  bool has_model = false;
  friend bool operator==(const Ready&, const Ready&) = default;
};
struct Decline {
  ByteArray<32> session{};
  ErrorCode code = ErrorCode::aborted;
  std::string sentence;  // names a parameter, never anything about the user
  friend bool operator==(const Decline&, const Decline&) = default;
};
// A piece of the masked update: `offset` is where it goes, `total` the whole size. Pieces come in order and none is
// empty, nor goes beyond `total`.
struct Update {
  ByteArray<32> session{};
  std::uint64_t offset = 0;
  std::uint64_t total = 0;
  Bytes data;
  friend bool operator==(const Update&, const Update&) = default;
};

// "I was in this session when the connection broke."
struct Resume {
  ByteArray<32> session{};
  friend bool operator==(const Resume&, const Resume&) = default;
};

// --- both: the steps of a cohort's secure sum, as common/secagg encodes them (common/PROTOCOL.md)
enum class Step : std::uint8_t { advertise, shares, masked, vote, openings, roster, delivery, survivors, certificate };
template <Step kStep>
struct SumStep {
  ByteArray<32> session{};
  Bytes body;
  friend bool operator==(const SumStep&, const SumStep&) = default;
};
using Advertise = SumStep<Step::advertise>;
using Shares = SumStep<Step::shares>;
using Masked = SumStep<Step::masked>;
using Vote = SumStep<Step::vote>;
using Openings = SumStep<Step::openings>;
using Roster = SumStep<Step::roster>;
using Delivery = SumStep<Step::delivery>;
using Survivors = SumStep<Step::survivors>;
using Certificate = SumStep<Step::certificate>;
// The largest body of a step.
[[nodiscard]] constexpr std::size_t max_body(Step step) noexcept {
  switch (step) {
    case Step::advertise:
      return secagg::Leaf::kSize;
    case Step::shares:
      return secagg::kMostShares;
    case Step::masked:
      return secagg::kMostMasked;
    case Step::vote:
      return 64;
    case Step::openings:
      return secagg::kMostOpenings;
    case Step::roster:
      return 4 + secagg::kMostMembers * secagg::Leaf::kSize;
    case Step::delivery:
      return secagg::kMostDelivery;
    case Step::survivors:
      return secagg::kMostBitmap;
    case Step::certificate:
      return secagg::kMostCertificate;
  }
  return 0;
}

// --- coordinator to device
// Where a device that resumes stands.
struct Resumed {
  ByteArray<32> session{};
  bool in_round = false;       // it has its place; else the round is over for it
  std::uint64_t received = 0;  // bytes of its masked update that are here
  friend bool operator==(const Resumed&, const Resumed&) = default;
};
struct Welcome {
  Signed job;
  Signed catalogue;
  std::optional<Signed> model;  // absent before the first version
  bool finished = false;        // the job reached its goal: fetch and recommend, no more rounds
  friend bool operator==(const Welcome&, const Welcome&) = default;
};
// A piece of a catalogue or a model, as Update's pieces.
struct Blob {
  BlobKind kind = BlobKind::model;
  std::uint64_t version = 0;
  std::uint64_t offset = 0;
  std::uint64_t total = 0;
  Bytes data;
  friend bool operator==(const Blob&, const Blob&) = default;
};
struct Waiting {
  std::uint32_t devices_ready = 0;
  std::uint32_t devices_needed = 0;
  friend bool operator==(const Waiting&, const Waiting&) = default;
};
struct Manifest {
  Signed plan;        // RoundPlan::encode()
  Bytes revocations;  // the authority's list, DER; the plan holds its hash
  friend bool operator==(const Manifest&, const Manifest&) = default;
};
struct Result {
  Signed result;  // RoundResult::encode()
  friend bool operator==(const Result&, const Result&) = default;
};
struct Published {
  Signed model;  // ModelHeader::encode()
  friend bool operator==(const Published&, const Published&) = default;
};
struct Finished {
  friend bool operator==(const Finished&, const Finished&) = default;
};
// The last message before the coordinator closes.
struct Refusal {
  ErrorCode code = ErrorCode::aborted;
  std::string sentence;
  std::chrono::milliseconds retry_after{0};  // 0: the device's own backoff; at most kMaxRetryAfter
  friend bool operator==(const Refusal&, const Refusal&) = default;
};

using Message =
    std::variant<Hello, Fetch, Ready, Decline, Update, Welcome, Blob, Waiting, Manifest, Result, Published, Finished,
                 Refusal, Advertise, Shares, Masked, Vote, Openings, Roster, Delivery, Survivors, Certificate, Resume,
                 Resumed>;

// On the wire; never renumbered. The order of Message's alternatives, from 1.
enum class MessageType : std::uint8_t {
  hello = 1,
  fetch,
  ready,
  decline,
  update,
  welcome,
  blob,
  waiting,
  manifest,
  result,
  published,
  finished,
  refusal,
  advertise,
  shares,
  masked,
  vote,
  openings,
  roster,
  delivery,
  survivors,
  certificate,
  resume,
  resumed,
};
inline constexpr std::uint8_t kMessageTypes = 24;

[[nodiscard]] MessageType type_of(const Message& message) noexcept;
// "update": what a log may say of a message.
[[nodiscard]] std::string_view to_string(MessageType type) noexcept;
// The largest payload of a type, in bytes, as common/WIRE.md lays it out; a frame beyond it is refused before it is
// read.
[[nodiscard]] std::size_t max_payload(MessageType type) noexcept;

}  // namespace chorus::protocol
