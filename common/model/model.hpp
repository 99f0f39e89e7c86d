// What a model is: shared parameters that the coordinator publishes, a private state that never leaves the device, and
// the functions local solve, contribute, server step, score and explain (design: learning, section 1). Everything a
// device contributes is a sum. The daemon, the device and the simulation call exactly these functions.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"
#include "common/crypto/secret_bytes.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/dataset/data_contract.hpp"
#include "common/plan/round_plan.hpp"
#include "common/plan/sensitivity.hpp"
#include "common/ring/contribution.hpp"

namespace chorus::model {

// A named array of 32-bit floats, [rows × columns] row-major.
struct Tensor {
  std::string name;
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  std::vector<float> values;
  friend bool operator==(const Tensor&, const Tensor&) = default;
};

// Tensors in a fixed order, with a canonical encoding ("CHORUS/1/tensors").
struct TensorSet {
  std::vector<Tensor> tensors;
  [[nodiscard]] const Tensor* find(std::string_view name) const noexcept;
  [[nodiscard]] Tensor* find(std::string_view name) noexcept;
  [[nodiscard]] Bytes encode() const;
  // Errors: malformed, too_large (more than 64 tensors, or more than `max_bytes`).
  [[nodiscard]] static Result<TensorSet> decode(ByteView bytes, std::size_t max_bytes = std::size_t{1} << 31);
  friend bool operator==(const TensorSet&, const TensorSet&) = default;
};

// The coordinator's state of a model: what is published, and what only the next server step needs (momentum), in
// 64-bit floats.
struct ServerState {
  TensorSet shared;
  std::map<std::string, std::vector<double>> hidden;
  [[nodiscard]] Bytes encode_hidden() const;
  [[nodiscard]] static Result<std::map<std::string, std::vector<double>>> decode_hidden(ByteView bytes);
};

// One rating or event of the device's own user.
struct Observation {
  std::uint32_t item = 0;  // catalogue index
  float value = 0;         // on the contract's scale
  std::int64_t when = 0;   // seconds since 1970, 0 if unknown
};

// What a device knows: both spans sorted by item, items distinct within a span.
struct LocalData {
  std::span<const Observation> training;
  std::span<const Observation> held_out;  // never trained on; measured only
};

// The device's own state, e.g. [b_u; p_u] and the inverse normal matrix. Wiped when it goes.
struct PrivateState {
  crypto::ZeroizingVector<double> factor;
  crypto::ZeroizingVector<double> covariance;  // [D × D], may be empty
};

// One summand of a score: Σ of all parts = score, to 1e-6.
struct ScorePart {
  enum class Kind { base, item, history, prior };
  Kind kind = Kind::base;  // base: mean; item: the item's own bias; history: one of the user's ratings
  std::uint32_t item = 0;  // for `history`: which rating
  double amount = 0;       // on the contract's scale
};
struct Explanation {
  double score = 0;  // on the contract's scale, not clipped
  std::vector<ScorePart> parts;
};

// What a round's sum says of a model's quality. A family of ratings has errors, on the contract's scale; one of events
// has ranks, among all items that the device has no training event with (ties count against the model).
struct Quality {
  std::uint64_t held_out_ratings = 0;
  std::uint64_t training_ratings = 0;
  std::uint64_t devices = 0;
  double held_out_rmse = 0;  // 0 without held-out ratings
  double training_rmse = 0;
  std::uint64_t ranked_devices = 0;  // with held-out events; the means below are over these
  double hit_at_10 = 0;
  double ndcg_at_10 = 0;

