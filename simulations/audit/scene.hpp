// Who and what is attacked: people with their ratings, the models that they train, and what an attacker sees of a
// round. Everybody is drawn by the audit's seed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/dataset/data_contract.hpp"
#include "common/dataset/rating.hpp"
#include "common/evaluation/user_data.hpp"
#include "common/model/model.hpp"
#include "common/ring/contribution.hpp"
#include "simulations/world/training.hpp"

namespace chorus::sim::audit {

struct AuditInput {
  dataset::RatingTable ratings;
  dataset::DataContract contract;  // of ratings
  std::shared_ptr<const dataset::Catalogue> catalogue;
};

struct AuditOptions {
  std::uint64_t seed = 1;
  unsigned threads = 1;  // never changes a result, but for A6's times
  double epsilon = 5;    // of the private model, for a person's whole data
  double delta = 1e-6;
  std::uint32_t trials = 4000;     // of A3
  std::uint32_t least_raters = 5;  // the count threshold of A4
  // Time that the calling thread has spent; A6 reads it.
  std::function<Moment()> clock = [] { return Moment(); };
};

// Two full cohorts: more people would make the audit longer and no attack stronger.
inline constexpr std::uint32_t kMostPeople = 1024;

// Immutable, thread-safe.
class Scene {
 public:
  // Errors: invalid_argument (ratings of events; too few people for two cohorts that devices accept).
  [[nodiscard]] static Result<Scene> create(AuditInput input, const AuditOptions& options);

  [[nodiscard]] const AuditInput& input() const noexcept { return input_; }
  [[nodiscard]] const AuditOptions& options() const noexcept { return options_; }
  [[nodiscard]] const evaluation::UserData& users() const noexcept { return users_; }
  [[nodiscard]] std::uint32_t items() const noexcept { return items_; }
  // The cohort that is attacked, and as many of the attacker's own people; users, in a random order.
  [[nodiscard]] std::span<const std::uint32_t> cohort() const noexcept { return cohort_; }
  [[nodiscard]] std::span<const std::uint32_t> others() const noexcept { return others_; }
  // Of the audit's seed and `purpose`: independent of each other.
  [[nodiscard]] std::uint64_t seed(std::uint64_t purpose) const noexcept;

  // Matrix factorization as devices train it, update newton, with the count threshold. Without the trial of its first
  // rounds, in which a device holds a tenth of its ratings back: an attacker waits until it has them all.
  [[nodiscard]] Result<std::unique_ptr<model::Model>> plain_model(std::uint32_t least_raters = 1) const;
  // The same under differential privacy, for so many people; against the coordinator, whose cohort they are.
  [[nodiscard]] Result<std::unique_ptr<model::Model>> private_model(std::size_t people) const;

 private:
  Scene(AuditInput input, const AuditOptions& options);
  AuditInput input_;
  AuditOptions options_;
  evaluation::UserData users_;
  std::uint32_t items_;
  std::vector<std::uint32_t> cohort_;
  std::vector<std::uint32_t> others_;
};

// A survey and so many training rounds by `contributors`, plain sums. Errors: those of Training::round.
[[nodiscard]] Status train(Training& training, const model::Model& model, std::span<const std::uint32_t> contributors,
                           std::uint32_t rounds);

// Calls take(tensor, row, numbers) for each row that a contribution touches, and for each tensor that is not per item.
template <typename Take>
void for_each_row(const plan::UpdateLayout& layout, const ring::Contribution& contribution, const Take& take) {
  std::size_t at_row = 0;
  std::size_t at_dense = 0;
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
    const plan::TensorLayout& tensor = layout.tensors()[t];
    if (!tensor.per_item) {
      take(t, std::size_t{0}, std::span<const double>(contribution.dense).subspan(at_dense, tensor.numbers()));
      at_dense += tensor.numbers();
      continue;
    }
    for (std::size_t k = 0; k < contribution.items.size(); ++k) {
      take(t, std::size_t{contribution.items[k]},
           std::span<const double>(contribution.rows).subspan(k * layout.row_width() + at_row, tensor.columns));
    }
    at_row += tensor.columns;
  }
}

// The tensors of a sum as numbers. [tensors][rows × columns]
[[nodiscard]] std::vector<std::vector<double>> numbers_of(const ring::RoundSum& sum);

}  // namespace chorus::sim::audit
