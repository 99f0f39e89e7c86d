#include "common/model/private_layout.hpp"

#include <cmath>

namespace chorus::model {

int noisy_scale(int bits, double clip, double noise, std::uint32_t contributors) noexcept {
  const double room = std::ldexp(1, bits - 2);
  const double unit = contributors * clip + 6 * noise;
  int scale = 20;
  while (scale > -8 && std::ldexp(unit, scale) + contributors > room) --scale;
  return scale;
}

plan::TensorLayout noisy_tensor(std::string name, std::uint32_t rows, std::size_t columns, bool per_item, double clip,
                                int scale_log2) {
  return {.name = std::move(name),
          .rows = rows,
          .columns = static_cast<std::uint32_t>(columns),
          .per_item = per_item,
          .limbs = 1,
          .scale_log2 = static_cast<std::int8_t>(scale_log2),
          .clip = std::ldexp(std::ceil(std::ldexp(clip, scale_log2)), -scale_log2)};
}

}  // namespace chorus::model
