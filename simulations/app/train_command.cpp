#include "simulations/app/train_command.hpp"

#include <cstdio>
#include <fstream>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "common/dataset/reader.hpp"
#include "common/dataset/split.hpp"
#include "simulations/app/report_files.hpp"
#include "simulations/report/round_summary.hpp"
#include "simulations/report/train_report.hpp"
#include "simulations/world/replay.hpp"
#include "simulations/world/train_settings.hpp"
#include "simulations/world/training_run.hpp"
#include "simulations/world/training_task.hpp"
#include "simulations/world/validation.hpp"

namespace chorus::sim {
namespace {

struct Arguments {
  std::filesystem::path ratings;
  std::string split;
  std::string negatives;
  std::filesystem::path item_map;
  std::string family = "mf";
  std::vector<std::string> sets;
  std::uint32_t rounds = 0;
  double participation = 1;
  double validation = 0;  // share of the training ratings; 0: the last round counts
  std::string aggregation = "plain";
  std::uint64_t seed = 1;
  std::uint32_t repeat = 1;
  std::filesystem::path trace;
  std::filesystem::path replay;
  std::filesystem::path population;
  std::string format;
  bool skip_bad_lines = false;
  unsigned threads = 0;
  std::string json;
};

dataset::ReadOptions read_options(const Arguments& arguments) {
  dataset::ReadOptions options;
  options.format = arguments.format;
  options.skip_bad_lines = arguments.skip_bad_lines;
  options.descriptions = false;
  return options;
}

DataSummary summarise(const Arguments& arguments, const dataset::ReadReport& report, const dataset::Split& split) {
  return {.path = arguments.ratings.string(),
          .format = report.format,
          .users = split.train.user_count(),
          .items = split.train.item_count(),
          .ratings = split.train.size() + split.test.size(),
          .training = split.train.size(),
          .test = split.test.size(),
          .dropped = report.dropped + (split.test_report ? split.test_report->dropped : 0),
          .duplicates = report.duplicates + (split.test_report ? split.test_report->duplicates : 0)};
}

void say_what_was_left_out(const DataSummary& data, const dataset::ReadReport& report) {
  if (data.dropped == 0) return;
  fmt::print(stderr, "{} bad lines were left out; the first: {}\n", data.dropped,
             report.problems.empty() ? "in the test ratings" : report.problems.front().to_string());
}

Result<TaskOptions> task_options(const Arguments& arguments) {
  TaskOptions options;
  CHORUS_TRY(options.split, dataset::SplitSpec::parse(arguments.split));
  options.negatives = arguments.negatives;
  options.item_map = arguments.item_map;
  options.reading = read_options(arguments);
  return options;
}

unsigned threads_of(const Arguments& arguments) {
  return arguments.threads != 0 ? arguments.threads : std::max(1U, std::thread::hardware_concurrency());
}

class Progress {
 public:
  explicit Progress(std::uint32_t rounds) : rounds_(rounds), terminal_(isatty(STDERR_FILENO) == 1) {}
  void say(const RunSummary& run, const RoundReport& report) const {
    if (!terminal_ || report.round == 0) return;
    const RoundSummary round = summarise(report);
    const auto& [name, value] = metrics_of(round).front();
    fmt::print(stderr, "seed {} fold {} round {}/{}: {} {:.4f}, {:.3f} s\n", run.seed, run.fold, report.round, rounds_,
               name, value, report.seconds);
  }

