// Which items a device recommends to its user, from its own store alone: the model's scores for this user where it has
// learned something, what other devices rated where it knows nothing of the user, and the catalogue's order where
// nothing was learned yet. Personal data throughout. Pure; immutable once made, thread-safe then.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "client/store/store.hpp"
#include "client/train/device_data.hpp"
#include "common/base/result.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/model/model.hpp"

namespace chorus::client {

// What an order of items is based on; each where the one before is not possible.
enum class Basis {
  personal,    // the model's score for this user
  popularity,  // how many devices of the last training round rated the item: no usable rating of the user's own
  catalogue,   // the catalogue's order: no training round has ended yet
};
// "personal", "popularity", "catalogue".
[[nodiscard]] std::string_view to_string(Basis basis) noexcept;

struct Recommendation {
  std::uint32_t item = 0;  // catalogue index
  // The score and its parts, which add up to it; no parts if the basis is the catalogue's order.
  model::Explanation explanation;
  // The devices of the last training round that rated the item; 0 before the first.
  std::uint64_t rated_by = 0;
};

class Recommender {
 public:
  // Errors: not_found (the store has no job, catalogue or model yet: it was never synced); corrupt; those of the store
  // and of the documents in it.
  [[nodiscard]] static Result<Recommender> of(Store& store);

  [[nodiscard]] Basis basis() const noexcept { return basis_; }
  // The best `count` of the items that the user has not rated (neither for training nor for measuring), best first;
  // ties by index. Fewer, if there are no more.
  [[nodiscard]] std::vector<Recommendation> best(std::size_t count) const;
  // Why an item has the score that it has, best or not. REQUIRES: the model has a row for it, basis() is not catalogue.
  [[nodiscard]] model::Explanation explain(std::uint32_t item) const;

  [[nodiscard]] const dataset::Catalogue& catalogue() const noexcept { return catalogue_; }
  // The rows of the model: the catalogue's items, or its first ones if it grew since.
  [[nodiscard]] std::uint32_t items() const noexcept { return model_->shape().items; }
  // The user's rating of an item, if the model uses it.
  [[nodiscard]] std::optional<float> rating_of(std::uint32_t item) const noexcept;

 private:
  Recommender() = default;
  [[nodiscard]] std::vector<float> ranking_scores() const;

  std::unique_ptr<model::Model> model_;
  model::TensorSet shared_;
  dataset::Catalogue catalogue_;
  DeviceData data_;
  crypto::ZeroizingVector<std::uint32_t> seen_;  // sorted
  Basis basis_ = Basis::catalogue;
};

// Whether the parts of each add up to its score, to 1e-6, and there are some.
[[nodiscard]] bool adds_up(const std::vector<Recommendation>& recommendations);

}  // namespace chorus::client
