// How a symmetric matrix over the items travels: each pair once, in rows of one length, so that it is a per-item tensor
// like any other. Row i holds its diagonal in column 0 and the pair (i, i + c mod items) in column c, up to items / 2;
// if that is exactly the half, both items would stand for the pair, and the lower one does. Stateless.
#pragma once

#include <cstddef>

namespace chorus::model::ease {

class Pairs {
 public:
  explicit constexpr Pairs(std::size_t items) noexcept : items_(items) {}
  // Numbers a row.
  [[nodiscard]] constexpr std::size_t width() const noexcept { return items_ / 2 + 1; }

  struct Place {
    std::size_t row = 0;
    std::size_t column = 0;
  };
  // REQUIRES: i, j < items.
  [[nodiscard]] constexpr Place place(std::size_t i, std::size_t j) const noexcept {
    const std::size_t ahead = j >= i ? j - i : j + items_ - i;
    const std::size_t behind = items_ - ahead;
    return ahead < behind || (ahead == behind && i < j) ? Place{i, ahead} : Place{j, behind};
  }
  // Row-major.
  [[nodiscard]] constexpr std::size_t index(std::size_t i, std::size_t j) const noexcept {
    const Place at = place(i, j);
    return at.row * width() + at.column;
  }

 private:
  std::size_t items_;
};

}  // namespace chorus::model::ease
