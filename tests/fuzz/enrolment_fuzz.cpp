// What a device and the enrolment authority say to each other.
#include "common/protocol/enrolment.hpp"
#include "tests/fuzz/targets.hpp"

namespace chorus::fuzz {

namespace enrolment = protocol::enrolment;

bool read_enrolment(ByteView input) {
  const auto challenge = enrolment::decode_challenge(input);
  const auto request = enrolment::decode_request(input);
  const auto answer = enrolment::decode_answer(input);
  const int kinds = int{challenge.has_value()} + int{request.has_value()} + int{answer.has_value()};
  CHORUS_ENSURE(kinds <= 1, "a message is read as one kind");
  if (challenge) expect_same(enrolment::encode(*challenge), input);
  if (request) {
    const auto written = enrolment::encode(*request);
    expect_same(Bytes(written.begin(), written.end()), input);
  }
  if (answer) expect_same(enrolment::encode(*answer), input);
  return kinds == 1;
}

std::vector<Bytes> enrolment_seeds() {
  std::vector<Bytes> seeds{enrolment::encode(enrolment::Challenge{.nonce = {1, 2, 3}})};
  const auto add = [&](enrolment::Request request) {
    const auto bytes = enrolment::encode(request);
    seeds.emplace_back(bytes.begin(), bytes.end());
  };
  add(enrolment::FetchList{});
  add(enrolment::Enrol{.request = Bytes(90, 7), .token = enrolment::Token{.number = {1}, .secret = {}}});
  add(enrolment::Renew{.serial = {4}, .request = Bytes(90, 7), .proof = {8}});
  add(enrolment::Resign{.serial = {4}, .proof = {8}});
  const enrolment::Documents documents{.authority = {1}, .certificate = {2, 2}, .statement = {3}, .list = {4}};
  const enrolment::Answer answers[] = {
      enrolment::List{.list = {1, 2}},
      enrolment::Issued{.documents = documents,
                        .successor = enrolment::Successor{.documents = documents, .address = "next.example:7444"}},
      enrolment::Pending{.retry_after = 90s},
      enrolment::Refused{.code = ErrorCode::revoked, .sentence = "what is revoked is not renewed"},
      enrolment::Resigned{.list = {3}}};
  for (const auto& answer : answers) seeds.push_back(enrolment::encode(answer));
  return seeds;
}

}  // namespace chorus::fuzz
