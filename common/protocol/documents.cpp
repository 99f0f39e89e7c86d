#include "common/protocol/documents.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "common/base/check.hpp"
#include "common/dataset/text.hpp"

namespace chorus::protocol {

namespace {

constexpr std::uint16_t kVersion = 1;
constexpr std::uint16_t kModelHeaderVersion = 2;

ByteWriter begin(std::string_view label, std::uint16_t version = kVersion) {
  ByteWriter writer;
  writer.string(label);
  writer.u16(version);
  return writer;
}

// The document's version. Errors: malformed (another document), unsupported_version.
chorus::Result<std::uint16_t> check_beginning(ByteReader& reader, std::string_view label,
                                              std::uint16_t latest = kVersion) {
  const ByteView found = reader.bytes(label.size());
  if (reader.failed() || !std::ranges::equal(found, as_bytes(label))) {
    return fail(ErrorCode::malformed, fmt::format("expected a document that begins with '{}'", label));
  }
  const std::uint16_t version = reader.u16();
  if (reader.failed()) return fail(ErrorCode::malformed, "the document ends before its version");
  if (version == 0 || version > latest) {
    return fail(ErrorCode::unsupported_version,
                fmt::format("expected version {} of the document, found {}", latest, version), std::string(label));
  }
  return version;
}

}  // namespace

Signed sign_document(std::string_view label, Bytes document, const crypto::SigningKey& key) {
  const crypto::Signature signature = key.sign(label, document);
  return {std::move(document), signature};
}

Status check_signed(std::string_view label, const Signed& document, const crypto::PublicKey& key) {
  return crypto::verify(key, label, document.document, document.signature);
}

Bytes CatalogueHeader::encode() const {
  ByteWriter writer = begin(kCatalogueLabel);
  writer.raw(job);
  writer.u32(version);
  writer.u32(items);
  writer.u64(size);
  writer.raw(digest);
  return std::move(writer).take();
}

chorus::Result<CatalogueHeader> CatalogueHeader::decode(ByteView bytes) {
  ByteReader reader(bytes);
  CHORUS_TRY_DO(check_beginning(reader, kCatalogueLabel));
  CatalogueHeader header;
  header.job = reader.array<32>();
  header.version = reader.u32();
  header.items = reader.u32();
  header.size = reader.u64();
  header.digest = reader.array<32>();
  if (header.size > kMaxBlob) reader.reject(fmt::format("a catalogue of {} bytes", header.size));
  CHORUS_TRY_DO(reader.finish("the catalogue's header"));
  return header;
}

Bytes ModelHeader::encode() const {
  ByteWriter writer = begin(kModelLabel, kModelHeaderVersion);
  writer.raw(job);
  writer.u64(version.value());
  writer.u64(round.value());
  writer.u64(training_rounds);
  writer.raw(model_id);
  writer.raw(catalogue);
  writer.u64(size);
  writer.raw(tensors);
  writer.u8(privacy ? 1 : 0);
  if (privacy) writer.raw(privacy->encode());
  return std::move(writer).take();
}

chorus::Result<ModelHeader> ModelHeader::decode(ByteView bytes) {
  ByteReader reader(bytes);
  CHORUS_TRY(const std::uint16_t document, check_beginning(reader, kModelLabel, kModelHeaderVersion));
  ModelHeader header;
  header.job = reader.array<32>();
  header.version = ModelVersion(reader.u64());
  header.round = RoundId(reader.u64());
  header.training_rounds = reader.u64();
  header.model_id = reader.array<32>();
  header.catalogue = reader.array<32>();
  header.size = reader.u64();
  header.tensors = reader.array<32>();
  if (document >= 2) {
    const std::uint8_t has_report = reader.u8();
    if (has_report > 1) reader.reject("a privacy report is there or not");
    if (has_report == 1) {
      auto report = privacy::PrivacyReport::decode(reader.view(privacy::PrivacyReport::kSize));
      if (!report) reader.reject(report.error().sentence());
      if (report) header.privacy = *report;
    }
  }
  if (header.size > kMaxBlob) reader.reject(fmt::format("a model of {} bytes", header.size));
  CHORUS_TRY_DO(reader.finish("the model's header"));
  return header;
}

Bytes RoundResult::encode() const {
  CHORUS_ENSURE(reason.empty() || outcome == Outcome::aborted, "only an abort has a reason");
  ByteWriter writer = begin(kResultLabel);
  writer.raw(session);
  writer.u64(round.value());
  writer.u32(cohort.value());
  writer.u8(static_cast<std::uint8_t>(outcome));
  writer.u32(members);
  writer.u32(survivors);
  writer.u64(version.value());
  writer.string(dataset::printable(reason, kMaxSentence));
  return std::move(writer).take();
}

chorus::Result<RoundResult> RoundResult::decode(ByteView bytes) {
  ByteReader reader(bytes);
  CHORUS_TRY_DO(check_beginning(reader, kResultLabel));
  RoundResult result;
  result.session = reader.array<32>();
  result.round = RoundId(reader.u64());
  result.cohort = CohortId(reader.u32());
  const std::uint8_t outcome = reader.u8();
  result.members = reader.u32();
  result.survivors = reader.u32();
  result.version = ModelVersion(reader.u64());
  result.reason = reader.string(kMaxSentence);
  if (outcome < static_cast<std::uint8_t>(Outcome::published) ||
      outcome > static_cast<std::uint8_t>(Outcome::aborted)) {
    reader.reject(fmt::format("an outcome {}", outcome));
  }
  result.outcome = static_cast<Outcome>(outcome);
  if (result.survivors > result.members) {
    reader.reject(fmt::format("{} survivors of {} members", result.survivors, result.members));
  }
  if (result.reason != dataset::printable(result.reason, kMaxSentence)) reader.reject("a reason that is not printable");
  if (!result.reason.empty() && result.outcome != Outcome::aborted) reader.reject("a reason without an abort");
  CHORUS_TRY_DO(reader.finish("the round's result"));
  return result;
}

}  // namespace chorus::protocol
