// Apart from job_description.cpp, so that reading a job does not pull in the model families.
#include "common/model/registry.hpp"
#include "common/protocol/job_description.hpp"

namespace chorus::protocol {

chorus::Result<std::unique_ptr<model::Model>> JobDescription::make_model(
    std::uint32_t items, std::shared_ptr<const dataset::Catalogue> catalogue) const {
  return model::make_model(
      family, settings,
      {.items = items, .contract = contract, .max_contributors = max_contributors, .catalogue = std::move(catalogue)});
}

}  // namespace chorus::protocol
