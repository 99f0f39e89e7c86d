#include "common/plan/round_plan.hpp"

#include <limits>

#include <fmt/format.h>

namespace chorus::plan {
namespace {

constexpr std::string_view kLabel = "CHORUS/1/plan";
using Milliseconds = std::chrono::milliseconds;

Status check(const RoundPlanFields& fields, const UpdateLayout& layout, const Floors& floors) {
  if (fields.round.value() == 0) return fail(ErrorCode::invalid_argument, "rounds count from 1", "field 'round'");
  const Ratio dropout = fields.dropout;
  if (dropout.denominator == 0 || dropout.numerator >= dropout.denominator) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the dropout {}/{} is not a share below 1", dropout.numerator, dropout.denominator),
                "field 'dropout'");
  }
  // δ ≤ most, without a division: both products are below 2^64.
  if (std::uint64_t{dropout.numerator} * floors.most_dropout.denominator >
      std::uint64_t{floors.most_dropout.numerator} * dropout.denominator) {
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
  if (fields.upload_deadline <= Duration::zero()) {
    return fail(ErrorCode::parameter_below_floor, "the plan leaves no time to upload", "field 'upload_deadline'");
  }
  if (fields.upload_deadline > floors.longest_phase) {
    return fail(ErrorCode::parameter_above_ceiling,
                fmt::format("the plan waits {} s for an upload, more than {} s",
                            std::chrono::duration<double>(fields.upload_deadline).count(),
                            std::chrono::duration<double>(floors.longest_phase).count()),
                "field 'upload_deadline'");
  }
  const auto whole = std::chrono::duration_cast<Milliseconds>(fields.upload_deadline);
  if (whole != fields.upload_deadline || whole.count() > std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::invalid_argument, "the upload deadline is not a whole number of milliseconds of 32 bits",
                "field 'upload_deadline'");
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

Result<RoundPlan> RoundPlan::create(const RoundPlanFields& fields, UpdateLayout layout, const Floors& floors) {
  CHORUS_TRY_DO(check(fields, layout, floors));
  return RoundPlan(fields, std::move(layout));
}

Bytes RoundPlan::encode() const {
  ByteWriter out;
  out.string(kLabel);
  out.u16(kVersion);
  out.raw(fields_.job);
  out.raw(fields_.session);
  out.u64(fields_.round.value());
  out.u32(fields_.cohort.value());
  out.u8(static_cast<std::uint8_t>(fields_.purpose));
  out.u64(fields_.model_version.value());
  out.raw(fields_.model_id);
  out.u32(fields_.least_members);
  out.u32(fields_.most_members);
  out.u32(fields_.dropout.numerator);
  out.u32(fields_.dropout.denominator);
  // In range: create() checked it.
  out.u32(static_cast<std::uint32_t>(std::chrono::duration_cast<Milliseconds>(fields_.upload_deadline).count()));
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
  fields.least_members = in.u32();
  fields.most_members = in.u32();
  fields.dropout.numerator = in.u32();
  fields.dropout.denominator = in.u32();
  fields.upload_deadline = Milliseconds(in.u32());
  if (in.failed()) return fail(in.finish("plan").error());
  CHORUS_TRY(UpdateLayout layout, UpdateLayout::decode(in));
  CHORUS_TRY_DO(in.finish("plan"));
  return create(fields, std::move(layout), floors);
}

}  // namespace chorus::plan
