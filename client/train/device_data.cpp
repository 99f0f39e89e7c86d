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

Result<Update> make_update(const model::Model& model, plan::Purpose purpose, const model::TensorSet& shared,
                           const DeviceData& data, double local_noise, crypto::RandomSource& random) {
  const std::uint64_t rounds = model.training_rounds(shared);
  ring::Contribution contribution;
  model.contribute(purpose, shared, data.view(), contribution);
  if (local_noise == 0) {
    ring::EncodeCounts counts;
    CHORUS_TRY(auto packed, ring::encode(model.layout(purpose, rounds), contribution, counts));
    return Update{.packed = std::move(packed)};
  }
  const auto question = model.privacy(purpose, rounds);
  if (!question) {
    return fail(ErrorCode::invalid_argument,
                "the plan asks for noise, and the model does not say how far a device moves its sums",
                "field 'local_noise'");
  }
  CHORUS_TRY(const auto encoding, privacy::PrivateEncoding::create(model.layout(purpose, rounds), question->groups,
                                                                   question->most_items, local_noise));
  privacy::PrivateCounts counts;
  CHORUS_TRY(auto packed, encoding.encode(contribution, random, counts));
  return Update{.packed = std::move(packed), .squared_sensitivity = encoding.squared_sensitivity()};
}

}  // namespace chorus::client
