// What a device of the fleet would recommend, from its own store alone. Not thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "client/store/store.hpp"
#include "client/train/device_data.hpp"
#include "common/base/result.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/model/model.hpp"

namespace chorus::sim {

struct BestItem : model::Explanation {
  std::uint32_t item = 0;
};

class Recommender {
 public:
  // Errors: not_found (the store has no job, catalogue or model yet); those of the store and of the documents in it.
  [[nodiscard]] static Result<Recommender> of(client::Store& store);
  // The `count` items with the highest scores of those that the user has not rated, best first; ties by index.
  [[nodiscard]] std::vector<BestItem> best(std::size_t count) const;

 private:
  Recommender() = default;
  std::unique_ptr<model::Model> model_;
  model::TensorSet shared_;
  client::DeviceData data_;
};

// Whether the parts of each add up to its score, to 1e-6.
[[nodiscard]] bool adds_up(const std::vector<BestItem>& items);

}  // namespace chorus::sim
