// The job and the headers that a coordinator signs.
#include "common/protocol/documents.hpp"
#include "common/protocol/job_description.hpp"
#include "tests/fuzz/targets.hpp"

namespace chorus::fuzz {
namespace {

template <typename Document>
bool read_as(ByteView input) {
  const auto document = Document::decode(input);
  if (!document) return false;
  expect_same(document->encode(), input);
  return true;
}

}  // namespace

bool read_documents(ByteView input) {
  const int kinds = int{read_as<protocol::JobDescription>(input)} + int{read_as<protocol::CatalogueHeader>(input)} +
                    int{read_as<protocol::ModelHeader>(input)} + int{read_as<protocol::RoundResult>(input)};
  CHORUS_ENSURE(kinds <= 1, "a signature under one kind of document is not valid for another");
  return kinds == 1;
}

std::vector<Bytes> document_seeds() {
  Digest digest;
  digest.fill(7);
  const protocol::JobDescription job{.name = "films-2024",
                                     .family = "mf",
                                     .settings = {{"lambda", "0.05"}, {"rank", "15"}, {"server.rate", "1"}},
                                     .contract = {},
                                     .max_contributors = 512,
                                     .round_goal = 40};
  const protocol::CatalogueHeader catalogue{
      .job = digest, .version = 3, .items = 3706, .size = 123'456, .digest = digest};
  const protocol::ModelHeader model{.job = digest,
                                    .version = ModelVersion(17),
                                    .round = RoundId(21),
                                    .training_rounds = 16,
                                    .model_id = digest,
                                    .catalogue = digest,
                                    .size = 987'654,
                                    .tensors = digest};
  const protocol::RoundResult aborted{.session = digest,
                                      .round = RoundId(21),
                                      .cohort = CohortId(2),
                                      .outcome = protocol::Outcome::aborted,
                                      .members = 128,
                                      .survivors = 90,
                                      .version = ModelVersion(16),
                                      .reason = "90 of 128 updates arrived, 109 are needed"};
  return {job.encode(), catalogue.encode(), model.encode(), aborted.encode()};
}

}  // namespace chorus::fuzz
