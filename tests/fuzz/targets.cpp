#include "tests/fuzz/targets.hpp"

#include <array>

namespace chorus::fuzz {

std::span<const Target> targets() {
  static constexpr std::array kTargets{
      Target{"frame", &read_frames, &frame_seeds},
      Target{"codec", &read_payload, &payload_seeds},
      Target{"documents", &read_documents, &document_seeds},
      Target{"plan", &read_plan, &plan_seeds},
      Target{"catalogue", &read_catalogue, &catalogue_seeds},
      Target{"tensors", &read_tensors, &tensor_seeds},
      Target{"enrolment", &read_enrolment, &enrolment_seeds},
  };
  return kTargets;
}

}  // namespace chorus::fuzz
