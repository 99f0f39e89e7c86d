#include "coordinator/round/sum_bounds.hpp"

#include <cmath>

#include <fmt/format.h>

namespace chorus::coordinator {

namespace {

// Two's complement, of the ring's width.
double lifted(std::uint32_t coordinate, int bits) {
  const int unused = 32 - bits;
  return static_cast<double>(static_cast<std::int32_t>(coordinate << unused) >> unused);
}

}  // namespace

Status check_bounds(const plan::UpdateLayout& layout, double local_noise, std::span<const plan::ClipGroup> groups,
                    const ring::CohortSum& sum) {
  const double members = sum.contributors();
  const double deviation = std::sqrt(members) * local_noise;
  const auto tensors = layout.tensors();
  const auto coordinates_of = [&](std::size_t t) {
    return sum.coordinates().subspan(layout.offset(t), tensors[t].coordinates());
  };
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const plan::TensorLayout& tensor = tensors[t];
    const double most = members * static_cast<double>(plan::largest_coordinate(tensor)) + 6 * deviation;
    const auto coordinates = coordinates_of(t);
    for (std::size_t k = 0; k < coordinates.size(); ++k) {
      const double value = lifted(coordinates[k], layout.bits());
      if (std::abs(value) <= most) continue;
      const std::size_t width = coordinates.size() / tensor.rows;
      return fail(ErrorCode::sum_out_of_bounds,
                  fmt::format("a number of '{}' is {}, where {} members explain {} at most", tensor.name, value,
                              sum.contributors(), most),
                  tensor.per_item ? fmt::format("item {}", k / width) : std::string());
    }
  }
  std::size_t t = 0;
  for (const plan::ClipGroup& group : groups) {
    double squares = 0;
    double dimension = 0;
    const std::size_t first = t;
    for (const std::size_t end = t + group.tensors; t < end; ++t) {
      for (const std::uint32_t coordinate : coordinates_of(t)) {
        const double value = lifted(coordinate, layout.bits());
        squares += value * value;
        dimension += 1;
      }
    }
    // Rounding at random may lengthen a contribution; its own bound is the sensitivity's.
    const double most = members * plan::rounding_sensitivity(group.norm, static_cast<std::size_t>(dimension)) +
                        6 * deviation * std::sqrt(dimension);
    if (std::sqrt(squares) <= most) continue;
    return fail(ErrorCode::sum_out_of_bounds,
                fmt::format("the norm of '{}' is {}, where {} members explain {} at most", tensors[first].name,
                            std::sqrt(squares), sum.contributors(), most));
  }
  return {};
}

}  // namespace chorus::coordinator
