#include "simulations/world/replay.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <variant>

#include <fmt/format.h>

#include "common/crypto/hash.hpp"
#include "common/dataset/rating.hpp"
#include "common/model/registry.hpp"
#include "coordinator/publish/trace.hpp"
#include "simulations/world/masked_rounds.hpp"

namespace chorus::sim {
namespace {

using coordinator::TraceGrow;
using coordinator::TraceHeader;
using coordinator::TraceRound;

class Replayer {
 public:
  Replayer(const Population& population, std::span<const dataset::CatalogueItem> items, unsigned threads)
      : population_(population), items_(items), threads_(threads) {}

  Status apply(const TraceHeader& header) {
    if (training_) return fail(ErrorCode::malformed, "the trace has a second header");
    if (header.items > dataset::kMaxItems) {
      return fail(ErrorCode::too_large,
                  fmt::format("a catalogue of {} items; at most {} are allowed", header.items, dataset::kMaxItems));
    }
    header_ = header;
    CHORUS_TRY(model_, make(header.items));
    training_.emplace(*model_, population_.data(), Aggregation::plain, threads_);
    return compare(header.model);
  }

  Status apply(const TraceGrow& grow) {
    CHORUS_TRY_DO(starts_from(grow.from, grow.to, 1));
    if (grow.items <= model_->shape().items) {
      return fail(ErrorCode::malformed,
                  fmt::format("a catalogue of {} items cannot grow to {}", model_->shape().items, grow.items));
    }
    if (grow.items > dataset::kMaxItems) {
      return fail(ErrorCode::too_large,
                  fmt::format("a catalogue of {} items; at most {} are allowed", grow.items, dataset::kMaxItems));
    }
    CHORUS_TRY(auto longer, make(grow.items));
    training_->grow(*longer);
    model_ = std::move(longer);
    return compare(grow.model);
  }

  Status apply(const TraceRound& round) {
    const bool steps = round.purpose != plan::Purpose::measure;
    CHORUS_TRY_DO(starts_from(round.from, round.to, steps ? 1 : 0));
    std::vector<std::uint32_t> contributors;
    std::vector<std::size_t> ends;  // of the cohorts with survivors
    for (const coordinator::TraceCohort& cohort : round.cohorts) {
      for (const identity::DeviceId& device : cohort.survivors) {
        const auto user = population_.find(device);
        if (!user) {
          return fail(ErrorCode::not_found, fmt::format("the device {} of round {} is not in the population",
                                                        to_string(device), round.round.value()));
        }
        contributors.push_back(*user);
      }
      if (!cohort.survivors.empty()) ends.push_back(contributors.size());
    }
    std::vector<std::uint32_t> sorted = contributors;
    std::ranges::sort(sorted);
    if (std::ranges::adjacent_find(sorted) != sorted.end()) {
      return fail(ErrorCode::malformed, fmt::format("a device is twice in round {}", round.round.value()));
    }
    ++done_.rounds;
    // A measuring round makes no version: its contributions left no trace in the model.
    if (steps) CHORUS_TRY_DO(step(round, contributors, ends));
    return compare(round.model, steps);
  }

  [[nodiscard]] Result<Replay> done() const {
    if (!training_) return fail(ErrorCode::malformed, "the trace has no header");
    return done_;
  }

 private:
  [[nodiscard]] Result<std::unique_ptr<model::Model>> make(std::uint32_t items) const {
    std::shared_ptr<const dataset::Catalogue> catalogue;
    if (items_.size() >= items) {
      CHORUS_TRY(auto described, dataset::Catalogue::create({items_.begin(), items_.begin() + items}));
      catalogue = std::make_shared<const dataset::Catalogue>(std::move(described));
    }
    return model::make_model(header_.family, header_.settings,
                             {.items = items,
                              .contract = header_.contract,
                              .max_contributors = header_.max_contributors,
                              .catalogue = std::move(catalogue)});
  }

