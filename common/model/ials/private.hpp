// Implicit alternating least squares under user-level differential privacy (update `dp`): the same model as ials.hpp,
// learned from a few noisy answers; all that is made of an answer is post-processing, which costs nothing (design:
// privacy, section 5; the shape is that of the mf family's recipe). Questions, each a sum whose sensitivity (one person
// added or removed, the whole contribution) is proven where it is made (private_device.cpp):
//
//   counts   Σ 1/√n_u of an item's people, the number of people, and of their events   Δ² = 1 + 2/64
//   tastes   w (1 − p·q_i) p/ρ, w the person's weight of the item, Σ w² = 1            Δ = C_G
//            and once (p/ρ)(p/ρ)ᵀ                                                      Δ = C_P
//
// ρ is the length that a factor is expected to have. The coordinator takes what the noisy sums say of an item's people,
// the mean of their factors, for a draw around what its features, its popularity and the answer before say, and shrinks
// it there by how much noise is in it (empirical Bayes); the item's factor is then the ridge solution of ials.hpp.
//
// Shared tensors: item_factors [items × d]; gram [d × d] QᵀQ; scale [1 × 4] λ, rounds, N, ρ; popularity [items × 1] the
// denoised events; weight [items × 1] h_i. Hidden: what the coordinator remembers of the answers (private_server.cpp).
#pragma once

#include <vector>

#include "common/model/ials/ials.hpp"
#include "common/model/item_features.hpp"
#include "common/model/private_questions.hpp"

namespace chorus::model::ials {

// K: the constant, the public features, the logarithm of the popularity and its square.
inline constexpr std::size_t kPrivateFeatures = 1 + feature::kPublic + 2;
// What a person says of being there at all, and at most of how many events there are: one coordinate of the counts
// each.
inline constexpr double kDeviceMark = 0.125;
inline constexpr double kMostEvents = 512;
inline constexpr double kTasteNorm = 1;  // C_G
inline constexpr double kGramNorm = 2;   // C_P

class Private final : public Model {
 public:
  // Errors: invalid_argument (a setting, a contract of ratings, or no headroom for the cohorts' size).
  [[nodiscard]] static Result<std::unique_ptr<Model>> make(const Settings& settings, const ModelShape& shape);

  [[nodiscard]] std::string_view family() const noexcept override { return "ials"; }
  [[nodiscard]] std::uint32_t solver_version() const noexcept override { return 1; }
  [[nodiscard]] const Settings& settings() const noexcept override { return settings_; }
  [[nodiscard]] const ModelShape& shape() const noexcept override { return shape_; }
  [[nodiscard]] std::uint32_t preset_rounds() const noexcept override {
    return static_cast<std::uint32_t>(questions_.size() - 1);
  }
  [[nodiscard]] std::uint32_t most_rounds() const noexcept override { return preset_rounds(); }
  [[nodiscard]] bool needs_survey() const noexcept override { return true; }
  [[nodiscard]] plan::UpdateLayout layout(plan::Purpose purpose, std::uint64_t training_rounds) const override;
  [[nodiscard]] std::optional<PrivateQuestion> privacy(plan::Purpose purpose,
                                                       std::uint64_t training_rounds) const override;

  [[nodiscard]] ServerState initial() const override;
  void grow(ServerState& state) const override;
  // Errors: besides the interface's, budget_exhausted: the questions have all been asked.
  [[nodiscard]] Status step(plan::Purpose purpose, ServerState& state, std::span<const std::vector<double>> sums,
                            std::uint64_t contributors) const override;
  // Metrics would cost privacy: nothing but the number of devices is summed.
  [[nodiscard]] Quality quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const override;
  [[nodiscard]] Status check_shared(const TensorSet& shared) const override;
  [[nodiscard]] std::uint64_t training_rounds(const TensorSet& shared) const noexcept override;

  [[nodiscard]] PrivateState solve(const TensorSet& shared, const LocalData& data) const override;
  void contribute(plan::Purpose purpose, const TensorSet& shared, const LocalData& data,
                  ring::Contribution& out) const override;
  // Before the first answer about tastes, and of a person without events: the popularity.
  void score_all(const TensorSet& shared, const PrivateState& mine, std::span<float> out) const override;
  [[nodiscard]] double score(const TensorSet& shared, const PrivateState& mine, std::uint32_t item) const override;
  [[nodiscard]] Explanation explain(const TensorSet& shared, const LocalData& data, std::uint32_t item) const override;
  [[nodiscard]] std::span<const float> popularity(const TensorSet& shared) const noexcept override;

 private:
  struct Options {
    bool features = true;
    std::uint32_t rank = 0;        // d
    std::optional<double> lambda;  // absent: from the counts
    double alpha = 0;              // weight of what did not happen
    std::uint64_t seed = 0;        // of the initial factors
  };

  Private(Settings settings, const Options& options, const ModelShape& shape, PrivateQuestions questions);

  // λ (events + α others)
  [[nodiscard]] double weighted(const TensorSet& shared, double events, double others) const noexcept;

  // --- device
  [[nodiscard]] Ridge normal_of(const TensorSet& shared, std::span<const Observation> training) const;
  void contribute_tastes(const TensorSet& shared, std::span<const Observation> training, ring::Contribution& out) const;

  // --- coordinator
  void apply_counts(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                    std::uint64_t contributors) const;
  void apply_tastes(ServerState& state, std::span<const std::vector<double>> sums, const AskedQuestion& asked,
                    std::uint64_t contributors) const;
  void write_gram(TensorSet& shared) const;
  // ρ, of the factors that the published items will give.
  void expect_length(ServerState& state) const;

  Settings settings_;
  Options options_;
  ModelShape shape_;
  PrivateQuestions questions_;
};

// Indices of the shared tensors, and of the numbers of the scale.
namespace private_tensor {
inline constexpr std::size_t kFactors = 0, kGram = 1, kScale = 2, kPopularity = 3, kWeight = 4;
}
namespace private_scale {
inline constexpr std::size_t kLambda = 0, kRounds = 1, kDevices = 2, kLength = 3, kSize = 4;
}

// The settings of this update; ials.cpp has those of the others.
[[nodiscard]] const std::vector<SettingDescription>& private_settings();

}  // namespace chorus::model::ials
