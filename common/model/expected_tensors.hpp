// Are these the shared tensors that a family expects? Stateless.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "common/base/result.hpp"
#include "common/model/model.hpp"

namespace chorus::model {

struct ExpectedTensor {
  std::string_view name;
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  bool negative = true;  // whether its numbers may be below zero
};

// Errors: wrong_model (a name, a size, a negative number), non_finite; with the row.
[[nodiscard]] Status check_tensors(std::string_view family, const TensorSet& shared,
                                   std::span<const ExpectedTensor> expected);

}  // namespace chorus::model
