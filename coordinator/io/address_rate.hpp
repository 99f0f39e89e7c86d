// How often one address may open a connection: a token bucket each. Loopback has no bound: fleets on one machine, and
// a proxy beside the coordinator, come from there. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>

#include <asio/ip/address.hpp>

#include "common/base/time.hpp"

namespace chorus::coordinator {

class AddressRate {
 public:
  // After a burst of four seconds' worth. IPv6 addresses count by their /64 network, which one host has to itself.
  explicit AddressRate(std::uint32_t per_second) : per_second_(per_second) {}
  // Whether one more connection of this address is welcome now.
  [[nodiscard]] bool admit(const asio::ip::address& address, Moment now);
  [[nodiscard]] std::size_t size() const noexcept { return buckets_.size(); }

  // Beyond it, full buckets are forgotten; if none is full, unknown addresses are not admitted.
  static constexpr std::size_t kMaxAddresses = 65'536;

 private:
  struct Bucket {
    double tokens = 0;
    Moment updated;
  };
  [[nodiscard]] double burst() const noexcept { return 4.0 * per_second_; }
  [[nodiscard]] double filled(const Bucket& bucket, Moment now) const noexcept;

  std::uint32_t per_second_;
  std::map<asio::ip::address, Bucket> buckets_;
};

}  // namespace chorus::coordinator
