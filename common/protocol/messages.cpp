#include "common/protocol/messages.hpp"

#include <array>

#include "common/protocol/job_description.hpp"

namespace chorus::protocol {

namespace {

// Every payload starts with one byte for the byte order.
constexpr std::size_t kOrder = 1;
constexpr std::size_t kLength = 4;
constexpr std::size_t kSigned = kLength + kMaxDocument + sizeof(crypto::Signature);
constexpr std::size_t kSession = 32;

constexpr std::size_t sum_step(Step step) {
  return kOrder + kSession + kLength + max_body(step);
}

struct TypeFacts {
  std::string_view name;
  std::size_t max_payload;
};

constexpr std::array<TypeFacts, kMessageTypes> kTypes = {{
    {"hello", kOrder + 2 + kLength + kMaxJobName},
    {"fetch", kOrder + 1 + 8},
    {"ready", kOrder + 8 + 1},
    {"decline", kOrder + kSession + kLength + kMaxCodeName + kLength + kMaxSentence},
    {"update", kOrder + kSession + 8 + 8 + kLength + kChunkSize},
    {"welcome", kOrder + kSigned + kSigned + 1 + kSigned + 1},
    {"blob", kOrder + 1 + 8 + 8 + 8 + kLength + kChunkSize},
    {"waiting", kOrder + 4 + 4},
    {"manifest", kOrder + kSigned + kLength + kMaxRevocations},
    {"result", kOrder + kSigned},
    {"published", kOrder + kSigned},
    {"finished", kOrder},
    {"refusal", kOrder + kLength + kMaxCodeName + kLength + kMaxSentence + 4},
    {"advertise", sum_step(Step::advertise)},
    {"shares", sum_step(Step::shares)},
    {"masked", sum_step(Step::masked)},
    {"vote", sum_step(Step::vote)},
    {"openings", sum_step(Step::openings)},
    {"roster", sum_step(Step::roster)},
    {"delivery", sum_step(Step::delivery)},
    {"survivors", sum_step(Step::survivors)},
    {"certificate", sum_step(Step::certificate)},
    {"resume", kOrder + kSession},
    {"resumed", kOrder + kSession + 1 + 8},
}};

static_assert(std::variant_size_v<Message> == kMessageTypes);

const TypeFacts& facts(MessageType type) noexcept {
  return kTypes[static_cast<std::size_t>(type) - 1];
}

}  // namespace

MessageType type_of(const Message& message) noexcept {
  return static_cast<MessageType>(message.index() + 1);
}

std::string_view to_string(MessageType type) noexcept {
  return facts(type).name;
}

std::size_t max_payload(MessageType type) noexcept {
  return facts(type).max_payload;
}

}  // namespace chorus::protocol
