// What is fuzzed: each parser that hostile bytes reach, and what must hold of anything it accepts. The same targets run
// under libFuzzer (libfuzzer/entry.cpp, preset `fuzz`) and, on mutations of their seeds, in every test run.
#pragma once

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/check.hpp"

namespace chorus::fuzz {

struct Target {
  std::string_view name;
  // Aborts (CHORUS_ENSURE) if what must hold does not. Whether the bytes were accepted: a run that accepts nothing
  // tests nothing.
  bool (*run)(ByteView input);
  // Inputs that are accepted, for mutations to start from.
  std::vector<Bytes> (*seeds)();
};

[[nodiscard]] std::span<const Target> targets();

[[nodiscard]] bool read_frames(ByteView input);
[[nodiscard]] std::vector<Bytes> frame_seeds();
[[nodiscard]] bool read_payload(ByteView input);
[[nodiscard]] std::vector<Bytes> payload_seeds();
[[nodiscard]] bool read_documents(ByteView input);
[[nodiscard]] std::vector<Bytes> document_seeds();
[[nodiscard]] bool read_plan(ByteView input);
[[nodiscard]] std::vector<Bytes> plan_seeds();
[[nodiscard]] bool read_catalogue(ByteView input);
[[nodiscard]] std::vector<Bytes> catalogue_seeds();
[[nodiscard]] bool read_tensors(ByteView input);
[[nodiscard]] std::vector<Bytes> tensor_seeds();
[[nodiscard]] bool read_enrolment(ByteView input);
[[nodiscard]] std::vector<Bytes> enrolment_seeds();

// A value has one encoding: what was read writes the same bytes.
inline void expect_same(const Bytes& written, ByteView read) {
  CHORUS_ENSURE(std::ranges::equal(written, read), "what decodes encodes to the same bytes");
}

}  // namespace chorus::fuzz
