// What `chorus-sim train` is asked for: a family, its settings, and how rounds are made. Values; stateless.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/result.hpp"
#include "common/model/registry.hpp"
#include "simulations/world/training_run.hpp"

namespace chorus::sim {

struct TrainSettings {
  std::string family;
  model::Settings model;                // without the "model." prefix
  std::optional<std::uint32_t> rounds;  // absent: the family's preset
  Aggregation aggregation = Aggregation::plain;
  double participation = 1;
  CohortOrder order = CohortOrder::random;
  std::uint32_t cohort_size = 512;      // members of one secure sum
  coordinator::CombinationRule rule;    // of the cohorts' sums
  std::optional<PoisonOptions> poison;  // absent: everybody is honest
  bool rejects = true;                  // sums that honest members could not have made
  std::uint64_t people = 0;             // about how many take part; 0: unknown
  std::optional<double> epsilon;        // of a private update; infinite: asked for, without noise
  std::optional<double> delta;

  // `assignments`: KEY=VALUE, as `--set` takes them. "model.X" is the family's setting X, as are "server.rate" and
  // "server.momentum" where it has them; "cohort.X", "aggregation.X" (as in a job file) and "poison.X" are ours.
  // Errors: invalid_argument; an unknown key lists the known ones, as does an unknown family or aggregation.
  [[nodiscard]] static Result<TrainSettings> create(std::string_view family, std::span<const std::string> assignments,
                                                    std::string_view aggregation, double participation);

  // What the family learns from.
  [[nodiscard]] dataset::Feedback feedback() const;

  // Whether the model asks what the items are: title, year, genres.
  [[nodiscard]] bool learns_from_descriptions() const;

  // The configured model; `seed` is its own unless "model.seed" is set. Errors: invalid_argument, also where the rule
  // cannot make its sums.
  [[nodiscard]] Result<std::unique_ptr<model::Model>> make_model(
      std::uint32_t items, const dataset::DataContract& contract, std::uint64_t seed,
      std::shared_ptr<const dataset::Catalogue> catalogue = nullptr) const;

  // Those who lie among so many devices; none where everybody is honest. Errors: invalid_argument (a promoted item that
  // is not there).
  [[nodiscard]] Result<std::optional<Poisoners>> make_poisoners(std::uint32_t items, std::uint32_t devices,
                                                                std::uint64_t seed) const;
  // `poisoners` must outlive it.
  [[nodiscard]] CohortTreatment treatment(const std::optional<Poisoners>& poisoners) const;

  // Every value, defaults too. Numbers as numbers.
  [[nodiscard]] std::vector<std::pair<std::string, std::variant<std::string, double, std::uint64_t, bool>>> describe(
      const model::Model& made) const;
};

}  // namespace chorus::sim
