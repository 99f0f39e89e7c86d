#include "common/model/model.hpp"

#include <algorithm>

namespace chorus::model {
namespace {

constexpr std::string_view kTensorsLabel = "CHORUS/1/tensors";
constexpr std::string_view kHiddenLabel = "CHORUS/1/hidden";
constexpr std::size_t kMaxTensors = 64;
constexpr std::size_t kMaxNameLength = 64;

}  // namespace

const Tensor* TensorSet::find(std::string_view name) const noexcept {
  const auto found = std::ranges::find(tensors, name, &Tensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

Tensor* TensorSet::find(std::string_view name) noexcept {
  const auto found = std::ranges::find(tensors, name, &Tensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

Bytes TensorSet::encode() const {
  std::size_t size = 64;
  for (const Tensor& tensor : tensors) size += 16 + tensor.name.size() + 4 * tensor.values.size();
  ByteWriter out;
  out.reserve(size);
  out.string(kTensorsLabel);
  out.u32(static_cast<std::uint32_t>(tensors.size()));
  for (const Tensor& tensor : tensors) {
    out.string(tensor.name);
    out.u32(tensor.rows);
    out.u32(tensor.columns);
    out.f32s(tensor.values);
  }
  return std::move(out).take();
}

Result<TensorSet> TensorSet::decode(ByteView bytes, std::size_t max_bytes) {
  if (bytes.size() > max_bytes) {
    return fail(ErrorCode::too_large, "the shared tensors take " + std::to_string(bytes.size()) + " bytes; at most " +
                                          std::to_string(max_bytes) + " are allowed");
  }
  ByteReader in(bytes);
  if (in.string(kTensorsLabel.size()) != kTensorsLabel) in.reject("they do not begin with 'CHORUS/1/tensors'");
  const std::uint32_t count = in.u32();
  if (count > kMaxTensors) {
    return fail(ErrorCode::too_large, "a set of " + std::to_string(count) + " shared tensors; at most " +
                                          std::to_string(kMaxTensors) + " are allowed");
  }
  TensorSet set;
  for (std::uint32_t t = 0; t < count && !in.failed(); ++t) {
    Tensor tensor;
    tensor.name = in.string(kMaxNameLength);
    tensor.rows = in.u32();
    tensor.columns = in.u32();
    if (set.find(tensor.name) != nullptr) in.reject("two tensors have one name");
    const std::uint64_t numbers = std::uint64_t{tensor.rows} * tensor.columns;
    if (numbers > in.remaining() / 4) in.reject("a tensor is larger than its bytes");
    if (in.failed()) break;
    tensor.values.resize(numbers);
    in.f32s(tensor.values);
    set.tensors.push_back(std::move(tensor));
  }
  CHORUS_TRY_DO(in.finish("set of shared tensors"));
  return set;
}

Bytes ServerState::encode_hidden() const {
  ByteWriter out;
  out.string(kHiddenLabel);
  out.u32(static_cast<std::uint32_t>(hidden.size()));
  for (const auto& [name, values] : hidden) {
    out.string(name);
    out.u64(values.size());
    for (const double value : values) out.f64(value);
  }
  return std::move(out).take();
}

Result<std::map<std::string, std::vector<double>>> ServerState::decode_hidden(ByteView bytes) {
  ByteReader in(bytes);
  if (in.string(kHiddenLabel.size()) != kHiddenLabel) in.reject("it does not begin with 'CHORUS/1/hidden'");
  const std::size_t count = in.count(kMaxTensors, 4 + 8);
  std::map<std::string, std::vector<double>> hidden;
  for (std::size_t t = 0; t < count && !in.failed(); ++t) {
    std::string name = in.string(kMaxNameLength);
    const std::uint64_t size = in.u64();
    if (!hidden.empty() && name <= hidden.rbegin()->first) in.reject("its names are not in order");
    if (size > in.remaining() / 8) in.reject("an array is larger than its bytes");
    if (in.failed()) break;
    std::vector<double> values(size);
    for (double& value : values) value = in.f64();
    hidden.emplace_hint(hidden.end(), std::move(name), std::move(values));
  }
  CHORUS_TRY_DO(in.finish("server state"));
  return hidden;
}

}  // namespace chorus::model
