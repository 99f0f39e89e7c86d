#include "common/plan/round_plan.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace chorus::plan {
namespace {

constexpr std::string_view kLabel = "CHORUS/1/plan";
constexpr std::string_view kSuite = "CSA/1";
using Milliseconds = std::chrono::milliseconds;

// a ≤ b, without a division: both products are below 2^64.
bool at_most(Ratio a, Ratio b) {
  return std::uint64_t{a.numerator} * b.denominator <= std::uint64_t{b.numerator} * a.denominator;
}

Status check_corrupt(Ratio corrupt, const Floors& floors) {
  if (corrupt.denominator == 0 || corrupt.numerator >= corrupt.denominator) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the corrupt share {}/{} is not a share below 1", corrupt.numerator, corrupt.denominator),
                "field 'corrupt'");
  }
  if (!at_most(floors.least_corrupt, corrupt)) {
    return fail(ErrorCode::parameter_below_floor,
                fmt::format("the plan withstands a corrupt share of {}/{}, less than {}/{}", corrupt.numerator,
                            corrupt.denominator, floors.least_corrupt.numerator, floors.least_corrupt.denominator),
                "field 'corrupt'");
  }
  return {};
}

Status check_noise(double noise, const Floors& floors) {
  // Bits, so that −0 is no second name for 0.
  if (std::bit_cast<std::uint64_t>(noise) == 0) return {};
  if (!std::isfinite(noise) || noise <= 0) {
    return fail(ErrorCode::invalid_argument, "the local noise is not a number above 0", "field 'local_noise'");
  }
  if (noise < floors.least_noise) {
    return fail(ErrorCode::parameter_below_floor,
                fmt::format("the plan adds noise of {}, less than {}", noise, floors.least_noise),
                "field 'local_noise'");
  }
  return {};
}

// Bits, as above.
Status check_promise(double multiplier, double noise) {
  if (std::bit_cast<std::uint64_t>(multiplier) == 0) return {};
  if (!std::isfinite(multiplier) || multiplier < 0) {
    return fail(ErrorCode::invalid_argument, "the noise multiplier is not a number above 0",
                "field 'noise_multiplier'");
  }
  if (noise > 0) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("a plan without noise promises a multiplier of {}", multiplier),
              "field 'noise_multiplier'");
}

// Headroom: n·|coordinate| + 6 σ_sum ≤ 2^(bits − 1), σ_sum = √n σ_loc the standard deviation of all members' noise. A
// discrete Gaussian is unbounded; a sum of them is subgaussian, so that even where every member contributes its largest
// coordinate, a coordinate of the sum wraps with a chance of at most 2 e^(−6²/2) = 3.1e-8.
Status check_headroom(double noise, std::uint32_t members, const UpdateLayout& layout) {
  const double margin = 6 * std::sqrt(static_cast<double>(members)) * noise;
  const double room = std::ldexp(1.0, layout.bits() - 1);
  for (const TensorLayout& tensor : layout.tensors()) {
    const auto largest = static_cast<double>(largest_coordinate(tensor));
    if (members * largest + margin <= room) continue;
    return fail(ErrorCode::invalid_argument,
                fmt::format("tensor '{}' has no headroom for its noise: {} members times {} and six standard "
                            "deviations of {} are beyond 2^{}",
                            tensor.name, members, largest, margin / 6, layout.bits() - 1),
                "field 'local_noise'");
  }
  return {};
}

Status check_deadline(SumPhase phase, Duration deadline, const Floors& floors) {
  const std::string where = fmt::format("field 'deadlines.{}'", to_string(phase));
  if (deadline <= Duration::zero()) {
    return fail(ErrorCode::parameter_below_floor, "the plan leaves no time for a phase", where);
  }
  if (deadline > floors.longest_phase) {
    return fail(
        ErrorCode::parameter_above_ceiling,
        fmt::format("the plan waits {} s in a phase, more than {} s", std::chrono::duration<double>(deadline).count(),
                    std::chrono::duration<double>(floors.longest_phase).count()),
        where);
  }
  const auto whole = std::chrono::duration_cast<Milliseconds>(deadline);
  if (whole != deadline || whole.count() > std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::invalid_argument, "the deadline is not a whole number of milliseconds of 32 bits", where);
  }
  return {};
}

