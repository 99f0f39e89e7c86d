#include "simulations/audit/masked_session.hpp"

#include <algorithm>
#include <numeric>

#include "common/crypto/hash.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::sim::audit {
namespace {

constexpr WallTime kEnrolled{};
constexpr WallTime kToday = kEnrolled + std::chrono::days(365);
constexpr WallTime kExpiry = kToday + std::chrono::days(365);

double seconds_between(Moment start, Moment end) {
  return std::chrono::duration<double>(end - start).count();
}

// How long each member works from the third message on, its delivery.
class AfterDelivery final : public CohortMeter {
 public:
  AfterDelivery(std::size_t members, std::function<Moment()> clock)
      : seconds(members, 0), messages_(members, 0), clock_(std::move(clock)) {}
  void begin_member(std::uint32_t /*member*/) override { start_ = clock_(); }
  void end_member(std::uint32_t member) override {
    constexpr int kBeforeDelivery = 2;  // advertise, roster
    if (messages_[member]++ >= kBeforeDelivery) seconds[member] += seconds_between(start_, clock_());
  }
  void begin_coordinator(bool /*recovery*/) override {}
  void end_coordinator(bool /*recovery*/) override {}

  std::vector<double> seconds;

 private:
  std::vector<int> messages_;
  std::function<Moment()> clock_;
  Moment start_{};
};

}  // namespace

Result<MaskedSession> run_masked(const Scene& scene, const model::Model& model, const Training& published) {
  const model::TensorSet& shared = published.state().shared;
  const plan::UpdateLayout layout = model.layout(plan::Purpose::train, model.training_rounds(shared));
  const auto size = static_cast<std::uint32_t>(scene.cohort().size());
  SeededRandom random(scene.seed(2));
  const EnrolledDevices devices(size, kEnrolled, kExpiry, random);
  const plan::RoundPlanFields fields;
  CohortRun run{.terms = {.h0 = crypto::sha256(shared.encode()),
                          .layout = layout,
                          .bounds = {.least_members = plan::least_cohort(plan::kProductionFloors, fields.dropout),
                                     .most_members = size,
                                     .corrupt = fields.corrupt,
                                     .dropout = fields.dropout}},
                .devices = std::vector<std::uint32_t>(size),
                .updates = {},
                .silence = {},
                .today = kToday,
                .threads = scene.options().threads};
  std::iota(run.devices.begin(), run.devices.end(), 0U);
  MaskedSession session{.sum = ring::RoundSum(layout),
                        .sent = {},
                        .seconds_after_delivery = {},
                        .seconds_solving = {},
                        .bytes_not_zero = {}};
  ring::Contribution contribution;
  ring::EncodeCounts counts;
  for (const std::uint32_t user : scene.cohort()) {
    const Moment start = scene.options().clock();
    model.contribute(plan::Purpose::train, shared, scene.users()[user], contribution);
    session.seconds_solving.push_back(seconds_between(start, scene.options().clock()));
    CHORUS_TRY(crypto::ZeroizingBytes packed, ring::encode(layout, contribution, counts));
    session.bytes_not_zero.push_back(packed.size() - static_cast<std::size_t>(std::ranges::count(packed, 0)));
    run.updates.push_back(std::move(packed));
  }
  AfterDelivery meter(size, scene.options().clock);
  secagg::VerifiedStatements known;
  run.members_know = &known;
  run.coordinator_knows = &known;
  run.meter = &meter;
  CHORUS_TRY(CohortOutcome outcome, run_cohort(devices, std::move(run), random));
  session.sum.add(outcome.sum);
  session.sent = std::move(outcome.sent);
  session.seconds_after_delivery = std::move(meter.seconds);
  return session;
}

}  // namespace chorus::sim::audit
