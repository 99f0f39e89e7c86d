#include "coordinator/config/table.hpp"

#include <algorithm>
#include <cmath>

namespace chorus::coordinator {

const toml::node* Table::find(std::string_view key) {
  known_.emplace_back(key);
  return table_ == nullptr ? nullptr : table_->get(key);
}

void Table::number(std::string_view key, float& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto value = node->value<double>();
  if (!node->is_number() || !value || !std::isfinite(*value) || std::abs(*value) > 1e30) {
    reject(key, "expected a number");
    return;
  }
  out = static_cast<float>(*value);
}

void Table::positive(std::string_view key, double& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto value = node->value<double>();
  if (!node->is_number() || !value || !std::isfinite(*value) || !(*value > 0)) {
    reject(key, "expected a number above 0");
    return;
  }
  out = *value;
}

void Table::boolean(std::string_view key, bool& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (const auto* value = node->as_boolean()) {
    out = value->get();
  } else {
    reject(key, "expected true or false");
  }
}

std::optional<std::string> Table::string(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const auto* value = node->as_string()) return value->get();
  reject(key, "expected text in quotes");
  return std::nullopt;
}

std::optional<std::string> Table::required_string(std::string_view key) {
  auto value = string(key);
  if (!value || value->empty()) reject(key, "is missing or empty");
  return value;
}

std::vector<std::string> Table::strings(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return {};
  std::vector<std::string> values;
  if (const auto* array = node->as_array()) {
    for (const auto& element : *array) {
      if (const auto* value = element.as_string()) values.push_back(value->get());
    }
    if (values.size() == array->size() && !values.empty()) return values;
  }
  reject(key, "expected a list of one or more texts in quotes");
  return {};
}

const toml::table* Table::table(std::string_view key) {
  const toml::node* node = find(key);
  if (node != nullptr && !node->is_table()) reject(key, fmt::format("expected a table, [{}]", key));
  return node == nullptr ? nullptr : node->as_table();
}

std::vector<std::pair<std::string, std::string>> Table::others() {
  std::vector<std::pair<std::string, std::string>> values;
  if (table_ == nullptr) return values;
  for (const auto& [key, node] : *table_) {
    if (std::find(known_.begin(), known_.end(), key.str()) != known_.end()) continue;
    std::string text;
    if (const auto* integer = node.as_integer()) {
      text = fmt::format("{}", integer->get());
    } else if (const auto* real = node.as_floating_point()) {
      text = fmt::format("{}", real->get());
    } else if (const auto* flag = node.as_boolean()) {
      text = flag->get() ? "true" : "false";
    } else if (const auto* string_value = node.as_string()) {
      text = string_value->get();
    } else {
      reject(key.str(), "expected a number, text in quotes, true or false");
    }
    values.emplace_back(std::string(key.str()), std::move(text));
  }
  for (const auto& [key, value] : values) known_.push_back(key);
  return values;
}

Status Table::finish() const {
  if (error_) return fail(*error_);
  if (table_ == nullptr) return {};
  // The first in the file, since a table iterates in the order of its keys.
  const toml::node* first = nullptr;
  std::string_view first_key;
  for (const auto& [key, node] : *table_) {
    if (std::find(known_.begin(), known_.end(), key.str()) != known_.end()) continue;
    if (first == nullptr || node.source().begin.line < first->source().begin.line) {
      first = &node;
      first_key = key.str();
    }
  }
  if (first == nullptr) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("unknown key '{}'{}; known are: {}", first_key,
                          name_.empty() ? std::string() : fmt::format(" in [{}]", name_), fmt::join(known_, ", ")),
              place(first_key));
}

}  // namespace chorus::coordinator
