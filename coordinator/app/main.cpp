// chorus-coordinator: options and wiring.
//
// Exit status: 0 it ended as asked (a signal, a finished job, --help), 1 it failed while starting or running,
// 2 the command line or a settings file is wrong.
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/stat.h>

#include "common/crypto/private_memory.hpp"
#include "coordinator/app/check_command.hpp"
#include "coordinator/app/job_command.hpp"
#include "coordinator/app/serve.hpp"
#include "coordinator/config/samples.hpp"

namespace {

constexpr int kFailed = 1;
constexpr int kMisused = 2;

void complain(const chorus::Error& error) {
  fmt::print(stderr, "chorus-coordinator: {}\n", error.to_string());
}

int print(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return written ? 0 : kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  // What this process writes (state, trace) is its user's alone, and what it holds is its own.
  ::umask(077);
  if (const auto kept = chorus::crypto::keep_memory_private(argv); !kept) {
    complain(kept.error());
    return kFailed;
  }

  CLI::App app("Trains a recommender with many devices that keep their ratings.", "chorus-coordinator");
  app.set_version_flag("--version", std::string("chorus-coordinator ") + CHORUS_VERSION);
  app.require_subcommand(1);
  app.footer("Exit status: 0 ended as asked, 1 failed, 2 the command line or a settings file is wrong.");
  std::string config;
  std::vector<std::filesystem::path> jobs;
  const auto with_files = [&](CLI::App* command) {
    command->add_option("--config", config, "The coordinator's settings; see sample-config")->required();
    command->add_option("--job", jobs,
                        "What is trained; see sample-job. Repeat it for several; more can be handed over by `job "
                        "submit` while the coordinator runs");
    return command;
  };
  const auto* serve = with_files(app.add_subcommand("serve", "Run until SIGTERM, or until every job is finished"));
  auto* const check =
      with_files(app.add_subcommand("check", "Say whether serve would start, and what keeps it from it"));
  bool json = false;
  check->add_flag("--json", json, "One JSON object instead of text");
  check->footer("Exit status: 0 it would start, 1 this machine is not ready, 2 a file is wrong.");
  auto* const explain = app.add_subcommand("explain", "Say what a number of check means and what to do");
  std::string number;
  explain->add_option("number", number, "CH-0101 or 101; left out: list them all");
  const auto* sample_config = app.add_subcommand("sample-config", "Print a settings file with every option explained");
  const auto* sample_job = app.add_subcommand("sample-job", "Print a job file with every option explained");
  int job_status = 0;
  chorus::coordinator::add_job_command(app, job_status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : kMisused;
  }

  if (app.got_subcommand("job")) return job_status;
  if (sample_config->parsed()) return print(chorus::coordinator::sample_coordinator_file());
  if (sample_job->parsed()) return print(chorus::coordinator::sample_job_file());
  if (explain->parsed()) return chorus::coordinator::explain(number);
  if (check->parsed()) return chorus::coordinator::check(config, jobs, json);
  auto configured = chorus::coordinator::configure(config, jobs);
  if (!configured) {
    complain(configured.error());
    return kMisused;
  }
  static_cast<void>(serve);
  const auto outcome = chorus::coordinator::serve(std::move(*configured), config);
  if (outcome) return 0;
  complain(outcome.error());
  return kFailed;
}
