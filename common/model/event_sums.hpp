// The sums that every family of events makes: how well the held-out events rank, and how many there are. An event says
// that something happened; how often or how long does not count. Stateless.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "common/model/model.hpp"

namespace chorus::model {

// The numbers of a round's "metrics". A device's hit is 0 or 1, and so is its NDCG at most.
namespace event_metric {
inline constexpr std::size_t kRanked = 0, kHits = 1, kNdcg = 2, kTraining = 3, kHeldOut = 4, kDevices = 5, kSize = 6;
}

// metrics: [event_metric::kSize], zeros, of one device with training events. `score_all` fills scores of all `items`,
// and is called only if there are held-out events. Ranks are from 1: one and how many other items without a training
// event score at least as much; a score that is not a number counts against the model.
void write_event_metrics(const LocalData& data, std::uint32_t items,
                         const std::function<void(std::span<float>)>& score_all, std::span<double> metrics);
// Of a sum of metrics; one that a hostile device made negative counts as zero.
[[nodiscard]] Quality read_event_quality(std::span<const double> metrics) noexcept;

}  // namespace chorus::model
