#include "client/policy/policy.hpp"

#include <cmath>

#include <fmt/format.h>

#include "common/dataset/rating.hpp"
#include "common/privacy/private_encoding.hpp"

namespace chorus::client {

namespace {

// A clip or a scale beyond the model's own would let one update weigh more in the sum, or say more of its device, than
// the model needs.
Status check_numbers(const plan::UpdateLayout& asked, const plan::UpdateLayout& own) {
  for (const plan::TensorLayout& tensor : asked.tensors()) {
    const auto found = own.find(tensor.name);
    if (!found) continue;
    const plan::TensorLayout& most = own.tensors()[*found];
    if (tensor.clip > most.clip) {
      return fail(ErrorCode::parameter_above_ceiling,
                  fmt::format("the plan clips '{}' at {}, above the model's {}", tensor.name, tensor.clip, most.clip),
                  "field 'layout'");
    }
    if (tensor.scale_log2 > most.scale_log2) {
      return fail(ErrorCode::parameter_above_ceiling,
                  fmt::format("the plan scales '{}' by 2^{}, above the model's 2^{}", tensor.name, tensor.scale_log2,
                              most.scale_log2),
                  "field 'layout'");
    }
  }
  return {};
}

// Less noise than the plan claims would be less than people were told.
Status check_claim(const plan::RoundPlan& plan, const Standing& standing) {
  const plan::RoundPlanFields& fields = plan.fields();
  if (fields.noise_multiplier == 0) return {};
  const auto question = standing.model.privacy(fields.purpose, standing.held.training_rounds);
  if (!question) {
    return fail(ErrorCode::invalid_argument,
                "the plan claims a noise multiplier, and the model does not say how far a device moves its sums",
                "field 'noise_multiplier'");
  }
  const double honest = privacy::honest_contributors(fields.least_members, fields.corrupt, fields.dropout);
  const auto squared =
      static_cast<double>(plan::squared_sensitivity(plan.layout(), question->groups, question->most_items));
  const double multiplier = std::sqrt(honest / squared) * fields.local_noise;
  if (multiplier >= fields.noise_multiplier * (1 - 1e-9)) return {};  // but for rounding
  return fail(ErrorCode::parameter_below_floor,
              fmt::format("the plan's noise of {} makes a multiplier of {}, less than the {} that it claims",
                          fields.local_noise, multiplier, fields.noise_multiplier),
              "field 'noise_multiplier'");
}

}  // namespace

Status Policy::check(const plan::RoundPlan& plan, const Standing& standing) const {
  const plan::RoundPlanFields& fields = plan.fields();
  if (fields.job != standing.job) return fail(ErrorCode::wrong_job, "the plan belongs to another job", "field 'job'");

  const std::uint64_t round = fields.round.value();
  const std::uint64_t highest = standing.highest_round.value();
  if (round <= highest) {
    return fail(ErrorCode::stale_round,
                fmt::format("round {} is not above round {}, which this device already took part in", round, highest),
                "field 'round'");
  }
  // A jump is bounded so that one bad plan cannot use up all the numbers to come.
  if (round - highest > floors_.most_round_jump) {
    return fail(ErrorCode::stale_round,
                fmt::format("round {} is more than {} above round {}", round, floors_.most_round_jump, highest),
                "field 'round'");
  }

  // The plan may have been decoded under other floors: ask again under this device's own.
  CHORUS_TRY_DO([&]() -> Status {
    CHORUS_TRY([[maybe_unused]] const auto mine, plan::RoundPlan::create(fields, plan.layout(), floors_));
    return {};
  }());
  if (fields.least_members < consent_.least_cohort) {
    return fail(ErrorCode::cohort_too_small,
                fmt::format("the plan is content with a cohort of {} devices, the user asked for {}",
                            fields.least_members, consent_.least_cohort),
                "field 'least_members'");
  }
  if (plan.layout().packed_size() > kMostUploadBytes) {
    return fail(ErrorCode::parameter_above_ceiling,
                fmt::format("the plan asks for an upload of {} bytes, more than {}", plan.layout().packed_size(),
                            kMostUploadBytes),
                "field 'layout'");
  }

  if (fields.local_noise == 0 && !consent_.without_noise) {
    return fail(ErrorCode::parameter_below_floor,
                "the plan adds no noise, and the user has not agreed to train without it", "field 'local_noise'");
  }

  if (fields.model_version != standing.held.version) {
    return fail(ErrorCode::wrong_model,
                fmt::format("the plan starts from model version {}, this device holds version {}",
                            fields.model_version.value(), standing.held.version.value()),
                "field 'model_version'");
  }
  if (fields.model_id != standing.held.model_id) {
    return fail(ErrorCode::wrong_model, "the plan's model id is not the id of the model that this device holds",
                "field 'model_id'");
  }
  if (fields.catalogue != standing.held.catalogue) {
    return fail(ErrorCode::wrong_model, "the plan's catalogue is not that of the model that this device holds",
                "field 'catalogue'");
  }
  const plan::UpdateLayout own = standing.model.layout(fields.purpose, standing.held.training_rounds);
  CHORUS_TRY_DO(check_numbers(plan.layout(), own));
  if (plan.layout() != own) {
    return fail(ErrorCode::wrong_model,
                fmt::format("the plan's layout is not what the model contributes in a {} round",
                            plan::to_string(fields.purpose)),
                "field 'layout'");
  }
  CHORUS_TRY_DO(check_claim(plan, standing));
  if (standing.attempts >= kMostAttempts) {
    return fail(ErrorCode::model_reused,
                fmt::format("this device already gave {} updates of model version {} for this purpose",
                            standing.attempts, fields.model_version.value()),
                "field 'model_id'");
  }
  return {};
}

Status Policy::check_size(const protocol::CatalogueHeader& header) const {
  if (header.size <= kMostCatalogueBytes && header.items <= dataset::kMaxItems) return {};
  return fail(ErrorCode::too_large,
              fmt::format("the catalogue of {} items has {} bytes; at most {} items and {} bytes are accepted",
                          header.items, header.size, dataset::kMaxItems, kMostCatalogueBytes));
}

Status Policy::check_size(const protocol::ModelHeader& header) const {
  if (header.size <= kMostModelBytes) return {};
  return fail(ErrorCode::too_large, fmt::format("model version {} has {} bytes; at most {} are accepted",
                                                header.version.value(), header.size, kMostModelBytes));
}

bool is_permanent(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::unsupported_version:
    case ErrorCode::invalid_argument:
    case ErrorCode::unwritable:
    case ErrorCode::disk_full:
    case ErrorCode::corrupt:
    case ErrorCode::bad_certificate:
    case ErrorCode::expired:
    case ErrorCode::not_yet_valid:
    case ErrorCode::revoked:
    case ErrorCode::wrong_host:
    case ErrorCode::bad_identity:
    case ErrorCode::identity_too_young:
    case ErrorCode::bad_signature:
    case ErrorCode::bad_key:
    case ErrorCode::wrong_job:
      return true;
    default:
      return false;
  }
}

}  // namespace chorus::client