  Status step(const TraceRound& round, std::span<const std::uint32_t> contributors, std::span<const std::size_t> ends) {
    CHORUS_TRY_DO(coordinator::check_rule(round.rule, *model_));
    if (round.rule.combination != coordinator::Combination::mean) {
      std::vector<std::span<const std::uint32_t>> cohorts;
      std::size_t first = 0;
      for (const std::size_t end : ends) {
        cohorts.push_back(contributors.subspan(first, end - first));
        first = end;
      }
      CHORUS_TRY_DO(training_->round_of(round.purpose, cohorts, round.rule));
      return {};
    }
    if (!round.released) {
      CHORUS_TRY_DO(training_->round(round.purpose, contributors));
      return {};
    }
    const plan::UpdateLayout layout = training_->layout(round.purpose);
    if (round.released->coordinates.size() != layout.dimension() ||
        round.released->contributors != contributors.size()) {
      return fail(ErrorCode::malformed,
                  fmt::format("round {} released {} numbers of {} devices where {} of {} are expected",
                              round.round.value(), round.released->coordinates.size(), round.released->contributors,
                              layout.dimension(), contributors.size()));
    }
    CHORUS_TRY_DO(training_->apply(
        round.purpose, ring::RoundSum::of(layout, round.released->coordinates, round.released->contributors)));
    return {};
  }

  [[nodiscard]] Status starts_from(ModelVersion from, ModelVersion to, std::uint64_t step) const {
    if (!training_) return fail(ErrorCode::malformed, "the trace does not begin with its header");
    if (from != training_->version()) {
      return fail(ErrorCode::malformed, fmt::format("a record starts from version {} where {} is the latest",
                                                    from.value(), training_->version().value()));
    }
    if (to.value() - from.value() != step) {
      return fail(ErrorCode::malformed, fmt::format("a record leads from version {} to {}", from.value(), to.value()));
    }
    return {};
  }

  Status compare(const Digest& published, bool counts = true) {
    const Digest repeated = training_->digest();
    if (repeated != published) {
      return fail(ErrorCode::corrupt, fmt::format("version {} of the model is {}, repeated it is {}",
                                                  training_->version().value(), to_hex(published), to_hex(repeated)));
    }
    done_.versions += counts ? 1 : 0;
    return {};
  }

  const Population& population_;
  std::span<const dataset::CatalogueItem> items_;
  unsigned threads_;
  TraceHeader header_;
  std::unique_ptr<model::Model> model_;
  std::optional<Training> training_;
  Replay done_;
};

}  // namespace

Result<Replay> replay(std::string_view trace, const Population& population,
                      std::span<const dataset::CatalogueItem> items, unsigned threads) {
  Replayer replayer(population, items, threads);
  for (std::size_t number = 1; !trace.empty(); ++number) {
    const std::size_t end = trace.find('\n');
    const std::string_view line = trace.substr(0, end);
    trace.remove_prefix(end == std::string_view::npos ? trace.size() : end + 1);
    if (line.empty()) continue;
    const auto at = [number](const Error& error) { return fail(error.at(fmt::format("line {}", number))); };
    const auto record = coordinator::parse_trace_line(line);
    if (!record) return at(record.error());
    const Status applied = std::visit([&](const auto& value) { return replayer.apply(value); }, *record);
    if (!applied) return at(applied.error());
  }
  return replayer.done();
}

TraceOfTraining::TraceOfTraining(const model::Model& model, const Population& population,
                                 const coordinator::CombinationRule& rule)
    : model_(model), population_(population), rule_(rule) {}

std::string TraceOfTraining::header(std::string_view name) const {
  const model::ModelShape& shape = model_.shape();
  return to_json_line(TraceHeader{.job = crypto::sha256(as_bytes(name)),
                                  .name = std::string(name),
                                  .family = std::string(model_.family()),
                                  .settings = model_.settings(),
                                  .contract = shape.contract,
                                  .items = shape.items,
                                  .max_contributors = shape.max_contributors,
                                  .model = crypto::sha256(model_.initial().shared.encode())}) +
         "\n";
}

std::string TraceOfTraining::line(const RoundReport& report) const {
  // The survey is the run's first round, as the coordinator counts.
  TraceRound round{.round = RoundId(report.to.value()),
                   .purpose = report.purpose,
                   .from = report.from,
                   .to = report.to,
                   .model = report.digest,
                   .cohorts = {},
                   .quality = std::nullopt,
                   .rule = rule_};
  if (report.purpose != plan::Purpose::survey) round.quality = report.outcome.quality;
  for (const auto& members : cohorts_of(report.contributors, model_.shape().max_contributors)) {
    coordinator::TraceCohort cohort;
    for (const std::uint32_t user : members) cohort.members.push_back(population_.device(user));
    cohort.survivors = cohort.members;
    round.cohorts.push_back(std::move(cohort));
  }
  if (!report.outcome.released.empty()) {
    round.released =
        coordinator::TraceSum{.contributors = report.outcome.contributors, .coordinates = report.outcome.released};
  }
  return to_json_line(round) + "\n";
}

}  // namespace chorus::sim
