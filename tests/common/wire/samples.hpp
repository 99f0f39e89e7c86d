// One message of each type, with every field set, and the largest of each type.
#pragma once

#include <string>
#include <vector>

#include "common/protocol/messages.hpp"

namespace chorus::wire {

inline Bytes counting_bytes(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return bytes;
}

inline protocol::Signed sample_signed(std::size_t size) {
  protocol::Signed result;
  result.document = counting_bytes(size);
  for (std::size_t i = 0; i < result.signature.size(); ++i) result.signature[i] = static_cast<std::uint8_t>(200 + i);
  return result;
}

inline ByteArray<32> sample_session() {
  ByteArray<32> session;
  session.fill(0xa5);
  return session;
}

inline std::vector<protocol::Message> sample_messages() {
  using namespace protocol;
  return {
      Hello{.protocol_version = 1, .job = "films"},
      Fetch{.kind = BlobKind::catalogue, .version = 0x0102030405060708},
      Ready{.model_version = ModelVersion(9), .has_model = true},
      Decline{.session = sample_session(), .code = ErrorCode::parameter_below_floor, .sentence = "n_min is 2"},
      Update{.session = sample_session(), .offset = 100, .total = 1000, .data = counting_bytes(300)},
      Welcome{.job = sample_signed(80), .catalogue = sample_signed(90), .model = sample_signed(70), .finished = true},
      Welcome{.job = sample_signed(80), .catalogue = sample_signed(90), .model = {}, .finished = false},
      Blob{.kind = BlobKind::model, .version = 4, .offset = 700, .total = 1000, .data = counting_bytes(300)},
      Waiting{.devices_ready = 3, .devices_needed = 76},
      Manifest{.plan = sample_signed(200), .revocations = counting_bytes(150)},
      protocol::Result{.result = sample_signed(100)},
      Published{.model = sample_signed(120)},
      Finished{},
      Refusal{.code = ErrorCode::revoked, .sentence = "the certificate was revoked — enrol again", .retry_after = 90s},
      Advertise{.session = sample_session(), .body = counting_bytes(296)},
      Shares{.session = sample_session(), .body = counting_bytes(310)},
      Masked{.session = sample_session(), .body = counting_bytes(97)},
      Vote{.session = sample_session(), .body = counting_bytes(64)},
      Openings{.session = sample_session(), .body = counting_bytes(220)},
      Roster{.session = sample_session(), .body = counting_bytes(300)},
      Delivery{.session = sample_session(), .body = counting_bytes(330)},
      Survivors{.session = sample_session(), .body = counting_bytes(10)},
      Certificate{.session = sample_session(), .body = counting_bytes(140)},
      Resume{.session = sample_session()},
      Resumed{.session = sample_session(), .in_round = true, .received = 0x0102030405060708},
  };
}

template <protocol::Step kStep>
protocol::SumStep<kStep> largest_step() {
  return {.session = sample_session(), .body = counting_bytes(protocol::max_body(kStep))};
}

// The longest of each type, in the order of MessageType.
inline std::vector<protocol::Message> largest_messages() {
  using namespace protocol;
  const Signed document = sample_signed(kMaxDocument);
  const std::string sentence(kMaxSentence, 's');
  return {
      Hello{.protocol_version = 0xffff, .job = std::string(64, 'j')},
      Fetch{.kind = BlobKind::model, .version = UINT64_MAX},
      Ready{.model_version = ModelVersion(UINT64_MAX), .has_model = true},
      Decline{.session = sample_session(), .code = ErrorCode::parameter_above_ceiling, .sentence = sentence},
      Update{.session = sample_session(),
             .offset = kMaxUpdate - kChunkSize,
             .total = kMaxUpdate,
             .data = counting_bytes(kChunkSize)},
      Welcome{.job = document, .catalogue = document, .model = document, .finished = true},
      Blob{.kind = BlobKind::model,
           .version = 1,
           .offset = kMaxBlob - kChunkSize,
           .total = kMaxBlob,
           .data = counting_bytes(kChunkSize)},
      Waiting{.devices_ready = UINT32_MAX, .devices_needed = UINT32_MAX},
      Manifest{.plan = document, .revocations = counting_bytes(kMaxRevocations)},
      protocol::Result{.result = document},
      Published{.model = document},
      Finished{},
      Refusal{.code = ErrorCode::parameter_above_ceiling, .sentence = sentence, .retry_after = kMaxRetryAfter},
      largest_step<Step::advertise>(),
      largest_step<Step::shares>(),
      largest_step<Step::masked>(),
      largest_step<Step::vote>(),
      largest_step<Step::openings>(),
      largest_step<Step::roster>(),
      largest_step<Step::delivery>(),
      largest_step<Step::survivors>(),
      largest_step<Step::certificate>(),
      Resume{.session = sample_session()},
      Resumed{.session = sample_session(), .in_round = true, .received = UINT64_MAX},
  };
}

}  // namespace chorus::wire
