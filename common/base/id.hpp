// Identifiers that cannot be mixed up and have no arithmetic.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace chorus {

template <typename Tag, typename Rep>
class Id {
 public:
  using rep = Rep;

  constexpr Id() noexcept = default;
  constexpr explicit Id(Rep value) noexcept : value_(value) {}

  [[nodiscard]] constexpr Rep value() const noexcept { return value_; }

  friend constexpr auto operator<=>(const Id&, const Id&) = default;

 private:
  Rep value_{};
};

// The position of an item in a job's catalogue, from 0.
using ItemIndex = Id<struct ItemIndexTag, std::uint32_t>;
// Counts the rounds that a job opened, from 1; an aborted round's number is not used again.
using RoundId = Id<struct RoundIdTag, std::uint64_t>;
// The position of a cohort in its round, from 0.
using CohortId = Id<struct CohortIdTag, std::uint32_t>;
// How many server steps made this model: 0 is the initial one.
using ModelVersion = Id<struct ModelVersionTag, std::uint64_t>;

}  // namespace chorus

template <typename Tag, typename Rep>
struct std::hash<chorus::Id<Tag, Rep>> {
  std::size_t operator()(const chorus::Id<Tag, Rep>& id) const noexcept { return std::hash<Rep>{}(id.value()); }
};
