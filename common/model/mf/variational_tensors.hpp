// Indices of the tensors of variational.hpp, shared and uploaded, and of the numbers in them.
#pragma once

#include <cstddef>
#include <string_view>

namespace chorus::model::mf {

// Of the shared tensors, after those of mf.hpp.
namespace shared_tensor {
inline constexpr std::size_t kPosterior = 3, kPrior = 4, kNoise = 5, kTwinFactors = 6, kTwinGram = 7, kTwinScale = 8,
                             kTwinMap = 9, kFeatureMap = 10;
}
// Of a survey with the twin, after `moments`. The numbers of `activity`: n_u² / max_items_per_user, log(1 + n_u).
namespace survey_tensor {
inline constexpr std::size_t kActivity = 1, kCount = 2;
}
namespace activity {
inline constexpr std::size_t kSquares = 0, kLog = 1, kSize = 2;
}
// Of a training round, after those of mf.hpp.
namespace train_tensor {
inline constexpr std::size_t kRelevance = 5, kNoise = 6, kTwinMap = 7, kTwinFeatures = 8, kTwinGradient = 9,
                             kTwinGram = 10, kTwinWeighted = 11;
}
inline constexpr std::string_view kTwinMomentum = "twin_momentum";

}  // namespace chorus::model::mf