 private:
  std::uint32_t rounds_;
  bool terminal_;
};

// One training; `trace`, if open, gets its lines.
Result<RunSummary> run_once(const Arguments& arguments, const TrainSettings& settings,
                            const dataset::DataContract& contract, const TrainingTask& task,
                            const std::shared_ptr<const dataset::Catalogue>& catalogue, RunSummary run,
                            std::ofstream& trace) {
  const dataset::Split& split = task.split;
  const Population population(split.train);
  CHORUS_TRY(const auto model,
             settings.make_model(static_cast<std::uint32_t>(split.train.item_count()), contract, run.seed, catalogue));
  const std::uint32_t rounds = settings.rounds.value_or(model->preset_rounds());
  CHORUS_TRY(const auto poisoners, settings.make_poisoners(model->shape().items, population.size(), run.seed));
  const TraceOfTraining traced(*model, population, settings.rule);
  if (trace.is_open()) trace << traced.header("train");
  const Progress progress(rounds);
  TrainingOptions options{.rounds = rounds,
                          .aggregation = settings.aggregation,
                          .participation = settings.participation,
                          .order = settings.order,
                          .seed = run.seed,
                          .threads = threads_of(arguments),
                          .cohort_size = settings.cohort_size,
                          .treatment = settings.treatment(poisoners),
                          .delta = settings.delta.value_or(TrainingOptions().delta),
                          .clock = now};
  if (arguments.validation > 0) {
    CHORUS_TRY(const Validation validation, validate(*model, split.train, arguments.validation, options));
    options.rounds = validation.best_round;
    run.chosen_round = validation.best_round;
  }
  const TestData test(split.test, task.ranking ? &*task.ranking : nullptr);
  CHORUS_TRY_DO(run_training(*model, population, test, options, [&](const RoundReport& report) {
    if (trace.is_open()) trace << traced.line(report);
    progress.say(run, report);
    if (report.round == 0) return;
    run.rounds.push_back(summarise(report));
  }));
  return run;
}

Result<int> train(const Arguments& arguments) {
  const Moment start = now();
  CHORUS_TRY(TrainSettings settings,
             TrainSettings::create(arguments.family, arguments.sets, arguments.aggregation, arguments.participation));
  if (arguments.rounds != 0) settings.rounds = arguments.rounds;
  CHORUS_TRY(const TaskOptions options, task_options(arguments));
  if (!arguments.trace.empty() && (arguments.repeat > 1 || options.split.folds > 1 || settings.poison)) {
    return fail(ErrorCode::invalid_argument, "a trace is of one run of honest devices, without --repeat and kfold",
                "--trace");
  }
  dataset::ReadOptions reading = read_options(arguments);
  reading.descriptions = settings.learns_from_descriptions();
  CHORUS_TRY(const dataset::DataSet data, dataset::read_ratings(arguments.ratings, reading));
  const dataset::Feedback feedback = settings.feedback();
  CHORUS_TRY_DO(check_task(options, feedback));
  const dataset::DataContract contract = task_contract(data, feedback);
  std::ofstream trace;
  if (!arguments.trace.empty()) {
    trace.open(arguments.trace, std::ios::binary);
    if (!trace) return fail(ErrorCode::unwritable, "the trace cannot be written", arguments.trace.string());
  }
  TrainSummary summary;
  for (std::uint32_t repeat = 0; repeat < arguments.repeat; ++repeat) {
    for (std::uint32_t fold = 0; fold < options.split.folds; ++fold) {
      const std::uint64_t seed = arguments.seed + repeat;
      CHORUS_TRY(const TrainingTask task, make_task(data, options, feedback, seed, fold));
      const dataset::Split& split = task.split;
      std::shared_ptr<const dataset::Catalogue> catalogue;
      if (reading.descriptions) {
        CHORUS_TRY(auto described, dataset::make_catalogue(*split.train.items, data.descriptions));
        catalogue = std::make_shared<const dataset::Catalogue>(std::move(described));
      }
      settings.people = split.train.user_count();
      if (summary.runs.empty()) {
        summary.data = summarise(arguments, data.report, split);
        say_what_was_left_out(summary.data, data.report);
        CHORUS_TRY(const auto model, settings.make_model(static_cast<std::uint32_t>(split.train.item_count()), contract,
                                                         seed, catalogue));
        summary.config = settings.describe(*model);
      }
      CHORUS_TRY(RunSummary run, run_once(arguments, settings, contract, task, catalogue,
                                          {.seed = seed, .fold = fold, .chosen_round = {}, .rounds = {}}, trace));
      summary.runs.push_back(std::move(run));
    }
  }
  if (trace.is_open()) {
    trace.close();
    if (!trace) return fail(ErrorCode::unwritable, "the trace cannot be written", arguments.trace.string());
  }
  summary.config.emplace_back("split", arguments.split);
  if (feedback == dataset::Feedback::events) {
    summary.config.emplace_back("negatives", arguments.negatives.empty() ? "all" : arguments.negatives);
  }
  if (arguments.validation > 0) summary.config.emplace_back("validation", arguments.validation);
  summary.config.emplace_back("seed", arguments.seed);
  summary.config.emplace_back("repeat", std::uint64_t{arguments.repeat});
  summary.config.emplace_back("threads", std::uint64_t{threads_of(arguments)});
  summary.seconds = seconds_since(start);
  if (arguments.json != "-") fmt::print("{}", to_table(summary));
  CHORUS_TRY_DO(write_json(to_json(summary), arguments.json));
  return 0;
}

Result<int> replay_trace(const Arguments& arguments) {
  const Moment start = now();
  CHORUS_TRY(const std::string trace, read_text(arguments.replay));
  dataset::ReadOptions reading = read_options(arguments);
  reading.descriptions = true;  // the trace says what is learned from them
  CHORUS_TRY(const dataset::DataSet data, dataset::read_ratings(arguments.ratings, reading));
  dataset::Split split{.train = data.ratings, .test = {}, .test_report = std::nullopt, .overlap = 0};
  if (!arguments.split.empty()) {
    CHORUS_TRY(const TaskOptions options, task_options(arguments));
    CHORUS_TRY(TrainingTask task, make_task(data, options, dataset::Feedback::ratings, arguments.seed, 0));
    split = std::move(task.split);
  }
  Population population(split.train);
  if (!arguments.population.empty()) {
    CHORUS_TRY(const std::string lines, read_text(arguments.population));
    const Status enrolled = population.enrol(lines);
    if (!enrolled) return fail(enrolled.error().at(arguments.population.string()));
  }
  ReplaySummary summary{.data = summarise(arguments, data.report, split),
                        .trace = arguments.replay.string(),
                        .rounds = 0,
                        .versions = 0,
                        .difference = std::nullopt,
                        .seconds = 0};
  CHORUS_TRY(const auto catalogue, dataset::make_catalogue(*split.train.items, data.descriptions));
  const auto repeated = replay(trace, population, catalogue.items(), threads_of(arguments));
  if (repeated) {
    summary.rounds = repeated->rounds;
    summary.versions = repeated->versions;
  } else {
    summary.difference = repeated.error().at(arguments.replay.string()).to_string();
  }
  summary.seconds = seconds_since(start);
  if (arguments.json != "-") {
    fmt::print("{}\n", summary.difference
                           ? *summary.difference
                           : fmt::format("{} versions of the model repeated, byte for byte", summary.versions));
  }
  CHORUS_TRY_DO(write_json(to_json(summary), arguments.json));
  return summary.difference ? 1 : 0;
}

}  // namespace

void add_train_command(CLI::App& app, int& status) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("train", "Train a model in one process and measure it on test ratings");
  command->add_option("--ratings", arguments->ratings, "A ratings file or a data set's folder")->required();
  CLI::Option* split = command->add_option("--split", arguments->split,
                                           "What is tested on: test:FILE, random:0.9, kfold:5, loo, cold-items:0.2");
  command->add_option("--negatives", arguments->negatives,
                      "Of events: rank each test item among so many drawn items, or those of a file; default: all");
  command->add_option("--item-map", arguments->item_map, "What the numbers of the file of negatives mean: number, id");
  CLI::Option* model = command->add_option("--model", arguments->family, "The model's family")->capture_default_str();
  CLI::Option* sets = command->add_option("--set", arguments->sets,
                                          "A setting, KEY=VALUE; auto is a value of each; a wrong key lists them");
  CLI::Option* rounds =
      command->add_option("--rounds", arguments->rounds, "Training rounds; default: the family's preset")
          ->check(CLI::Range(1U, 1'000'000U));
  CLI::Option* participation =
      command->add_option("--participation", arguments->participation, "Share of the people in a round")
          ->capture_default_str();
  CLI::Option* aggregation = command
                                 ->add_option("--aggregation", arguments->aggregation,
                                              "How updates are summed: float, plain, or masked (as devices do)")
                                 ->capture_default_str();
  CLI::Option* validation =
      command
          ->add_option("--validation", arguments->validation,
                       "Hold this share of the training ratings out, choose the round on it, then train on all of them")
          ->check(CLI::Range(0.001, 0.9));
  command->add_option("--seed", arguments->seed, "Of the split, the draws and the model")->capture_default_str();
  CLI::Option* repeat = command->add_option("--repeat", arguments->repeat, "So many runs, with seeds from --seed on")
                            ->check(CLI::Range(1U, 1'000U))
                            ->capture_default_str();
  CLI::Option* trace = command->add_option("--trace", arguments->trace, "Write the run's trace there");
  CLI::Option* replay =
      command->add_option("--replay", arguments->replay, "Repeat the run of this trace and compare every version");
  command->add_option("--population", arguments->population, "Lines 'device id<TAB>user id' of a fleet, for --replay")
      ->needs(replay);
  command->add_option("--format", arguments->format, "The ratings' format, instead of recognising it");
  command->add_flag("--skip-bad-lines", arguments->skip_bad_lines, "Leave bad lines out, and count them");
  command->add_option("--threads", arguments->threads, "Threads; never changes a result; default: all cores");
  command->add_option("--json", arguments->json, "Write the report there; - is standard output's last line");
  // The trace says everything about a replay's model and rounds.
  for (CLI::Option* option : {model, sets, rounds, participation, aggregation, validation, repeat, trace})
    replay->excludes(option);
  command->callback([arguments, split, &status] {
    if (arguments->replay.empty() && split->count() == 0) throw CLI::RequiredError("--split");
    const auto ended = arguments->replay.empty() ? train(*arguments) : replay_trace(*arguments);
    if (!ended) fmt::print(stderr, "chorus-sim train: {}\n", ended.error().to_string());
    status = ended.value_or(1);
  });
}

}  // namespace chorus::sim
