#include "common/model/expected_tensors.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace chorus::model {

Status check_tensors(std::string_view family, const TensorSet& shared, std::span<const ExpectedTensor> expected) {
  if (shared.tensors.size() != expected.size()) {
    return fail(ErrorCode::wrong_model, fmt::format("the model '{}' has {} shared tensors, not {}", family,
                                                    expected.size(), shared.tensors.size()));
  }
  for (std::size_t t = 0; t < expected.size(); ++t) {
    const Tensor& tensor = shared.tensors[t];
    const ExpectedTensor& e = expected[t];
    if (tensor.name != e.name || tensor.rows != e.rows || tensor.columns != e.columns ||
        tensor.values.size() != std::size_t{e.rows} * e.columns) {
      return fail(ErrorCode::wrong_model,
                  fmt::format("expected the shared tensor '{}' of {} x {}, found '{}' of {} x {}", e.name, e.rows,
                              e.columns, tensor.name, tensor.rows, tensor.columns));
    }
    const auto bad =
        std::ranges::find_if(tensor.values, [&e](float x) { return !std::isfinite(x) || (!e.negative && x < 0); });
    if (bad == tensor.values.end()) continue;
    const std::string where = fmt::format("item {}", static_cast<std::size_t>(bad - tensor.values.begin()) / e.columns);
    if (std::isfinite(*bad)) {
      return fail(ErrorCode::wrong_model, fmt::format("the shared tensor '{}' has a negative number", e.name), where);
    }
    return fail(ErrorCode::non_finite, fmt::format("the shared tensor '{}' has a number that is not finite", e.name),
                where);
  }
  return {};
}

}  // namespace chorus::model
