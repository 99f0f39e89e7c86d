// The twin: an implicit-feedback model (Hu et al. 2008) of who rated what, trained beside the ratings' model, and the
// features that it gives: prior means of the factors (design: learning, section 2, "The twin").
//
//   f_u = [p_u / rms, 1, log(1 + n_u) − mean],  f_i alike from q_i and n_i;  F = k + 2
//   p_u = (α₀ QᵀQ + Σ_{i∈S_u} q_i q_iᵀ + λ(n_u + α₀ m) I)⁻¹ Σ_{i∈S_u} q_i
//
// A device uploads for each item it rated (1 − p·q_i) p and once p pᵀ and n_u p pᵀ. With their sums G_i, G_P and
// C = Σ n_u p pᵀ / Σ n_u, and N devices, the coordinator takes
//
//   M_i = α₀ G_P + n_i C + λ(n_i + α₀ N) I,   m_i ← β m_i + M_i⁻¹ (G_i − α₀ G_P q_i − λ(n_i + α₀ N) q_i),   q_i += η
//   m_i
//
// Values and stateless functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/crypto/secret_bytes.hpp"
#include "common/model/model.hpp"

namespace chorus::model::mf {

// Of the shared tensor twin_scale, [1 × kSize].
namespace twin_scale {
inline constexpr std::size_t kDevices = 0;  // N
inline constexpr std::size_t kLambda = 1;   // λ
inline constexpr std::size_t kUserLog = 2;  // mean of log(1 + n_u)
inline constexpr std::size_t kItemLog = 3;  // mean of log(1 + n_i) over items that somebody rated
inline constexpr std::size_t kUserRms = 4;  // of the numbers of all p_u; 0 before the first round
inline constexpr std::size_t kItemRms = 5;  // of the numbers of all q_i
inline constexpr std::size_t kSize = 6;
}  // namespace twin_scale

// ln(1 + n) to the last bits, from additions, products and quotients alone: the same bytes on every machine. n ≥ 0.
[[nodiscard]] double log_of_count(double n);

// What devices read of the shared tensors. A view.
struct TwinView {
  std::span<const float> factors;  // Q, [items × k]
  std::span<const float> gram;     // QᵀQ, [k × k]
  std::span<const float> scale;    // twin_scale
  std::uint32_t rank = 0;          // k
  std::uint32_t items = 0;

  [[nodiscard]] std::size_t features() const noexcept { return std::size_t{rank} + 2; }
};

// p_u, [k]. The device's own.
[[nodiscard]] crypto::ZeroizingVector<double> twin_factor(const TwinView& twin, std::span<const Observation> training);

// f of a factor and a count, [F]; every number within ±kFeatureBound.
inline constexpr double kFeatureBound = 8;
[[nodiscard]] crypto::ZeroizingVector<double> twin_features(std::span<const double> factor, double rms, double count,
                                                            double mean_log);

// λ of the preset: .8(√s_U + √s_I) / √(N m), s the event-weighted means Σn²/Σn of users and items.
[[nodiscard]] double twin_lambda(double mean_user_events, double mean_item_events, double devices, double items);

// A server step. counts: n_i, [items]; gradient: [items × k]; gram, weighted: Σ p pᵀ and Σ n p pᵀ as packed lower
// triangles, [k(k + 1)/2]; weight: Σ n_u. factors and momentum are replaced. Errors: non_finite (the item's index);
// both are then unchanged.
struct TwinSums {
  std::span<const double> counts;
  std::span<const double> gradient;
  std::span<const double> gram;
  std::span<const double> weighted;
  double weight = 0;
};
[[nodiscard]] Status twin_step(const TwinSums& sums, std::span<const float> scale, std::uint32_t rank,
                               std::vector<float>& factors, std::vector<double>& momentum);

// QᵀQ, [k × k].
[[nodiscard]] std::vector<float> twin_gram(std::span<const float> factors, std::uint32_t rank);

}  // namespace chorus::model::mf
