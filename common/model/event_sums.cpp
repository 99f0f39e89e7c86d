#include "common/model/event_sums.hpp"

#include <algorithm>
#include <cmath>

#include "common/base/check.hpp"
#include "common/crypto/secret_bytes.hpp"

namespace chorus::model {
namespace {

// 1 / log2(1 + rank) for the ranks 1 to 10: a logarithm's last bit depends on the C library.
constexpr double kGains[] = {1.0,
                             0.63092975357145743710,
                             0.5,
                             0.43067655807339305067,
                             0.38685280723454158687,
                             0.35620718710802217651,
                             0.33333333333333333333,
                             0.31546487678572871855,
                             0.30102999566398119521,
                             0.28906482631788785927};
constexpr std::size_t kDepth = std::size(kGains);

}  // namespace

void write_event_metrics(const LocalData& data, std::uint32_t items,
                         const std::function<void(std::span<float>)>& score_all, std::span<double> metrics) {
  CHORUS_ENSURE(metrics.size() == event_metric::kSize, "metrics have their size");
  metrics[event_metric::kTraining] = static_cast<double>(data.training.size());
  metrics[event_metric::kHeldOut] = static_cast<double>(data.held_out.size());
  metrics[event_metric::kDevices] = 1;
  if (data.held_out.empty()) return;
  crypto::ZeroizingVector<float> scores(items);
  score_all(scores);
  crypto::ZeroizingVector<std::uint8_t> known(items, 0);
  for (const Observation& event : data.training) known[event.item] = 1;
  std::size_t hits = 0;
  double gain = 0;
  for (const Observation& event : data.held_out) {
    const float own = scores[event.item];
    std::size_t rank = std::isnan(own) ? items : 1;
    for (std::uint32_t i = 0; i < items && rank <= kDepth; ++i) {
      if (i != event.item && known[i] == 0 && !(scores[i] < own)) ++rank;
    }
    if (rank > kDepth) continue;
    ++hits;
    gain += kGains[rank - 1];
  }
  double best = 0;
  for (std::size_t k = 0; k < std::min(kDepth, data.held_out.size()); ++k) best += kGains[k];
  metrics[event_metric::kRanked] = 1;
  metrics[event_metric::kHits] = hits > 0 ? 1 : 0;
  metrics[event_metric::kNdcg] = gain / best;
}

Quality read_event_quality(std::span<const double> metrics) noexcept {
  const auto count = [&](std::size_t k) { return static_cast<std::uint64_t>(std::llround(std::max(0.0, metrics[k]))); };
  const auto share = [&](std::size_t k) {
    const double ranked = metrics[event_metric::kRanked];
    return ranked >= 1 ? std::clamp(metrics[k] / ranked, 0.0, 1.0) : 0.0;
  };
  Quality quality;
  quality.held_out_ratings = count(event_metric::kHeldOut);
  quality.training_ratings = count(event_metric::kTraining);
  quality.devices = count(event_metric::kDevices);
  quality.ranked_devices = count(event_metric::kRanked);
  quality.hit_at_10 = share(event_metric::kHits);
  quality.ndcg_at_10 = share(event_metric::kNdcg);
  return quality;
}

}  // namespace chorus::model
