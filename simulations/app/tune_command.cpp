#include "simulations/app/tune_command.hpp"

#include <memory>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/dataset/reader.hpp"
#include "simulations/app/report_files.hpp"
#include "simulations/world/train_settings.hpp"
#include "simulations/world/training_task.hpp"
#include "simulations/world/tuning.hpp"
#include "simulations/world/validation.hpp"

namespace chorus::sim {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::filesystem::path ratings;
  std::string split;
  std::string family = "mf";
  std::vector<std::string> sets;
  std::vector<std::string> tries;
  std::uint32_t rounds = 0;
  double validation = 0.1;
  TuneBudget budget;
  std::uint64_t seed = 1;
  unsigned threads = 0;
  std::string format;
  std::string json;
};

std::string to_text(const Assignments& settings) {
  std::string text;
  for (const auto& [key, value] : settings) text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value);
  return text;
}

Result<std::vector<TuneAxis>> axes_of(const Arguments& arguments, const model::Settings& preset) {
  std::vector<TuneAxis> axes;
  for (const std::string& text : arguments.tries) {
    CHORUS_TRY(TuneAxis axis, TuneAxis::parse(text));
    axes.push_back(std::move(axis));
  }
  if (!axes.empty()) return axes;
  axes = default_axes(preset);
  // What was set by hand stays.
  std::erase_if(axes, [&arguments](const TuneAxis& axis) {
    return std::ranges::any_of(arguments.sets,
                               [&axis](const std::string& set) { return set.starts_with(axis.key + "="); });
  });
  return axes;
}

Result<TrainSettings> settings_of(const Arguments& arguments, const Assignments& tried) {
  std::vector<std::string> sets = arguments.sets;
  for (const auto& [key, value] : tried) sets.push_back(fmt::format("{}={}", key, value));
  CHORUS_TRY(TrainSettings settings, TrainSettings::create(arguments.family, sets, "plain", 1));
  if (arguments.rounds != 0) settings.rounds = arguments.rounds;
  if (settings.poison) return fail(ErrorCode::invalid_argument, "nothing is tuned for lying devices", "--set poison");
  return settings;
}

// The training half of the split, or everything.
Result<dataset::RatingTable> training_half(const Arguments& arguments, const dataset::DataSet& data,
                                           dataset::Feedback feedback) {
  TaskOptions options;
  // Without a split any will do to make events of ratings; the halves are put together again.
  CHORUS_TRY(options.split, dataset::SplitSpec::parse(arguments.split.empty() ? "random:0.5" : arguments.split));
  CHORUS_TRY(TrainingTask task, make_task(data, options, feedback, arguments.seed, 0));
  if (arguments.split.empty()) {
    auto& entries = task.split.train.entries;
    entries.insert(entries.end(), task.split.test.entries.begin(), task.split.test.entries.end());
  }
  return std::move(task.split.train);
}

Json to_object(const Trial& trial, dataset::Feedback feedback) {
  Json settings = Json::object();
  for (const auto& [key, value] : trial.settings) settings[key] = value;
  const bool events = feedback == dataset::Feedback::events;
  return {{"settings", std::move(settings)},
          {"round", trial.round},
          {events ? "ndcg@10" : "rmse", events ? -trial.loss : trial.loss},
          {"seconds", trial.seconds}};
}

