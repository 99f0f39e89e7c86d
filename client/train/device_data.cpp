#include "client/train/device_data.hpp"

#include <algorithm>

namespace chorus::client {

DeviceData make_device_data(const StoredRatings& ratings, const dataset::Catalogue& catalogue, std::size_t items,
                            const dataset::DataContract& contract) {
  DeviceData data;
  data.training.reserve(ratings.size());
  for (const StoredRating& rating : ratings) {
    const auto index = catalogue.find(rating.item);
    if (!index || index->value() >= items) {
      ++data.unknown;
    } else if (!contract.check(rating.value)) {
      ++data.outside_contract;
    } else {
      Observations& to = rating.held_out ? data.held_out : data.training;
      to.push_back({.item = index->value(), .value = static_cast<float>(rating.value), .when = rating.when});
    }
  }
  // Items are distinct: the store has one rating an item, the catalogue one index an item.
  std::ranges::sort(data.training, {}, &model::Observation::item);
  std::ranges::sort(data.held_out, {}, &model::Observation::item);
  return data;
}

Result<crypto::ZeroizingBytes> make_update(const model::Model& model, plan::Purpose purpose,
                                           const model::TensorSet& shared, const DeviceData& data,
                                           ring::EncodeCounts& counts) {
  ring::Contribution contribution;
  model.contribute(purpose, shared, data.view(), contribution);
  return ring::encode(model.layout(purpose, model.training_rounds(shared)), contribution, counts);
}

}  // namespace chorus::client
