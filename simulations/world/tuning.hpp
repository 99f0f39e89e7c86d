// The search of `chorus-sim tune`: which values of a few settings train the best model. Pure: what a trial costs and
// how good it is comes from the caller, who measures it on validation; test ratings are no argument. Stateless.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/model/registry.hpp"

namespace chorus::sim {

// "model.lambda" -> "7"
using Assignments = std::map<std::string, std::string>;

struct TuneAxis {
  std::string key;
  std::vector<std::string> values;  // distinct, at least one

  // "KEY=V1,V2,…". Errors: invalid_argument.
  [[nodiscard]] static Result<TuneAxis> parse(std::string_view text);
};

// What is worth trying around these settings of a model, as it understood them: halves and doubles of the ridges, of
// the noise where there is one, and of the rank.
[[nodiscard]] std::vector<TuneAxis> default_axes(const model::Settings& centre);

struct Trial {
  Assignments settings;  // of the axes
  double loss = 0;       // lower is better
  std::uint32_t round = 0;
  double seconds = 0;
};

struct TuneBudget {
  std::uint32_t runs = 30;
  double seconds = 0;  // 0: no limit; a trial that has begun is finished
};

// Coordinate descent: the preset first, then one axis after the other, all its values with the others at their best so
// far, again and again until a whole turn finds nothing better or the budget is spent. No settings are tried twice.
// Gives all trials in their order; the best is the first of the least loss. A trial that fails ends the search.
// Errors: those of `measure`. `start` says the axes' values in the preset.
[[nodiscard]] Result<std::vector<Trial>> tune(const std::vector<TuneAxis>& axes, const Assignments& start,
                                              const TuneBudget& budget,
                                              const std::function<Result<Trial>(const Assignments&)>& measure);
// REQUIRES: not empty.
[[nodiscard]] const Trial& best_of(const std::vector<Trial>& trials) noexcept;

}  // namespace chorus::sim
