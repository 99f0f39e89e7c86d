#include "common/model/registry.hpp"

#include <algorithm>

#include "common/model/bpr/bpr.hpp"
#include "common/model/ease/ease.hpp"
#include "common/model/ials/ials.hpp"
#include "common/model/mf/mf.hpp"
#include "common/model/nmf/nmf.hpp"
#include "common/model/svd/svd.hpp"

namespace chorus::model {

const std::vector<Family>& families() {
  static const std::vector<Family> all = {bpr::family(), ease::family(), ials::family(),
                                          mf::family(),  nmf::family(),  svd::family()};
  return all;
}

Result<std::unique_ptr<Model>> make_model(std::string_view family, const Settings& settings, const ModelShape& shape) {
  const auto found = std::ranges::find(families(), family, &Family::name);
  if (found != families().end()) return found->make(settings, shape);
  std::string names;
  for (const Family& known : families()) names.append(names.empty() ? "" : ", ").append(known.name);
  return fail(ErrorCode::invalid_argument, "there is no model '" + std::string(family) + "'; known: " + names);
}

}  // namespace chorus::model
