#include "common/protocol/documents.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "simulations/support/seeded_random.hpp"

namespace chorus::protocol {
namespace {

Digest digest_of(std::uint8_t fill) {
  Digest digest;
  digest.fill(fill);
  return digest;
}

CatalogueHeader sample_catalogue() {
  return {.job = digest_of(1), .version = 3, .items = 3706, .size = 123'456, .digest = digest_of(2)};
}

ModelHeader sample_model() {
  return {.job = digest_of(1),
          .version = ModelVersion(17),
          .round = RoundId(21),
          .training_rounds = 16,
          .model_id = digest_of(3),
          .catalogue = digest_of(2),
          .size = 987'654,
          .tensors = digest_of(4)};
}

privacy::PrivacyReport sample_report() {
  return {.delta = 1e-5,
          .rounds = 17,
          .noise_multiplier = 4.5,
          .assumed_honest = 103,
          .survivors = 120,
          .coordinator = {.exact = 3.5, .sampled = 3.5},
          .readers = {.exact = 1.25, .sampled = 1.25},
          .budget = 8,
          .rounds_left = 41};
}

RoundResult sample_result() {
  return {.session = digest_of(5),
          .round = RoundId(21),
          .cohort = CohortId(2),
          .outcome = Outcome::aborted,
          .members = 128,
          .survivors = 90,
          .version = ModelVersion(16),
          .reason = "90 of 128 updates arrived, 109 are needed"};
}

template <typename Document>
void expect_one_encoding(const Document& document) {
  const Bytes bytes = document.encode();
  const auto decoded = Document::decode(bytes);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
  EXPECT_EQ(*decoded, document);
  EXPECT_EQ(decoded->encode(), bytes);

  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto truncated = Document::decode(ByteView(bytes).first(size));
    ASSERT_FALSE(truncated.has_value()) << size;
    EXPECT_EQ(truncated.error().code(), ErrorCode::malformed) << size;
  }
  Bytes longer = bytes;
  longer.push_back(0);
  const auto trailing = Document::decode(longer);
  ASSERT_FALSE(trailing.has_value());
  EXPECT_EQ(trailing.error().code(), ErrorCode::malformed);
}

// After the label's length and text.
template <typename Document>
void expect_later_version_is_named(const Document& document, std::string_view label) {
  Bytes bytes = document.encode();
  ++bytes[4 + label.size()];
  const auto decoded = Document::decode(bytes);
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code(), ErrorCode::unsupported_version);
}

TEST(Documents, HaveOneEncodingAndRefuseTruncationAndTrailingBytes) {
  expect_one_encoding(sample_catalogue());
  expect_one_encoding(sample_model());
  ModelHeader with_report = sample_model();
  with_report.privacy = sample_report();
  expect_one_encoding(with_report);
  expect_one_encoding(sample_result());
  RoundResult published = sample_result();
  published.outcome = Outcome::published;
  published.reason.clear();
  expect_one_encoding(published);
}

TEST(Documents, ALaterVersionIsNamedAsSuch) {
  expect_later_version_is_named(sample_catalogue(), kCatalogueLabel);
  expect_later_version_is_named(sample_model(), kModelLabel);
  expect_later_version_is_named(sample_result(), kResultLabel);
}

TEST(Documents, AModelHeaderWithoutAReportIsReadInItsFirstVersionToo) {
  Bytes bytes = sample_model().encode();
  bytes[4 + kModelLabel.size()] = 1;
  bytes.pop_back();  // whether there is a report
  EXPECT_EQ(ModelHeader::decode(bytes).value(), sample_model());
}

TEST(Documents, AModelHeaderWithAnImpossibleReportIsRefused) {
  ModelHeader model = sample_model();
  model.privacy = sample_report();
  model.privacy->delta = 0;
  EXPECT_EQ(ModelHeader::decode(model.encode()).error().code(), ErrorCode::malformed);
}

TEST(Documents, OneDocumentIsNotReadAsAnother) {
  EXPECT_EQ(ModelHeader::decode(sample_catalogue().encode()).error().code(), ErrorCode::malformed);
  EXPECT_EQ(CatalogueHeader::decode(sample_model().encode()).error().code(), ErrorCode::malformed);
  EXPECT_EQ(RoundResult::decode(sample_model().encode()).error().code(), ErrorCode::malformed);
}

TEST(Documents, SizesBeyondTheLimitAreRefused) {
  CatalogueHeader catalogue = sample_catalogue();
  catalogue.size = kMaxBlob + 1;
  EXPECT_EQ(CatalogueHeader::decode(catalogue.encode()).error().code(), ErrorCode::malformed);
  ModelHeader model = sample_model();
  model.size = kMaxBlob + 1;
  EXPECT_EQ(ModelHeader::decode(model.encode()).error().code(), ErrorCode::malformed);
}

TEST(RoundResults, MoreSurvivorsThanMembersAreRefused) {
  RoundResult result = sample_result();
  result.survivors = result.members + 1;
  EXPECT_EQ(RoundResult::decode(result.encode()).error().code(), ErrorCode::malformed);
}

TEST(RoundResults, AnUnknownOutcomeIsRefused) {
  for (const int outcome : {0, 4, 255}) {
    RoundResult result = sample_result();
    result.reason.clear();
    Bytes bytes = result.encode();
    // label, version, session, round, cohort
    bytes[4 + kResultLabel.size() + 2 + 32 + 8 + 4] = static_cast<std::uint8_t>(outcome);
    EXPECT_EQ(RoundResult::decode(bytes).error().code(), ErrorCode::malformed) << outcome;
  }
}

TEST(RoundResults, AReasonWithoutAnAbortIsRefused) {
  Bytes bytes = sample_result().encode();
  bytes[4 + kResultLabel.size() + 2 + 32 + 8 + 4] = static_cast<std::uint8_t>(Outcome::published);
  EXPECT_EQ(RoundResult::decode(bytes).error().code(), ErrorCode::malformed);
}

TEST(RoundResults, AReasonIsCutAndMadePrintableWhenItIsSent) {
  RoundResult result = sample_result();
  result.reason = std::string(1000, 'x');
  result.reason[7] = '\x1b';
  const auto decoded = RoundResult::decode(result.encode());
  ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
  EXPECT_EQ(decoded->reason, "xxxxxxx " + std::string(kMaxSentence - 8, 'x'));
}

TEST(RoundResults, AReasonThatMovesTheCursorIsRefusedWhenItArrives) {
  RoundResult result = sample_result();
  result.reason = "abcd";
  Bytes bytes = result.encode();
  bytes.back() = 0x1b;
  EXPECT_EQ(RoundResult::decode(bytes).error().code(), ErrorCode::malformed);
}

class SignedDocuments : public testing::Test {
 protected:
  sim::SeededRandom random_{7};
  crypto::SigningKey key_ = crypto::SigningKey::generate(random_);
  crypto::SigningKey other_ = crypto::SigningKey::generate(random_);
};

TEST_F(SignedDocuments, HoldUnderTheirLabelAndKeyAlone) {
  const std::vector<std::string_view> labels = {kJobLabel, kCatalogueLabel, kModelLabel, kManifestLabel, kResultLabel};
  for (const std::string_view signed_as : labels) {
    const Signed document = sign_document(signed_as, sample_model().encode(), key_);
    for (const std::string_view read_as : labels) {
      const Status status = check_signed(read_as, document, key_.public_key());
      EXPECT_EQ(status.has_value(), signed_as == read_as) << signed_as << " as " << read_as;
      if (!status) {
        EXPECT_EQ(status.error().code(), ErrorCode::bad_signature);
      }
    }
    EXPECT_EQ(check_signed(signed_as, document, other_.public_key()).error().code(), ErrorCode::bad_signature);
  }
}

TEST_F(SignedDocuments, AChangedBitIsRefused) {
  const Signed original = sign_document(kModelLabel, sample_model().encode(), key_);
  for (std::size_t i = 0; i < original.document.size(); ++i) {
    Signed changed = original;
    changed.document[i] ^= 1;
    EXPECT_EQ(check_signed(kModelLabel, changed, key_.public_key()).error().code(), ErrorCode::bad_signature) << i;
  }
  for (std::size_t i = 0; i < original.signature.size(); ++i) {
    Signed changed = original;
    changed.signature[i] ^= 1;
    EXPECT_EQ(check_signed(kModelLabel, changed, key_.public_key()).error().code(), ErrorCode::bad_signature) << i;
  }
}

}  // namespace
}  // namespace chorus::protocol
