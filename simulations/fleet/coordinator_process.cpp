#include "simulations/fleet/coordinator_process.hpp"

#include <charconv>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "common/dataset/item_files.hpp"

namespace chorus::sim {
namespace {

// A TOML basic string.
std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

Status write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) return fail(ErrorCode::unwritable, "the file cannot be written", path.string());
  return {};
}

std::string job_file(const CoordinatorSetup& setup) {
  const dataset::DataContract& contract = setup.contract;
  std::string text = fmt::format(
      "name = {}\n"
      "rounds = {}\n"
      "catalogue = \"items.tsv\"\n\n"
      "[data]\n"
      "feedback = {}\n"
      "minimum = {}\n"
      "maximum = {}\n"
      "step = {}\n"
      "max_items_per_user = {}\n\n"
      "[cohort]\n"
      "size = {}\n"
      "least_identity_age = \"0s\"  # the fleet was enrolled a moment ago\n\n"
      "[round]\n"
      "gather = \"{}ms\"\n"
      "reconnect_grace = \"{}ms\"\n"
      "devices = {}\n",
      toml_string(setup.job), setup.rounds, toml_string(dataset::to_string(contract.feedback)), contract.minimum,
      contract.maximum, contract.step, contract.max_items_per_user, setup.cohort_size, setup.gather.count(),
      setup.reconnect_grace.count(), setup.devices);
  for (std::size_t i = 0; i < plan::kSumPhases; ++i) {
    text += fmt::format("{}_deadline = \"{}ms\"\n", plan::to_string(static_cast<plan::SumPhase>(i)),
                        setup.phase_deadline.count());
  }
  text += fmt::format("\n[model]\nfamily = {}\n", toml_string(setup.family));
  for (const auto& [key, value] : setup.model) text += fmt::format("{} = {}\n", key, toml_string(value));
  if (setup.device_epsilon) text += fmt::format("\n[privacy]\ndevice_epsilon = {}\n", *setup.device_epsilon);
  return text;
}

// The first line of <state>/endpoint: "host:port".
std::optional<RunningCoordinator> read_endpoint(const std::filesystem::path& folder) {
  std::ifstream file(folder / "state" / "endpoint");
  std::string line;
  if (!std::getline(file, line) || file.eof()) return std::nullopt;
  const std::size_t colon = line.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  RunningCoordinator found;
  found.host = line.substr(0, colon);
  const auto [end, error] = std::from_chars(line.data() + colon + 1, line.data() + line.size(), found.port);
  if (error != std::errc() || end != line.data() + line.size() || found.port == 0) return std::nullopt;
  return found;
}

}  // namespace

Status write_coordinator_config(const CoordinatorSetup& setup) {
  return write_text(setup.folder / "coordinator.toml",
                    fmt::format("listen = [\"127.0.0.1:{}\"]\n"
                                "state = \"state\"\n"
                                "certificates = {}\n\n"
                                "[log]\n"
                                "level = \"info\"\n"
                                "format = \"json\"\n\n"
                                "[shutdown]\n"
                                "grace = \"{}ms\"\n",
                                setup.port, toml_string(std::filesystem::absolute(setup.certificates).string()),
                                setup.shutdown_grace.count()));
}

Status write_coordinator_files(const CoordinatorSetup& setup, const dataset::Catalogue& catalogue) {
  std::error_code error;
  std::filesystem::create_directories(setup.folder, error);
  if (error) return fail(ErrorCode::unwritable, error.message(), setup.folder.string());
  CHORUS_TRY_DO(dataset::write_item_table(setup.folder / "items.tsv", catalogue.items()));
  CHORUS_TRY_DO(write_text(setup.folder / "job.toml", job_file(setup)));
  return write_coordinator_config(setup);
}

Result<RunningCoordinator> start_coordinator(Supervisor& supervisor, const CoordinatorSetup& setup,
                                             const std::filesystem::path& program,
                                             std::function<void(std::string_view)> on_line,
                                             std::function<void(const ExitStatus&)> on_exit) {
  // A killed coordinator leaves its endpoint behind.
  std::error_code ignored;
  std::filesystem::remove(setup.folder / "state" / "endpoint", ignored);
  struct Words {
    std::string last;
    std::optional<ExitStatus> end;
  };
  auto words = std::make_shared<Words>();
  Supervisor::Watch watch;
  watch.on_error = [words, on_line = std::move(on_line)](std::string_view line) {
    words->last = line;
    if (on_line) on_line(line);
  };
  watch.on_exit = [words, on_exit = std::move(on_exit)](const ExitStatus& status) {
    words->end = status;
    if (on_exit) on_exit(status);
  };
  ProcessOptions process;
  process.program = program;
  process.arguments = {"serve", "--config", (setup.folder / "coordinator.toml").string(), "--job",
                       (setup.folder / "job.toml").string()};
  CHORUS_TRY(const pid_t pid, supervisor.start(std::move(process), std::move(watch)));
  std::optional<RunningCoordinator> found;
  const auto listening = [&] {
    if (!found) found = read_endpoint(setup.folder);
    return found.has_value() || words->end.has_value();
  };
  const auto reason = supervisor.run(listening, std::chrono::steady_clock::now() + std::chrono::seconds(30));
  if (found) {
    found->pid = pid;
    return *found;
  }
  if (words->end) {
    return fail(ErrorCode::aborted, fmt::format("the coordinator {}: {}", words->end->to_string(), words->last));
  }
  if (reason == Supervisor::Reason::stopped) return fail(ErrorCode::aborted, "stopped by a signal");
  return fail(ErrorCode::timeout, "the coordinator does not listen after 30 s");
}

std::filesystem::path trace_file(const std::filesystem::path& folder) {
  return folder / "state" / "demo.trace.jsonl";
}

Result<std::vector<coordinator::TraceRound>> read_rounds(const std::filesystem::path& folder) {
  std::ifstream file(trace_file(folder), std::ios::binary);
  if (!file) return fail(ErrorCode::not_found, "there is no trace", trace_file(folder).string());
  std::vector<coordinator::TraceRound> rounds;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line) && !file.eof(); ++number) {
    auto record = coordinator::parse_trace_line(line);
    if (!record) return fail(record.error().at(fmt::format("{}:{}", trace_file(folder).string(), number)));
    if (auto* round = std::get_if<coordinator::TraceRound>(&*record)) rounds.push_back(std::move(*round));
  }
  return rounds;
}

}  // namespace chorus::sim
