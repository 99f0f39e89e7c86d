// The data contract: what a job accepts as a rating. It is part of what a device agrees to, and it bounds what one
// person can contribute. A value; stateless functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"

namespace chorus::dataset {

enum class Feedback : std::uint8_t {
  ratings = 0,  // an opinion on a scale: low values say "no"
  events = 1,   // something happened: a weight says how much, nothing says "no"
};

// "ratings" or "events".
[[nodiscard]] std::string_view to_string(Feedback feedback) noexcept;

struct DataContract {
  Feedback feedback = Feedback::ratings;
  float minimum = 1;
  float maximum = 5;
  // Values lie at minimum + k * step; 0: anywhere between minimum and maximum.
  float step = 1;
  // A device with more keeps the most recent ones.
  std::uint32_t max_items_per_user = 10'000;

  // REQUIRES: nothing; says what is wrong with the contract itself. Errors: invalid_argument, where() is the field.
  [[nodiscard]] Status validate() const;
  // REQUIRES: validate() succeeded. Errors: non_finite, malformed (outside the bounds, or between two steps).
  [[nodiscard]] Status check(double value) const;

  // Canonical, kEncodedBytes long. REQUIRES: validate() succeeded.
  void encode(ByteWriter& writer) const;
  // The result is valid. Errors: malformed.
  [[nodiscard]] static Result<DataContract> decode(ByteReader& reader);
  static constexpr std::size_t kEncodedBytes = 1 + 3 * 4 + 4;

  friend bool operator==(const DataContract&, const DataContract&) = default;
};

inline constexpr std::uint32_t kMaxItemsPerUserCeiling = 1'000'000;

}  // namespace chorus::dataset