Result<int> run(const Arguments& arguments) {
  const Moment begin = now();
  CHORUS_TRY(const TrainSettings preset, settings_of(arguments, {}));
  const dataset::Feedback feedback = preset.feedback();
  dataset::ReadOptions reading;
  reading.format = arguments.format;
  reading.descriptions = false;
  CHORUS_TRY(const dataset::DataSet data, dataset::read_ratings(arguments.ratings, reading));
  const dataset::DataContract contract = task_contract(data, feedback);
  CHORUS_TRY(const dataset::RatingTable training, training_half(arguments, data, feedback));
  const auto items = static_cast<std::uint32_t>(training.item_count());
  const unsigned threads =
      arguments.threads != 0 ? arguments.threads : std::max(1U, std::thread::hardware_concurrency());

  Assignments start;
  CHORUS_TRY(const auto made, preset.make_model(items, contract, arguments.seed));
  CHORUS_TRY(const std::vector<TuneAxis> axes, axes_of(arguments, made->settings()));
  for (const TuneAxis& axis : axes) {
    const std::string_view name = std::string_view(axis.key).substr(axis.key.find('.') + 1);
    if (const auto known = made->settings().find(name); known != made->settings().end())
      start[axis.key] = known->second;
  }
  std::uint32_t number = 0;
  std::optional<double> least;
  const auto measure = [&](const Assignments& tried) -> Result<Trial> {
    CHORUS_TRY(const TrainSettings settings, settings_of(arguments, tried));
    CHORUS_TRY(const auto model, settings.make_model(items, contract, arguments.seed));
    const TrainingOptions options{.rounds = settings.rounds.value_or(model->preset_rounds()),
                                  .seed = arguments.seed,
                                  .threads = threads,
                                  .treatment = settings.treatment({}),
                                  .clock = now};
    CHORUS_TRY(const Validation found, validate(*model, training, arguments.validation, options));
    const double loss = found.best_loss();
    const bool better = !least || loss < *least;
    if (better) least = loss;
    fmt::print(stderr, "{:>4}  {:.5f} at round {:>3}{}  {:6.1f} s  {}\n", ++number, std::abs(loss), found.best_round,
               better ? " *" : "  ", found.seconds, to_text(tried));
    return Trial{.settings = {}, .loss = loss, .round = found.best_round, .seconds = found.seconds};
  };
  CHORUS_TRY(const std::vector<Trial> trials, tune(axes, start, arguments.budget, measure));

  const Trial& best = best_of(trials);
  if (arguments.json != "-") {
    std::string options;
    for (const auto& [key, value] : best.settings) options += fmt::format(" --set {}={}", key, value);
    fmt::print("best on validation: {} {:.5f}, the preset {:.5f}; train with:{} --rounds {}\n",
               feedback == dataset::Feedback::events ? "ndcg@10" : "rmse", std::abs(best.loss),
               std::abs(trials.front().loss), options, best.round);
  }
  Json json = {{"model", arguments.family},
               {"validation", arguments.validation},
               {"seed", arguments.seed},
               {"trace", Json::array()},
               {"preset", to_object(trials.front(), feedback)},
               {"best", to_object(best, feedback)},
               {"seconds", seconds_since(begin)}};
  for (const Trial& trial : trials) json["trace"].push_back(to_object(trial, feedback));
  CHORUS_TRY_DO(write_json(json.dump(-1, ' ', false, Json::error_handler_t::replace), arguments.json));
  return 0;
}

}  // namespace

void add_tune_command(CLI::App& app, int& status) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("tune", "Search a model's settings on held-out training ratings");
  command->add_option("--ratings", arguments->ratings, "A ratings file or a data set's folder")->required();
  command->add_option("--split", arguments->split,
                      "Tune on the training half of this split alone; default: everything");
  command->add_option("--model", arguments->family, "The model's family")->capture_default_str();
  command->add_option("--set", arguments->sets, "A setting that stays, KEY=VALUE");
  command->add_option("--try", arguments->tries,
                      "Values to try, KEY=V1,V2,…; default: around the preset of what is set");
  command->add_option("--rounds", arguments->rounds, "Training rounds of a trial; default: the family's preset")
      ->check(CLI::Range(1U, 1'000'000U));
  command->add_option("--validation", arguments->validation, "Share of the training ratings that is held out")
      ->check(CLI::Range(0.001, 0.9))
      ->capture_default_str();
  command->add_option("--runs", arguments->budget.runs, "At most so many trials")
      ->check(CLI::Range(1U, 100'000U))
      ->capture_default_str();
  command->add_option("--seconds", arguments->budget.seconds, "Begin no trial after so many seconds of training");
  command->add_option("--seed", arguments->seed, "Of the split, the held-out ratings and the model")
      ->capture_default_str();
  command->add_option("--threads", arguments->threads, "Threads; never changes a result; default: all cores");
  command->add_option("--format", arguments->format, "The ratings' format, instead of recognising it");
  command->add_option("--json", arguments->json, "Write the report there; - is standard output's last line");
  command->callback([arguments, &status] {
    const auto ended = run(*arguments);
    if (!ended) fmt::print(stderr, "chorus-sim tune: {}\n", ended.error().to_string());
    status = ended.value_or(1);
  });
}

}  // namespace chorus::sim
