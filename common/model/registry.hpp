// The model families, by name.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "common/model/model.hpp"

namespace chorus::model {

struct SettingDescription {
  std::string_view name;     // "rank"
  std::string_view value;    // the preset's
  std::string_view meaning;  // one line, for --help and error messages
};

struct Family {
  std::string_view name;  // "mf"
  std::vector<SettingDescription> settings;
  // Errors: invalid_argument; names the key, the value and what was expected, and lists the known keys for an unknown
  // one.
  Result<std::unique_ptr<Model>> (*make)(const Settings& settings, const ModelShape& shape);
  // What the family learns from.
  dataset::Feedback feedback = dataset::Feedback::ratings;
};

[[nodiscard]] const std::vector<Family>& families();
// Errors: invalid_argument, with the known names.
[[nodiscard]] Result<std::unique_ptr<Model>> make_model(std::string_view family, const Settings& settings,
                                                        const ModelShape& shape);

}  // namespace chorus::model
