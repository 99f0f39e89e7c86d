#include "simulations/world/masked_rounds.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "common/crypto/hash.hpp"
#include "coordinator/roster/cohorts.hpp"

namespace chorus::sim {

namespace {

// Virtual days: the devices were enrolled long enough ago, and their statements last.
constexpr WallTime kEnrolled{};
constexpr WallTime kToday = kEnrolled + std::chrono::days(365);
constexpr WallTime kExpiry = kToday + std::chrono::days(365);

// Keys and masks are not drawn from the generator of a training's draws, which has the same seed.
SeededRandom mask_random(std::uint64_t seed) {
  ByteWriter out;
  out.string("CHORUS/1/simulated-masks");
  out.u64(seed);
  const Digest digest = crypto::sha256(out.view());
  return SeededRandom(ByteReader(digest).u64());
}

std::uint32_t least_members() {
  return plan::least_cohort(plan::kProductionFloors, plan::RoundPlanFields{}.dropout);
}

Result<plan::RoundPlan> make_plan(plan::Purpose purpose, const plan::UpdateLayout& layout, std::uint64_t round,
                                  std::size_t cohort, const ByteArray<32>& session) {
  plan::RoundPlanFields fields;
  fields.session = session;
  fields.round = RoundId(round);
  fields.cohort = CohortId(static_cast<std::uint32_t>(cohort));
  fields.purpose = purpose;
  fields.least_members = least_members();
  fields.most_members = layout.max_contributors();
  return plan::RoundPlan::create(fields, layout, plan::kProductionFloors);
}

}  // namespace

std::vector<std::span<const std::uint32_t>> cohorts_of(std::span<const std::uint32_t> contributors,
                                                       std::uint32_t most) {
  std::vector<std::span<const std::uint32_t>> cohorts;
  for (const std::uint32_t size : coordinator::cohort_sizes(static_cast<std::uint32_t>(contributors.size()), 1, most)) {
    cohorts.push_back(contributors.first(size));
    contributors = contributors.subspan(size);
  }
  return cohorts;
}

MaskedRounds::MaskedRounds(std::uint32_t devices, std::uint64_t seed)
    : random_(mask_random(seed)), devices_(devices, kEnrolled, kExpiry, random_) {}

Result<std::vector<ring::CohortSum>> MaskedRounds::sums(plan::Purpose purpose, const plan::UpdateLayout& layout,
                                                        std::span<const std::uint32_t> contributors,
                                                        const Update& update, ring::EncodeCounts& counts,
                                                        unsigned threads) {
  const auto cohorts = cohorts_of(contributors, layout.max_contributors());
  ++round_;
  struct Session {
    std::optional<plan::RoundPlan> plan;
    std::uint64_t seed = 0;
  };
  std::vector<Session> sessions;
  for (std::size_t c = 0; c < cohorts.size(); ++c) {
    if (const std::size_t size = cohorts[c].size(); size < least_members()) {
      return fail(ErrorCode::cohort_too_small,
                  fmt::format("{} of the round's {} people are a cohort, where a secure sum needs at least {}; it has "
                              "them with more people, or with larger cohorts than of {}",
                              size, contributors.size(), least_members(), layout.max_contributors()),
                  fmt::format("cohort {}", c + 1));
    }
    CHORUS_TRY(auto plan, make_plan(purpose, layout, round_, c, random_.array<32>()));
    sessions.push_back({.plan = std::move(plan), .seed = random_.u64()});
  }

  struct Part {
    std::vector<ring::CohortSum> sums;  // of its cohorts, which are those before the next part's
    ring::EncodeCounts counts;
    std::optional<Error> error;
  };
  const auto run = [&](std::size_t c, secagg::VerifiedStatements& known, Part& part) -> Status {
    const plan::RoundPlanFields& fields = sessions[c].plan->fields();
    CohortRun cohort{.terms = {.h0 = crypto::sha256(sessions[c].plan->encode()),
                               .layout = layout,
                               .bounds = {.least_members = fields.least_members,
                                          .most_members = fields.most_members,
                                          .corrupt = fields.corrupt,
                                          .dropout = fields.dropout},
                               .phases = fields.deadlines},
                     .devices = {cohorts[c].begin(), cohorts[c].end()},
                     .updates = {},
                     .silence = {},
                     .today = kToday,
                     .threads = std::max(1U, threads / static_cast<unsigned>(cohorts.size())),
                     .members_know = &known,
                     .coordinator_knows = &known};
    for (const std::uint32_t contributor : cohorts[c]) {
      CHORUS_TRY(cohort.updates.emplace_back(), update(contributor, part.counts));
    }
    SeededRandom random(sessions[c].seed);
    CHORUS_TRY(CohortOutcome outcome, run_cohort(devices_, std::move(cohort), random));
    part.sums.push_back(std::move(outcome.sum));
    return {};
  };
  std::vector<Part> parts(kChunks);
  for_each_chunk(cohorts.size(), threads, [&](const Chunk& chunk) {
    Part& part = parts[chunk.index];
    for (std::size_t c = chunk.first; c < chunk.last && !part.error; ++c) {
      const Status summed = run(c, known_[chunk.index], part);
      if (!summed) part.error = summed.error().at(fmt::format("cohort {}", c + 1));
    }
  });
  std::vector<ring::CohortSum> sums;
  for (Part& part : parts) {
    if (part.error) return fail(*part.error);
    for (ring::CohortSum& sum : part.sums) sums.push_back(std::move(sum));
    counts.clipped += part.counts.clipped;
  }
  return sums;
}

}  // namespace chorus::sim
