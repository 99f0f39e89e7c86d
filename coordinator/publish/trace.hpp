// The trace: what a replay needs to repeat a run byte for byte, one JSON object a line (state folder, JOB.trace.jsonl).
//
//   {"trace":1,"job":hex,"name":..,"family":..,"settings":{..},"contract":{..},"items":m,"max_contributors":n,
//    "model":hex}                                  the first line; `model` is version 0
//   {"round":r,"purpose":"train","from":v,"to":w,"model":hex,"cohorts":[{"members":[id..],"survivors":[id..]}..],
//    "quality":{..},"released":{"contributors":c,"sum":[..]},"rule":{"name":"trimmed-mean","trim":.25,"most_norm":2}}
//                                                  one for each round whose sum was used; `released` where devices
//                                                  added noise: the sum that the coordinator learned, which no device
//                                                  can repeat, as the layout's integers; `rule` where the cohorts'
//                                                  sums were combined by another than the plain sum
//   {"grow":m,"from":v,"to":w,"model":hex}         the catalogue gained items: m in all
//
// `model` is the SHA-256 of TensorSet::encode() of the version `to` (for a measuring round from = to). `quality` is
// that of the version `from`. It holds device ids (who took part), never what they contributed. Values; stateless.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/id.hpp"
#include "common/dataset/data_contract.hpp"
#include "common/identity/device_id.hpp"
#include "common/model/model.hpp"
#include "common/plan/round_plan.hpp"
#include "coordinator/publish/robust.hpp"

namespace chorus::coordinator {

inline constexpr std::uint32_t kTraceVersion = 1;

struct TraceHeader {
  Digest job{};
  std::string name;
  std::string family;
  model::Settings settings;
  dataset::DataContract contract;
  std::uint32_t items = 0;  // of the first catalogue
  std::uint32_t max_contributors = 0;
  Digest model{};  // of version 0

  friend bool operator==(const TraceHeader&, const TraceHeader&) = default;
};

struct TraceSum {
  std::uint64_t contributors = 0;
  std::vector<std::int64_t> coordinates;  // [the layout's dimension]
  friend bool operator==(const TraceSum&, const TraceSum&) = default;
};

struct TraceCohort {
  std::vector<identity::DeviceId> members;
  std::vector<identity::DeviceId> survivors;  // whose updates are in the sum; empty if the cohort was aborted

  friend bool operator==(const TraceCohort&, const TraceCohort&) = default;
};

struct TraceRound {
  RoundId round;
  plan::Purpose purpose = plan::Purpose::train;
  ModelVersion from;
  ModelVersion to;
  Digest model{};
  std::vector<TraceCohort> cohorts;
  std::optional<model::Quality> quality;  // absent for a survey
  std::optional<TraceSum> released = {};  // where devices added noise
  CombinationRule rule = {};              // of the cohorts' sums
};

struct TraceGrow {
  std::uint32_t items = 0;
  ModelVersion from;
  ModelVersion to;
  Digest model{};

  friend bool operator==(const TraceGrow&, const TraceGrow&) = default;
};

using TraceRecord = std::variant<TraceHeader, TraceRound, TraceGrow>;

// One line, without its line break. The same record always gives the same text.
[[nodiscard]] std::string to_json_line(const TraceRecord& record);
// Errors: malformed, unsupported_version.
[[nodiscard]] Result<TraceRecord> parse_trace_line(std::string_view line);

}  // namespace chorus::coordinator
