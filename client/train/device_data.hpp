// From what a store holds to what a model computes with, and from there to the packed update of a round: the device's
// side of a model family. Personal data throughout: every buffer is wiped when it goes. Stateless functions.
#pragma once

#include <cstddef>

#include "client/store/store.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/dataset/data_contract.hpp"
#include "common/model/model.hpp"
#include "common/plan/round_plan.hpp"
#include "common/privacy/private_encoding.hpp"
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

struct Update {
  crypto::ZeroizingBytes packed;
  std::uint64_t squared_sensitivity = 0;  // Δ² that its noise was made for, in ring units; 0: there is no noise in it
};

// Solves, contributes and encodes: layout.packed_size() bytes of the model's layout for this purpose, of the same
// size whatever the user rated; clipped, rounded at random and hidden in noise of this deviation where the model states
// how. REQUIRES: `shared` passed model.check_shared. Errors: non_finite; parameter_below_floor (noise below the floor
// of the mechanism); invalid_argument (noise for a model that does not say how far a device moves its sums).
[[nodiscard]] Result<Update> make_update(const model::Model& model, plan::Purpose purpose,
                                         const model::TensorSet& shared, const DeviceData& data, double local_noise,
                                         crypto::RandomSource& random);

}  // namespace chorus::client
