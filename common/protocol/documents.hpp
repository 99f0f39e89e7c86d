// The documents that the coordinator signs with the Ed25519 key of its certificate, which devices pin: the job, the
// catalogue's header, a model version's header, a round's plan (the manifest) and a round's result. Each is a
// canonical byte string signed under a label of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/bytes.hpp"
#include "common/base/id.hpp"
#include "common/crypto/signature.hpp"
#include "common/plan/round_plan.hpp"
#include "common/privacy/published_ledger.hpp"

namespace chorus::protocol {

// Sentences for a person in what travels, in bytes of UTF-8.
inline constexpr std::size_t kMaxSentence = 256;
// The largest encoded catalogue or model.
inline constexpr std::uint64_t kMaxBlob = std::uint64_t{1} << 31;

inline constexpr std::string_view kJobLabel = "CHORUS/1/job";
inline constexpr std::string_view kCatalogueLabel = "CHORUS/1/catalogue";
inline constexpr std::string_view kModelLabel = "CHORUS/1/model";
inline constexpr std::string_view kManifestLabel = "CHORUS/1/manifest";
inline constexpr std::string_view kResultLabel = "CHORUS/1/result";

// Bytes and the signature over label ‖ 0 ‖ bytes.
struct Signed {
  Bytes document;
  crypto::Signature signature{};
  friend bool operator==(const Signed&, const Signed&) = default;
};

[[nodiscard]] Signed sign_document(std::string_view label, Bytes document, const crypto::SigningKey& key);
// Errors: bad_signature.
[[nodiscard]] Status check_signed(std::string_view label, const Signed& document, const crypto::PublicKey& key);

struct CatalogueHeader {
  Digest job{};
  std::uint32_t version = 0;  // grows by one with every append
  std::uint32_t items = 0;
  std::uint64_t size = 0;  // of the encoded catalogue
  Digest digest{};         // SHA-256 of the encoded catalogue

  [[nodiscard]] Bytes encode() const;
  // Errors: malformed, unsupported_version; so do the two below.
  [[nodiscard]] static chorus::Result<CatalogueHeader> decode(ByteView bytes);
  friend bool operator==(const CatalogueHeader&, const CatalogueHeader&) = default;
};

struct ModelHeader {
  Digest job{};
  ModelVersion version;
  RoundId round;                      // whose sum made it; 0 for the initial version
  std::uint64_t training_rounds = 0;  // how many training steps are in it
  Digest model_id{};
  Digest catalogue{};      // CatalogueHeader::digest of the catalogue that its rows stand for
  std::uint64_t size = 0;  // of the encoded tensors
  Digest tensors{};        // SHA-256 of TensorSet::encode()
  // What the job has cost its users up to this version. Absent before the first round.
  std::optional<privacy::PrivacyReport> privacy = {};

  [[nodiscard]] Bytes encode() const;
  // Version 1 of the document, without a report, is read too.
  [[nodiscard]] static chorus::Result<ModelHeader> decode(ByteView bytes);
  friend bool operator==(const ModelHeader&, const ModelHeader&) = default;
};

enum class Outcome : std::uint8_t {
  published = 1,  // the sum went into the version named
  measured = 2,   // a measuring round: no new version
  aborted = 3,    // nothing was published; `reason` says why
};

struct RoundResult {
  ByteArray<32> session{};
  RoundId round;
  CohortId cohort;
  Outcome outcome = Outcome::aborted;
  std::uint32_t members = 0;    // of this cohort
  std::uint32_t survivors = 0;  // whose updates are in the cohort's sum
  ModelVersion version;         // the latest one, after the round
  std::string reason;           // for a person; printable, at most kMaxSentence bytes; empty unless aborted

  // A longer reason is cut, and what a terminal should not see becomes a space.
  [[nodiscard]] Bytes encode() const;
  [[nodiscard]] static chorus::Result<RoundResult> decode(ByteView bytes);
  friend bool operator==(const RoundResult&, const RoundResult&) = default;
};

}  // namespace chorus::protocol
