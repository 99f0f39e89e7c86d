// Builds a family's update layouts: for each tensor the finest fixed-point scale at which a cohort's sum still fits.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/model/model.hpp"
#include "common/plan/update_layout.hpp"

namespace chorus::model {

// The finest scale (a power of two) at which `contributors` numbers of at most `clip` sum up below 2^(bits-1);
// plan/update_layout.cpp has the bound. limbs: 1 or 2.
[[nodiscard]] int finest_scale(double clip, int limbs, int bits, std::uint32_t contributors);

// The update layouts of a family whose uploads are the same in every training round.
struct Layouts {
  plan::UpdateLayout survey;
  plan::UpdateLayout train;
  plan::UpdateLayout measure;
  [[nodiscard]] const plan::UpdateLayout& of(plan::Purpose purpose) const noexcept;
};

// Can a family that learns from this feedback work on the shape at all? Errors: invalid_argument; names the family.
[[nodiscard]] Status check_shape(std::string_view family, dataset::Feedback learns_from, const ModelShape& shape);
// A setting of bits that leaves too few for the updates of the shape's contributors: invalid_argument.
[[nodiscard]] std::unexpected<Error> too_few_bits(int bits, const ModelShape& shape);

class LayoutMaker {
 public:
  enum class Numbers : std::uint8_t {
    real,
    whole,  // counts and the like: scale 1, so that they stay exact
  };

  // bits: 16, 24 or 32. `shape` must outlive the maker.
  LayoutMaker(const ModelShape& shape, int bits) : shape_(shape), bits_(bits) {}
  // A row of `columns` numbers for every item of the catalogue. |number| is clipped to `clip`.
  void per_item(std::string name, std::size_t columns, int limbs, double clip, Numbers numbers = Numbers::real) {
    add(std::move(name), shape_.items, columns, true, limbs, clip, numbers);
  }
  // `columns` numbers, once.
  void once(std::string name, std::size_t columns, int limbs, double clip, Numbers numbers = Numbers::real) {
    add(std::move(name), 1, columns, false, limbs, clip, numbers);
  }
  // Errors: invalid_argument; the sentence names the tensor and the bound.
  [[nodiscard]] Result<plan::UpdateLayout> make() &&;

 private:
  void add(std::string name, std::uint32_t rows, std::size_t columns, bool per_item, int limbs, double clip,
           Numbers numbers);

  const ModelShape& shape_;
  int bits_;
  std::vector<plan::TensorLayout> tensors_;
};

// Every number of a round's sum is finite and every tensor has its layout's size. Errors: non_finite, with the item's
// index for a per-item tensor. REQUIRES: one vector a tensor of the layout, of its size.
[[nodiscard]] Status check_sums(const plan::UpdateLayout& layout, std::span<const std::vector<double>> sums);

}  // namespace chorus::model
