#include "coordinator/app/job_command.hpp"

#include <cstdio>
#include <fstream>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/io/admin_client.hpp"

namespace chorus::coordinator {

namespace {

struct Arguments {
  std::filesystem::path state = "state";
  std::filesystem::path out;
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

Result<std::string> show(const Arguments& arguments) {
  CHORUS_TRY(auto text, admin_get(arguments.state, "/api/status"));
  if (arguments.json) return text + "\n";
  const auto status = nlohmann::json::parse(text, nullptr, false);
  if (status.is_discarded()) return fail(ErrorCode::malformed, "the coordinator's status is not JSON");
  return to_text(status);
}

// Whole or not at all.
Result<std::string> export_model(const Arguments& arguments) {
  CHORUS_TRY(const std::string bytes, admin_get(arguments.state, "/api/model"));
  const auto staged = std::filesystem::path(arguments.out.string() + ".new");
  std::ofstream out(staged, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(staged, arguments.out, error);
  if (!out || error) {
    std::filesystem::remove(staged, error);
    return fail(ErrorCode::unwritable, "the model cannot be written", arguments.out.string());
  }
  return fmt::format("{} bytes in {}\n", bytes.size(), arguments.out.string());
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
  add("show", "How the job stands", [arguments] {
    return show(*arguments);
  })->add_flag("--json", arguments->json, "One JSON object instead of text");
  add("pause", "Open no round from now on; one that is open goes on",
      [arguments] { return admin_post(arguments->state, "/api/pause"); });
  add("resume", "Open rounds again", [arguments] { return admin_post(arguments->state, "/api/resume"); });
  add("stop", "As SIGTERM: a round in progress gets its grace, then the coordinator ends",
      [arguments] { return admin_post(arguments->state, "/api/stop"); });
  add("export", "Write the latest model's tensors to a file", [arguments] { return export_model(*arguments); })
      ->add_option("file", arguments->out, "Where")
      ->required();
  add("log-level", "Change what is logged",
      [arguments] { return admin_post(arguments->state, "/api/log-level", arguments->level); })
      ->add_option("level", arguments->level, "debug, info, warning, error or off")
      ->required();
}

}  // namespace chorus::coordinator
