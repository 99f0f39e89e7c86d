// From what a store holds to what a model computes with, and from there to the packed update of a round: the device's
// side of a model family. Personal data throughout: every buffer is wiped when it goes. Stateless functions.
#pragma once

#include <cstddef>

#include "client/store/store.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/dataset/data_contract.hpp"
#include "common/model/model.hpp"
#include "common/plan/round_plan.hpp"
#include "common/ring/fixed_point.hpp"

namespace chorus::client {

using Observations = crypto::ZeroizingVector<model::Observation>;

struct DeviceData {
  Observations training;  // sorted by item, items distinct
  Observations held_out;
  std::size_t unknown = 0;           // ratings of items that the model has no row for; not used
  std::size_t outside_contract = 0;  // values that the job does not accept; not used

  [[nodiscard]] model::LocalData view() const noexcept { return {.training = training, .held_out = held_out}; }
};

// `items`: the rows of the model, which may be fewer than the catalogue's items (it grew since).
[[nodiscard]] DeviceData make_device_data(const StoredRatings& ratings, const dataset::Catalogue& catalogue,
                                          std::size_t items, const dataset::DataContract& contract);

// Solves, contributes and encodes: layout.packed_size() bytes of the model's layout for this purpose, of the same
// size whatever the user rated. REQUIRES: `shared` passed model.check_shared. Errors: non_finite.
[[nodiscard]] Result<crypto::ZeroizingBytes> make_update(const model::Model& model, plan::Purpose purpose,
                                                         const model::TensorSet& shared, const DeviceData& data,
                                                         ring::EncodeCounts& counts);

}  // namespace chorus::client