  friend bool operator==(const Quality&, const Quality&) = default;
};

// "rank" -> "15": what `--set model.rank=15` or the job file's [model] table says, without the "model." prefix.
using Settings = std::map<std::string, std::string, std::less<>>;

struct ModelShape {
  std::uint32_t items = 0;
  dataset::DataContract contract;
  std::uint32_t max_contributors = 512;  // of one cohort: what a coordinate's headroom is sized for
  // What is publicly known of the items, for families that learn from it; with none they learn from ratings alone.
  std::shared_ptr<const dataset::Catalogue> catalogue = nullptr;
};

// What a model states of a round's sum for differential privacy (design: privacy, section 2): how far one device moves
// it, and how much noise hides that. Clipping and noise themselves are not a model's business.
struct PrivateQuestion {
  std::vector<plan::ClipGroup> groups;  // of the round's layout
  std::uint32_t most_items = 0;         // of one device
  // z: the noise of the sum over the honest contributors, in sensitivities.
  double noise_multiplier = 0;
  // Members of the sums that are hidden: a cohort's, against the coordinator; 0: the whole round's, against readers of
  // the model.
  std::uint32_t cohort = 0;
};

// A configured model. Immutable, thread-safe; every function is deterministic in its arguments.
class Model {
 public:
  virtual ~Model() = default;
  [[nodiscard]] virtual std::string_view family() const noexcept = 0;
  // Covered by the model id: changes whenever the same inputs would give other bytes.
  [[nodiscard]] virtual std::uint32_t solver_version() const noexcept = 0;
  // Every setting with its value, defaults too.
  [[nodiscard]] virtual const Settings& settings() const noexcept = 0;
  [[nodiscard]] virtual const ModelShape& shape() const noexcept = 0;
  // The preset's number of training rounds.
  [[nodiscard]] virtual std::uint32_t preset_rounds() const noexcept = 0;
  // How many training rounds there can be at most, where a model's questions end; 0: as many as one likes.
  [[nodiscard]] virtual std::uint32_t most_rounds() const noexcept { return 0; }
  // Whether a survey comes before the first training round.
  [[nodiscard]] virtual bool needs_survey() const noexcept = 0;
  // What a device uploads in a round for this purpose that starts from a model with so many training rounds behind it.
  [[nodiscard]] virtual plan::UpdateLayout layout(plan::Purpose purpose, std::uint64_t training_rounds) const = 0;

  // How devices hide what they contribute to that round; nothing from a model without differential privacy.
  [[nodiscard]] virtual std::optional<PrivateQuestion> privacy(plan::Purpose /*purpose*/,
                                                               std::uint64_t /*training_rounds*/) const {
    return std::nullopt;
  }

  // Whether a server step may have each number of an item's row from other devices than the next, as a median number by
  // number makes it: not where a row's numbers are one matrix.
  [[nodiscard]] virtual bool rows_come_apart() const noexcept { return true; }

  // --- coordinator
  // Factors from PRG(model.seed), item by item, so that a longer catalogue has the same first rows.
  [[nodiscard]] virtual ServerState initial() const = 0;
  // Items that the catalogue gained: rows appended as initial() makes them. `state` has fewer or equal items.
  virtual void grow(ServerState& state) const = 0;
  // Applies a survey's or a training round's sum. Errors: non_finite (with the item's index); `state` is then
  // unchanged. `sums[t]` is tensor t of the round's layout as numbers (ring::RoundSum::numbers, or floating-point
  // sums).
  [[nodiscard]] virtual Status step(plan::Purpose purpose, ServerState& state,
                                    std::span<const std::vector<double>> sums, std::uint64_t contributors) const = 0;
  // Reads the metrics that ride along in a training or measuring round: of the model that the round started from.
  [[nodiscard]] virtual Quality quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const = 0;
  // Are these the shared parameters of this model? Errors: wrong_model, non_finite.
  [[nodiscard]] virtual Status check_shared(const TensorSet& shared) const = 0;

  // How many training rounds are behind these parameters; they say so themselves. REQUIRES: check_shared passed.
  [[nodiscard]] virtual std::uint64_t training_rounds(const TensorSet& shared) const noexcept = 0;

  // --- device (shared has passed check_shared)
  [[nodiscard]] virtual PrivateState solve(const TensorSet& shared, const LocalData& data) const = 0;
  virtual void contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                          ring::Contribution& out) const = 0;
  // Scores of all items, on the contract's scale, not clipped. out: [items]
  virtual void score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const = 0;
  [[nodiscard]] virtual double score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const = 0;
  [[nodiscard]] virtual Explanation explain(const TensorSet& shared, const LocalData& data,
                                            std::uint32_t item) const = 0;
  // How many contributors of the last training round rated each item; empty before it. For ranking by popularity.
  [[nodiscard]] virtual std::span<const float> popularity(const TensorSet& shared) const noexcept = 0;
};

}  // namespace chorus::model