Status check(const RoundPlanFields& fields, const UpdateLayout& layout, const Floors& floors) {
  if (fields.round.value() == 0) return fail(ErrorCode::invalid_argument, "rounds count from 1", "field 'round'");
  const Ratio dropout = fields.dropout;
  if (dropout.denominator == 0 || dropout.numerator >= dropout.denominator) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the dropout {}/{} is not a share below 1", dropout.numerator, dropout.denominator),
                "field 'dropout'");
  }
  if (!at_most(dropout, floors.most_dropout)) {
    return fail(ErrorCode::parameter_above_ceiling,
                fmt::format("the plan tolerates a dropout of {}/{}, more than {}/{}", dropout.numerator,
                            dropout.denominator, floors.most_dropout.numerator, floors.most_dropout.denominator),
                "field 'dropout'");
  }
  if (const std::uint32_t least = least_cohort(floors, dropout); fields.least_members < least) {
    return fail(
        ErrorCode::parameter_below_floor,
        fmt::format("the plan allows cohorts of {}, fewer than {}: {} updates must be left after a dropout of "
                    "{}/{}",
                    fields.least_members, least, floors.least_survivors, dropout.numerator, dropout.denominator),
        "field 'least_members'");
  }
  if (fields.most_members < fields.least_members) {
    return fail(ErrorCode::cohort_too_small,
                fmt::format("the plan's largest cohort of {} is below its smallest of {}", fields.most_members,
                            fields.least_members),
                "field 'most_members'");
  }
  if (fields.most_members > floors.most_members) {
    return fail(ErrorCode::parameter_above_ceiling,
                fmt::format("the plan allows cohorts of {}, more than {}", fields.most_members, floors.most_members),
                "field 'most_members'");
  }
  if (fields.most_members > layout.max_contributors()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the plan allows cohorts of {}, but its layout has headroom for {}", fields.most_members,
                            layout.max_contributors()),
                "field 'layout'");
  }
  if (layout.dimension() > floors.most_coordinates) {
    return fail(
        ErrorCode::parameter_above_ceiling,
        fmt::format("the plan asks for {} coordinates, more than {}", layout.dimension(), floors.most_coordinates),
        "field 'layout'");
  }
  CHORUS_TRY_DO(check_corrupt(fields.corrupt, floors));
  CHORUS_TRY_DO(check_noise(fields.local_noise, floors));
  CHORUS_TRY_DO(check_promise(fields.noise_multiplier, fields.local_noise));
  if (fields.local_noise > 0) CHORUS_TRY_DO(check_headroom(fields.local_noise, fields.most_members, layout));
  for (std::size_t i = 0; i < kSumPhases; ++i) {
    CHORUS_TRY_DO(check_deadline(static_cast<SumPhase>(i), fields.deadlines[i], floors));
  }
  return {};
}

}  // namespace

std::string_view to_string(Purpose purpose) noexcept {
  switch (purpose) {
    case Purpose::survey:
      return "survey";
    case Purpose::train:
      return "train";
    case Purpose::measure:
      return "measure";
  }
  return "unknown";
}

std::string_view to_string(SumPhase phase) noexcept {
  switch (phase) {
    case SumPhase::advertise:
      return "advertise";
    case SumPhase::share:
      return "share";
    case SumPhase::upload:
      return "upload";
    case SumPhase::vote:
      return "vote";
    case SumPhase::unmask:
      return "unmask";
  }
  return "unknown";
}

Result<RoundPlan> RoundPlan::create(const RoundPlanFields& fields, UpdateLayout layout, const Floors& floors) {
  CHORUS_TRY_DO(check(fields, layout, floors));
  return RoundPlan(fields, std::move(layout));
}

Duration RoundPlan::longest() const noexcept {
  Duration all{};
  for (const Duration deadline : fields_.deadlines) all += deadline;
  return all;
}

Bytes RoundPlan::encode() const {
  ByteWriter out;
  out.string(kLabel);
  out.u16(kVersion);
  out.string(kSuite);
  out.raw(fields_.job);
  out.raw(fields_.session);
  out.u64(fields_.round.value());
  out.u32(fields_.cohort.value());
  out.u8(static_cast<std::uint8_t>(fields_.purpose));
  out.u64(fields_.model_version.value());
  out.raw(fields_.model_id);
  out.raw(fields_.catalogue);
  out.raw(fields_.revocations);
  out.u32(fields_.least_members);
  out.u32(fields_.most_members);
  for (const Ratio& ratio : {fields_.corrupt, fields_.dropout}) {
    out.u32(ratio.numerator);
    out.u32(ratio.denominator);
  }
  out.u64(std::bit_cast<std::uint64_t>(fields_.local_noise));
  out.u64(std::bit_cast<std::uint64_t>(fields_.noise_multiplier));
  for (const Duration deadline : fields_.deadlines) {
    // In range: create() checked it.
    out.u32(static_cast<std::uint32_t>(std::chrono::duration_cast<Milliseconds>(deadline).count()));
  }
  layout_.encode(out);
  return std::move(out).take();
}

Result<RoundPlan> RoundPlan::decode(ByteView bytes, const Floors& floors) {
  ByteReader in(bytes);
  if (in.string(kLabel.size()) != kLabel) in.reject("it does not begin with 'CHORUS/1/plan'");
  const std::uint16_t version = in.u16();
  if (in.failed()) return fail(in.finish("plan").error());
  if (version != kVersion) {
    return fail(ErrorCode::unsupported_version,
                fmt::format("the plan has version {}; this build speaks {}", version, kVersion));
  }
  if (in.string(kSuite.size()) != kSuite) in.reject("an unknown suite");
  RoundPlanFields fields;
  fields.job = in.array<32>();
  fields.session = in.array<32>();
  fields.round = RoundId(in.u64());
  fields.cohort = CohortId(in.u32());
  const std::uint8_t purpose = in.u8();
  if (purpose < static_cast<std::uint8_t>(Purpose::survey) || purpose > static_cast<std::uint8_t>(Purpose::measure)) {
    in.reject("an unknown purpose");
  }
  fields.purpose = static_cast<Purpose>(purpose);
  fields.model_version = ModelVersion(in.u64());
  fields.model_id = in.array<32>();
  fields.catalogue = in.array<32>();
  fields.revocations = in.array<32>();
  fields.least_members = in.u32();
  fields.most_members = in.u32();
  for (Ratio* ratio : {&fields.corrupt, &fields.dropout}) {
    ratio->numerator = in.u32();
    ratio->denominator = in.u32();
  }
  fields.local_noise = std::bit_cast<double>(in.u64());
  fields.noise_multiplier = std::bit_cast<double>(in.u64());
  for (Duration& deadline : fields.deadlines) deadline = Milliseconds(in.u32());
  if (in.failed()) return fail(in.finish("plan").error());
  CHORUS_TRY(UpdateLayout layout, UpdateLayout::decode(in));
  CHORUS_TRY_DO(in.finish("plan"));
  return create(fields, std::move(layout), floors);
}

}  // namespace chorus::plan
