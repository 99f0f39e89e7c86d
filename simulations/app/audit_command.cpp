#include "simulations/app/audit_command.hpp"

#include <ctime>
#include <fstream>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "common/dataset/planted.hpp"
#include "common/dataset/reader.hpp"
#include "simulations/app/report_files.hpp"
#include "simulations/report/audit_report.hpp"

namespace chorus::sim {
namespace {

struct Arguments {
  std::filesystem::path ratings;  // empty: generated people
  std::string format;
  std::uint32_t people = 600;
  std::uint32_t items = 1500;
  double epsilon = audit::AuditOptions().epsilon;
  double delta = audit::AuditOptions().delta;
  std::uint64_t seed = 1;
  unsigned threads = 0;
  std::string json;
  std::filesystem::path html;
};

Result<audit::AuditInput> input_of(const Arguments& arguments) {
  audit::AuditInput input;
  if (arguments.ratings.empty()) {
    CHORUS_TRY(const auto planted, dataset::PlantedPopulation::create(
                                       {.seed = arguments.seed, .users = arguments.people, .items = arguments.items}));
    input.ratings = planted.table();
    input.contract = planted.contract();
    input.catalogue = std::make_shared<const dataset::Catalogue>(planted.catalogue());
    return input;
  }
  dataset::ReadOptions reading;
  reading.format = arguments.format;
  CHORUS_TRY(const dataset::DataSet data, dataset::read_ratings(arguments.ratings, reading));
  CHORUS_TRY(auto catalogue, data.catalogue());
  input.ratings = data.ratings;
  input.contract = data.contract();
  input.catalogue = std::make_shared<const dataset::Catalogue>(std::move(catalogue));
  return input;
}

// What this thread has worked: the machine's other work must not be taken for a member's.
Moment thread_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return Moment(
      std::chrono::duration_cast<Duration>(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
}

Result<int> run(const Arguments& arguments) {
  const Moment start = now();
  CHORUS_TRY(audit::AuditInput input, input_of(arguments));
  audit::AuditOptions options;
  options.seed = arguments.seed;
  options.epsilon = arguments.epsilon;
  options.delta = arguments.delta;
  options.threads = arguments.threads != 0 ? arguments.threads : std::max(1U, std::thread::hardware_concurrency());
  options.clock = thread_time;
  const bool terminal = isatty(STDERR_FILENO) == 1;
  CHORUS_TRY(const audit::AuditReport report,
             audit::run_audit(std::move(input), options, [&](const audit::Finding& finding) {
               if (terminal) fmt::print(stderr, "{} done, {:.0f} s\n", finding.id, seconds_since(start));
             }));
  const std::string data = arguments.ratings.empty() ? "generated people" : arguments.ratings.string();
  if (arguments.json != "-") fmt::print("{}", to_table(report));
  if (!arguments.html.empty()) {
    std::ofstream file(arguments.html, std::ios::binary);
    file << to_html(report, data);
    file.close();
    if (!file) return fail(ErrorCode::unwritable, "the page cannot be written", arguments.html.string());
  }
  CHORUS_TRY_DO(write_json(to_json(report, data, arguments.seed, seconds_since(start)), arguments.json));
  const auto failed = audit::failure(report);
  if (failed) fmt::print(stderr, "chorus-sim audit: {}\n", *failed);
  return failed ? 1 : 0;
}

}  // namespace

void add_audit_command(CLI::App& app, int& status) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "audit",
      "Attack a training as its coordinator or a reader of its models would, and say what each attack gained.\n"
      "A1 plain uploads; A2 the sum of a masked cohort; A3 two cohorts that differ in one client; A4 items with one "
      "rater;\nA5 membership by shadow trainings; A6 sizes and times; A7 a trait of a person. Every attack has a "
      "positive "
      "control,\nthe same attack where nothing defends. The exit status is 1 if a control fails, for then the audit is "
      "broken, or if\nan attack gained more than its bar allows. common/PRIVACY.md says what was measured and what it "
      "does not show.");
  command->add_option("--ratings", arguments->ratings,
                      "A ratings file or a data set's folder; default: generated people");
  command->add_option("--format", arguments->format, "The ratings' format, instead of recognising it");
  command->add_option("--people", arguments->people, "People, if they are generated")->capture_default_str();
  command->add_option("--items", arguments->items, "Items, if they are generated")->capture_default_str();
  command->add_option("--epsilon", arguments->epsilon, "Of the private trainings that are attacked")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--delta", arguments->delta, "Of the private trainings")->capture_default_str();
  command->add_option("--seed", arguments->seed, "Of everybody who is drawn, of noise and of the model")
      ->capture_default_str();
  command->add_option("--threads", arguments->threads, "Threads; default: all cores");
  command->add_option("--json", arguments->json, "Write the report there; - is standard output's last line");
  command->add_option("--html", arguments->html, "Write the table and a plot there, a page of its own");
  command->callback([arguments, &status] {
    const auto ended = run(*arguments);
    if (!ended) fmt::print(stderr, "chorus-sim audit: {}\n", ended.error().to_string());
    status = ended.value_or(1);
  });
}

}  // namespace chorus::sim
