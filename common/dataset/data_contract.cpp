#include "common/dataset/data_contract.hpp"

#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"

namespace chorus::dataset {

namespace {

// How far from a step a value may lie, in steps: 4.1 read as a float is not 4.1.
constexpr double kStepTolerance = 1e-3;

bool is_negative_zero(float value) noexcept {
  return value == 0.0F && std::signbit(value);
}

}  // namespace

std::string_view to_string(Feedback feedback) noexcept {
  return feedback == Feedback::ratings ? "ratings" : "events";
}

Status DataContract::validate() const {
  const auto wrong = [](std::string sentence, const char* field) {
    return fail(ErrorCode::invalid_argument, std::move(sentence), fmt::format("field '{}'", field));
  };
  if (feedback != Feedback::ratings && feedback != Feedback::events) {
    return wrong("expected ratings or events", "feedback");
  }
  // A zero has one encoding, +0.
  if (!std::isfinite(minimum) || is_negative_zero(minimum)) return wrong("expected a finite number", "minimum");
  if (!std::isfinite(maximum) || is_negative_zero(maximum)) return wrong("expected a finite number", "maximum");
  if (feedback == Feedback::events && minimum < 0) return wrong("an event's weight is not negative", "minimum");
  if (!(minimum < maximum)) {
    return wrong(fmt::format("expected more than the minimum {}, found {}", minimum, maximum), "maximum");
  }
  if (!std::isfinite(maximum - minimum)) return wrong("the scale is too long for a float", "maximum");
  if (!std::isfinite(step) || step < 0 || is_negative_zero(step)) return wrong("expected a number from 0", "step");
  if (step > maximum - minimum) return wrong("a step is longer than the scale", "step");
  if (max_items_per_user == 0 || max_items_per_user > kMaxItemsPerUserCeiling) {
    return wrong(fmt::format("expected 1 to {}, found {}", kMaxItemsPerUserCeiling, max_items_per_user),
                 "max_items_per_user");
  }
  return {};
}

Status DataContract::check(double value) const {
  if (!std::isfinite(value)) return fail(ErrorCode::non_finite, "expected a finite number");
  if (value < minimum || value > maximum) {
    return fail(ErrorCode::malformed,
                fmt::format("expected a number between {} and {}, found {}", minimum, maximum, value));
  }
  if (step > 0) {
    const double steps = (value - minimum) / step;
    if (std::abs(steps - std::round(steps)) > kStepTolerance) {
      return fail(ErrorCode::malformed,
                  fmt::format("expected {} or a multiple of {} more, found {}", minimum, step, value));
    }
  }
  return {};
}

void DataContract::encode(ByteWriter& writer) const {
  CHORUS_ENSURE(validate().has_value(), "only a valid contract is encoded");
  writer.u8(static_cast<std::uint8_t>(feedback));
  writer.f32(minimum);
  writer.f32(maximum);
  writer.f32(step);
  writer.u32(max_items_per_user);
}

Result<DataContract> DataContract::decode(ByteReader& reader) {
  DataContract contract;
  contract.feedback = static_cast<Feedback>(reader.u8());
  contract.minimum = reader.f32();
  contract.maximum = reader.f32();
  contract.step = reader.f32();
  contract.max_items_per_user = reader.u32();
  if (reader.failed()) return fail(ErrorCode::malformed, "the data contract is truncated");
  if (const auto valid = contract.validate(); !valid) {
    return fail(ErrorCode::malformed, "the data contract is not valid: " + valid.error().sentence(),
                valid.error().where());
  }
  return contract;
}

}  // namespace chorus::dataset
