#include "simulations/world/tuning.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "common/base/check.hpp"

namespace chorus::sim {
namespace {

// Settings of which halves and doubles are tried, in the order of what they matter.
constexpr std::string_view kRidges[] = {"lambda", "lambda_bias", "noise", "alpha0"};
constexpr double kFactors[] = {0.25, 0.5, 0.7, 1.4, 2, 4};
constexpr std::uint64_t kMostRank = 127;

}  // namespace

Result<TuneAxis> TuneAxis::parse(std::string_view text) {
  const auto wrong = [&text] {
    return fail(ErrorCode::invalid_argument, "expected KEY=VALUE,VALUE…, every value once",
                fmt::format("--try {}", text));
  };
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return wrong();
  TuneAxis axis{.key = std::string(text.substr(0, equals)), .values = {}};
  for (std::string_view rest = text.substr(equals + 1);;) {
    const std::size_t comma = rest.find(',');
    const std::string value(rest.substr(0, comma));
    if (value.empty() || std::ranges::find(axis.values, value) != axis.values.end()) return wrong();
    axis.values.push_back(value);
    if (comma == std::string_view::npos) return axis;
    rest.remove_prefix(comma + 1);
  }
}

std::vector<TuneAxis> default_axes(const model::Settings& centre) {
  std::vector<TuneAxis> axes;
  const auto update = centre.find("update");
  const auto preset = [&](std::string_view name, auto& value) {
    // Only the variational update has a noise.
    if (name == "noise" && update != centre.end() && update->second != "vb") return false;
    const auto found = centre.find(name);
    if (found == centre.end()) return false;
    const char* const end = found->second.data() + found->second.size();
    return std::from_chars(found->second.data(), end, value).ptr == end;
  };
  for (const std::string_view name : kRidges) {
    double value = 0;
    if (!preset(name, value) || value <= 0) continue;  // "auto" is left to itself
    TuneAxis axis{.key = fmt::format("model.{}", name), .values = {}};
    for (const double factor : kFactors) axis.values.push_back(fmt::format("{:.6g}", factor * value));
    axes.push_back(std::move(axis));
  }
  std::uint64_t rank = 0;
  if (preset("rank", rank)) {
    TuneAxis axis{.key = "model.rank", .values = {}};
    for (const std::uint64_t value : {(rank + 1) / 2, std::min(2 * rank + 1, kMostRank)}) {
      if (value != rank) axis.values.push_back(fmt::format("{}", value));
    }
    if (!axis.values.empty()) axes.push_back(std::move(axis));
  }
  return axes;
}

Result<std::vector<Trial>> tune(const std::vector<TuneAxis>& axes, const Assignments& start, const TuneBudget& budget,
                                const std::function<Result<Trial>(const Assignments&)>& measure) {
  std::vector<Trial> trials;
  double seconds = 0;
  const auto spent = [&] { return trials.size() >= budget.runs || (budget.seconds > 0 && seconds >= budget.seconds); };
  const auto attempt = [&](const Assignments& settings) -> Status {
    if (std::ranges::find(trials, settings, &Trial::settings) != trials.end()) return {};
    CHORUS_TRY(Trial trial, measure(settings));
    trial.settings = settings;
    seconds += trial.seconds;
    trials.push_back(std::move(trial));
    return {};
  };
  CHORUS_TRY_DO(attempt(start));
  for (bool better = true; better && !spent();) {
    const double before = best_of(trials).loss;
    for (const TuneAxis& axis : axes) {
      const Assignments centre = best_of(trials).settings;
      for (const std::string& value : axis.values) {
        if (spent()) return trials;
        Assignments settings = centre;
        settings[axis.key] = value;
        CHORUS_TRY_DO(attempt(settings));
      }
    }
    better = best_of(trials).loss < before;
  }
  return trials;
}

const Trial& best_of(const std::vector<Trial>& trials) noexcept {
  CHORUS_ENSURE(!trials.empty(), "a search has at least one trial");
  return *std::ranges::min_element(trials, {}, &Trial::loss);
}

}  // namespace chorus::sim
