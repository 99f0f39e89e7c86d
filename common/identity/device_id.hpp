// Who a device is: 16 random bytes that the enrolment authority assigned, written as
// "urn:chorus:device:<32 hex>" in the certificate's subject alternative name.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "common/base/bytes.hpp"

namespace chorus::identity {

struct DeviceId {
  ByteArray<16> bytes{};

  friend auto operator<=>(const DeviceId&, const DeviceId&) = default;
};

[[nodiscard]] std::string to_string(const DeviceId& id);  // 32 hexadecimal digits
[[nodiscard]] std::string to_urn(const DeviceId& id);
// Errors: malformed.
[[nodiscard]] Result<DeviceId> parse_device_id(std::string_view hex);
[[nodiscard]] Result<DeviceId> parse_device_urn(std::string_view urn);

}  // namespace chorus::identity
