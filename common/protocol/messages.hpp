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
//   Update, Update … ──────────────────────▶            (or Decline)
//                    ◀──────────────────────  Result
//                    ◀──────────────────────  Published (to everybody, on each new version)
//   Ready …                                   Finished (the job reached its goal)
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

namespace chorus::protocol {

inline constexpr std::uint16_t kProtocolVersion = 1;
inline constexpr std::string_view kAlpn = "chorus/1";
// The most data bytes of a Blob or an Update.
inline constexpr std::size_t kChunkSize = std::size_t{256} * 1024;
inline constexpr std::size_t kMaxDocument = std::size_t{16} * 1024;
// The largest packed update, all its pieces together.
inline constexpr std::uint64_t kMaxUpdate = std::uint64_t{1} << 30;
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
// A piece of the packed update: `offset` is where it goes, `total` the whole size. Pieces come in order and none is
// empty, nor goes beyond `total`.
struct Update {
  ByteArray<32> session{};
  std::uint64_t offset = 0;
  std::uint64_t total = 0;
  Bytes data;
  friend bool operator==(const Update&, const Update&) = default;
};

// --- coordinator to device
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
  Signed plan;  // RoundPlan::encode()
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

using Message = std::variant<Hello, Fetch, Ready, Decline, Update, Welcome, Blob, Waiting, Manifest, Result, Published,
                             Finished, Refusal>;

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
};
inline constexpr std::uint8_t kMessageTypes = 13;

[[nodiscard]] MessageType type_of(const Message& message) noexcept;
// "update": what a log may say of a message.
[[nodiscard]] std::string_view to_string(MessageType type) noexcept;
// The largest payload of a type, in bytes, as common/WIRE.md lays it out; a frame beyond it is refused before it is
// read.
[[nodiscard]] std::size_t max_payload(MessageType type) noexcept;

}  // namespace chorus::protocol
