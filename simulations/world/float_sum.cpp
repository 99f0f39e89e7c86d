#include "simulations/world/float_sum.hpp"

#include <cstring>

namespace chorus::sim {

namespace {

// Two numbers: one register of baseline x86-64.
using Two = double __attribute__((vector_size(16)));

void add_row(double* sum, const double* row, std::size_t columns) noexcept {
  std::size_t c = 0;
  for (; c + 2 <= columns; c += 2) {
    Two left;
    Two right;
    std::memcpy(&left, sum + c, sizeof left);
    std::memcpy(&right, row + c, sizeof right);
    left += right;
    std::memcpy(sum + c, &left, sizeof left);
  }
  for (; c < columns; ++c) sum[c] += row[c];
}

}  // namespace

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
        add_row(sum + contribution.items[i] * columns, row, columns);
      }
      row_column += columns;
    } else {
      add_row(sum, contribution.dense.data() + dense_column, columns);
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
