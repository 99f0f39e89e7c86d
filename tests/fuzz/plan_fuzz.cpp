// A round's plan, under the floors of production and under none to speak of.
#include "common/plan/round_plan.hpp"
#include "tests/fuzz/targets.hpp"

namespace chorus::fuzz {

bool read_plan(ByteView input) {
  plan::Floors lax;
  lax.least_survivors = 1;
  lax.most_members = 1'000'000;
  lax.most_dropout = {999, 1000};
  lax.most_coordinates = plan::UpdateLayout::kMaxCoordinates;
  const auto strict = plan::RoundPlan::decode(input, plan::kProductionFloors);
  const auto loose = plan::RoundPlan::decode(input, lax);
  if (strict) {
    CHORUS_ENSURE(loose.has_value(), "what production takes, lower floors take");
    expect_same(strict->encode(), input);
  }
  if (loose) expect_same(loose->encode(), input);
  return loose.has_value();
}

std::vector<Bytes> plan_seeds() {
  const auto layout = plan::UpdateLayout::create(
                          {{.name = "gradient", .rows = 5, .columns = 3, .per_item = true, .scale_log2 = 10, .clip = 8},
                           {.name = "curvature",
                            .rows = 1,
                            .columns = 6,
                            .per_item = false,
                            .limbs = 2,
                            .scale_log2 = 4,
                            .clip = 4096}},
                          24, 512)
                          .value();
  plan::RoundPlanFields fields;
  fields.job.fill(1);
  fields.session.fill(2);
  fields.round = RoundId(7);
  fields.cohort = CohortId(3);
  fields.model_version = ModelVersion(6);
  fields.model_id.fill(4);
  fields.least_members = 76;
  fields.most_members = 128;
  return {plan::RoundPlan::create(fields, layout, plan::kProductionFloors).value().encode()};
}

}  // namespace chorus::fuzz
