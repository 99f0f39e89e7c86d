#include "common/identity/device_id.hpp"

namespace chorus::identity {

namespace {

constexpr std::string_view kUrnPrefix = "urn:chorus:device:";

}  // namespace

std::string to_string(const DeviceId& id) {
  return to_hex(id.bytes);
}

std::string to_urn(const DeviceId& id) {
  return std::string(kUrnPrefix) + to_string(id);
}

Result<DeviceId> parse_device_id(std::string_view hex) {
  DeviceId id;
  if (auto status = from_hex_into(hex, id.bytes); !status) return fail(status.error().at("device id"));
  return id;
}

Result<DeviceId> parse_device_urn(std::string_view urn) {
  if (!urn.starts_with(kUrnPrefix)) {
    return fail(ErrorCode::malformed, "expected " + std::string(kUrnPrefix) + " and 32 hexadecimal digits",
                "device id");
  }
  const std::string_view hex = urn.substr(kUrnPrefix.size());
  CHORUS_TRY(const DeviceId id, parse_device_id(hex));
  // One spelling for one id: names are compared as text in certificates.
  if (to_string(id) != hex) return fail(ErrorCode::malformed, "expected lower-case hexadecimal digits", "device id");
  return id;
}

}  // namespace chorus::identity
