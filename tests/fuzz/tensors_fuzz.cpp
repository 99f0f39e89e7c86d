// A model's tensors that a coordinator sends.
#include "common/model/model.hpp"
#include "tests/fuzz/targets.hpp"

namespace chorus::fuzz {

bool read_tensors(ByteView input) {
  const auto tensors = model::TensorSet::decode(input);
  if (!tensors) return false;
  expect_same(tensors->encode(), input);
  return true;
}

std::vector<Bytes> tensor_seeds() {
  const model::TensorSet two{{{.name = "factors", .rows = 2, .columns = 3, .values = {1, -2, 3.5F, 0, -0.0F, 1e-30F}},
                              {.name = "scale", .rows = 1, .columns = 1, .values = {7}}}};
  return {model::TensorSet{}.encode(), two.encode()};
}

}  // namespace chorus::fuzz
