#include "simulations/fleet/worker_event.hpp"

#include <array>

#include <nlohmann/json.hpp>

namespace chorus::sim {
namespace {

constexpr std::array<std::string_view, 7> kNames{"imported", "welcomed", "round", "trouble",
                                                 "ended",    "waiting",  "step"};

}  // namespace

std::string encode(const WorkerEvent& event) {
  using Kind = WorkerEvent::Kind;
  nlohmann::json line{{"event", kNames[static_cast<std::size_t>(event.kind)]}};
  if (event.kind == Kind::imported) {
    line["count"] = event.count;
  } else {
    line["device"] = event.device;
  }
  if (event.kind == Kind::round || event.kind == Kind::ended) {
    line["version"] = event.version;
    line["bytes_up"] = event.bytes_up;
    line["bytes_down"] = event.bytes_down;
  }
  if (event.kind == Kind::round || event.kind == Kind::step) line["round"] = event.round;
  if (event.kind == Kind::step) line["cohort"] = event.cohort;
  if (event.kind == Kind::ended) {
    line["finished"] = event.finished;
    line["recommendations"] = event.recommendations;
    line["explained"] = event.explained;
  }
  if (event.kind == Kind::waiting) {
    line["ready"] = event.ready;
    line["needed"] = event.needed;
  }
  if (!event.text.empty()) line["text"] = event.text;
  if (!event.sentence.empty()) line["sentence"] = event.sentence;
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<WorkerEvent> decode_worker_event(std::string_view text) {
  try {
    const auto line = nlohmann::json::parse(text);
    WorkerEvent event;
    const auto name = line.at("event").get<std::string>();
    std::size_t kind = 0;
    while (kind < kNames.size() && kNames[kind] != name) ++kind;
    if (kind == kNames.size()) return fail(ErrorCode::malformed, "unknown event '" + name + "'", "worker");
    event.kind = static_cast<WorkerEvent::Kind>(kind);
    event.device = line.value("device", std::uint32_t{0});
    event.count = line.value("count", std::uint64_t{0});
    event.round = line.value("round", std::uint64_t{0});
    event.cohort = line.value("cohort", std::uint32_t{0});
    event.version = line.value("version", std::uint64_t{0});
    event.bytes_up = line.value("bytes_up", std::uint64_t{0});
    event.bytes_down = line.value("bytes_down", std::uint64_t{0});
    event.finished = line.value("finished", false);
    event.recommendations = line.value("recommendations", std::uint32_t{0});
    event.explained = line.value("explained", false);
    event.ready = line.value("ready", std::uint32_t{0});
    event.needed = line.value("needed", std::uint32_t{0});
    event.text = line.value("text", std::string());
    event.sentence = line.value("sentence", std::string());
    return event;
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::malformed, error.what(), "worker");
  }
}

}  // namespace chorus::sim
