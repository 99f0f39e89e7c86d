#include "coordinator/app/job_command.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/protocol/job_description.hpp"
#include "coordinator/io/admin_client.hpp"

namespace chorus::coordinator {

namespace {

struct Arguments {
  std::filesystem::path state = "state";
  std::filesystem::path file;
  std::string job;
  std::string level;
  bool json = false;
};

std::string epsilon_text(const nlohmann::json& privacy, const char* against) {
  if (privacy.is_null()) return "none";
  if (!privacy.at("protected").get<bool>()) return "infinite (NO DIFFERENCING PROTECTION)";
  return fmt::format("{:.3g}", privacy.at(against).at("exact").get<double>());
}

std::string to_text(const nlohmann::json& status) {
  const auto& job = status.at("job");
  const auto goal = job.at("goal").get<std::uint64_t>();
  std::string text = fmt::format(
      "job            {} ({})\n"
      "phase          {}{}\n"
      "model          version {}, {} training rounds{}, {} items\n"
      "devices        {} connected, {} wait for a round\n"
      "rounds         {} published, {} measured, {} aborted\n",
      job.at("name").get<std::string>(), job.at("family").get<std::string>(), status.at("phase").get<std::string>(),
      status.at("paused").get<bool>() ? ", paused" : "", status.at("version").get<std::uint64_t>(),
      status.at("training_rounds").get<std::uint64_t>(), goal == 0 ? "" : fmt::format(" of {}", goal),
      status.at("items").get<std::uint64_t>(), status.at("devices").at("connected").get<std::uint64_t>(),
      status.at("devices").at("ready").get<std::uint64_t>(), status.at("rounds_published").get<std::uint64_t>(),
      status.at("rounds_measured").get<std::uint64_t>(), status.at("rounds_aborted").get<std::uint64_t>());
  if (const auto& open = status.at("open_round"); !open.is_null()) {
    text += fmt::format("in progress    round {}, {} devices in {} cohorts\n", open.at("round").get<std::uint64_t>(),
                        open.at("members").get<std::uint64_t>(), open.at("cohorts").get<std::uint64_t>());
  }
  const auto& versions = status.at("versions");
  if (!versions.empty()) {
    const auto& privacy = versions.back().at("privacy");
    text += fmt::format("epsilon        {} against the coordinator, {} against readers\n",
                        epsilon_text(privacy, "epsilon_coordinator"), epsilon_text(privacy, "epsilon_readers"));
  }
  for (const char* what : {"declined", "cohorts_aborted"}) {
    for (const auto& [reason, count] : status.at(what).items()) {
      text += fmt::format("{:<14} {} by {}\n", what == std::string_view("declined") ? "declined" : "cohorts lost",
                          count.get<std::uint64_t>(), reason);
    }
  }
  return text;
}

int finish(const Result<std::string>& text) {
  if (text) {
    const bool whole = std::fwrite(text->data(), 1, text->size(), stdout) == text->size() && std::fflush(stdout) == 0;
    return whole ? 0 : 1;
  }
  fmt::print(stderr, "chorus-coordinator job: {}\n", text.error().to_string());
  return 1;
}

// Names are of a-z, 0-9 and "-": nothing needs an escape.
Result<std::string> with_job(const char* path, const std::string& job) {
  if (job.empty()) return std::string(path);
  if (!protocol::is_job_name(job)) return fail(ErrorCode::invalid_argument, "not a job's name", job);
  return fmt::format("{}?job={}", path, job);
}

Result<std::string> list(const Arguments& arguments) {
  CHORUS_TRY(auto text, admin_get(arguments.state, "/api/jobs"));
  if (arguments.json) return text + "\n";
  const auto jobs = nlohmann::json::parse(text, nullptr, false);
  if (!jobs.is_array()) return fail(ErrorCode::malformed, "the coordinator's list of jobs is not JSON");
  std::string lines = fmt::format("{:<24} {:<8} {:<12} {:>8} {:>8} {:>10}\n", "job", "family", "phase", "version",
                                  "rounds", "connected");
  for (const auto& job : jobs) {
    lines += fmt::format("{:<24} {:<8} {:<12} {:>8} {:>8} {:>10}\n", job.at("name").get<std::string>(),
                         job.at("family").get<std::string>(),
                         job.at("paused").get<bool>() ? "paused" : job.at("phase").get<std::string>(),
                         job.at("version").get<std::uint64_t>(), job.at("training_rounds").get<std::uint64_t>(),
                         job.at("devices").at("connected").get<std::uint64_t>());
  }
  return lines;
}

Result<std::string> submit(const Arguments& arguments) {
  std::ifstream in(arguments.file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) return fail(ErrorCode::not_found, "cannot read this file", arguments.file.string());
  std::error_code error;
  const auto whole = std::filesystem::absolute(arguments.file, error);
  const nlohmann::json body{{"file", text}, {"folder", whole.parent_path().string()}};
  return admin_post(arguments.state, "/api/submit",
                    body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Result<std::string> audit(const Arguments& arguments) {
  CHORUS_TRY(auto text, admin_get(arguments.state, "/api/audit"));
  if (arguments.json) return text;
  const auto entries = nlohmann::json::parse(text, nullptr, false);
  if (!entries.is_array()) return fail(ErrorCode::malformed, "the coordinator's audit log is not JSON");
  std::string lines;
  for (const auto& entry : entries) {
    const std::chrono::sys_seconds when(std::chrono::seconds(entry.at("when").get<std::int64_t>()));
    lines += fmt::format("{:%Y-%m-%d %H:%M:%S} UTC  {}  {}  {}  {}\n", when, entry.at("who").get<std::string>(),
                         entry.at("action").get<std::string>(),
                         entry.at("job").is_null() ? std::string("-") : entry.at("job").get<std::string>(),
                         entry.at("detail").get<std::string>());
  }
  return lines;
}

Result<std::string> show(const Arguments& arguments) {
  CHORUS_TRY(const std::string path, with_job("/api/status", arguments.job));
  CHORUS_TRY(auto text, admin_get(arguments.state, path));
  if (arguments.json) return text + "\n";
  const auto status = nlohmann::json::parse(text, nullptr, false);
  if (status.is_discarded()) return fail(ErrorCode::malformed, "the coordinator's status is not JSON");
  return to_text(status);
}

// Whole or not at all.
Result<std::string> export_model(const Arguments& arguments) {
  CHORUS_TRY(const std::string path, with_job("/api/model", arguments.job));
  CHORUS_TRY(const std::string bytes, admin_get(arguments.state, path));
  const auto staged = std::filesystem::path(arguments.file.string() + ".new");
  std::ofstream out(staged, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(staged, arguments.file, error);
  if (!out || error) {
    std::filesystem::remove(staged, error);
    return fail(ErrorCode::unwritable, "the model cannot be written", arguments.file.string());
  }
  return fmt::format("{} bytes in {}\n", bytes.size(), arguments.file.string());
}

}  // namespace

void add_job_command(CLI::App& app, int& status) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* const job = app.add_subcommand("job", "Ask or tell a coordinator that runs on this machine");
  job->require_subcommand(1);
  job->footer(
      "The coordinator needs [admin] listen in its settings. Commands use the token in its state folder, which its\n"
      "user alone can read. Exit status: 0 done, 1 failed, 2 the command line is wrong.");
  const auto add = [&](const char* name, const char* what, std::function<Result<std::string>()> run) {
    CLI::App* const command = job->add_subcommand(name, what);
    command->add_option("--state", arguments->state, "The coordinator's state folder")->capture_default_str();
    command->callback([run = std::move(run), &status] { status = finish(run()); });
    return command;
  };
  // Which job; a coordinator with one needs no name.
  const auto named = [arguments](CLI::App* command) {
    command->add_option("job", arguments->job, "Its name; not needed while there is one job");
    return command;
  };
  const auto told = [arguments](const char* path) {
    return [arguments, path]() -> Result<std::string> {
      CHORUS_TRY(const std::string whole, with_job(path, arguments->job));
      return admin_post(arguments->state, whole);
    };
  };
  add("submit", "Check a job file and train its job too, now and after a restart. Again with the same file: no harm",
      [arguments] { return submit(*arguments); })
      ->add_option("file", arguments->file, "The job file; see sample-job")
      ->required();
  add("list", "The jobs that run", [arguments] {
    return list(*arguments);
  })->add_flag("--json", arguments->json, "One JSON array instead of text");
  named(add("show", "How a job stands", [arguments] {
    return show(*arguments);
  }))->add_flag("--json", arguments->json, "One JSON object instead of text");
  named(add("pause", "Open no round from now on; one that is open goes on", told("/api/pause")));
  named(add("resume", "Open rounds again", told("/api/resume")));
  add("stop",
      "End a job: a round in progress gets its grace, the model stays in the state folder. Submit it again to go on",
      told("/api/stop"))
      ->add_option("job", arguments->job, "Its name")
      ->required();
  add("shutdown", "End the coordinator, as SIGTERM does",
      [arguments] { return admin_post(arguments->state, "/api/stop"); });
  add("audit", "Who told this coordinator what", [arguments] {
    return audit(*arguments);
  })->add_flag("--json", arguments->json, "One JSON array instead of text");
  CLI::App* const exported =
      add("export", "Write the latest model's tensors to a file", [arguments] { return export_model(*arguments); });
  exported->add_option("--job", arguments->job, "Which job's; not needed while there is one");
  exported->add_option("file", arguments->file, "Where")->required();
  add("log-level", "Change what is logged",
      [arguments] { return admin_post(arguments->state, "/api/log-level", arguments->level); })
      ->add_option("level", arguments->level, "debug, info, warning, error or off")
      ->required();
}

}  // namespace chorus::coordinator
