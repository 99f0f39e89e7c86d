#include "simulations/world/float_sum.hpp"

namespace chorus::sim {

FloatSum::FloatSum(const plan::UpdateLayout& layout) : layout_(layout) {
  for (const plan::TensorLayout& tensor : layout.tensors()) tensors_.emplace_back(tensor.numbers(), 0.0);
}

Status FloatSum::add(const ring::Contribution& contribution, ring::EncodeCounts& /*counts*/) {
  const std::size_t width = layout_.row_width();
  std::size_t row_column = 0;
  std::size_t dense_column = 0;
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    const plan::TensorLayout& tensor = layout_.tensors()[t];
    const std::size_t columns = tensor.columns;
    double* const sum = tensors_[t].data();
    if (tensor.per_item) {
      for (std::size_t i = 0; i < contribution.items.size(); ++i) {
        const double* row = contribution.rows.data() + i * width + row_column;
        double* const to = sum + contribution.items[i] * columns;
        for (std::size_t c = 0; c < columns; ++c) to[c] += row[c];
      }
      row_column += columns;
    } else {
      for (std::size_t c = 0; c < columns; ++c) sum[c] += contribution.dense[dense_column + c];
      dense_column += columns;
    }
  }
  ++contributors_;
  return {};
}

void FloatSum::add(const FloatSum& other) {
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    for (std::size_t k = 0; k < tensors_[t].size(); ++k) tensors_[t][k] += other.tensors_[t][k];
  }
  contributors_ += other.contributors_;
}

}  // namespace chorus::sim
