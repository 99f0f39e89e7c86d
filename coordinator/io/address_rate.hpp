// How often one address may open a connection, a token bucket each, and how many it may have open. Loopback has no
// bound unless it is asked for: fleets on one machine, and a proxy beside the coordinator, come from there. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <map>

#include <asio/ip/address.hpp>

#include "common/base/time.hpp"

namespace chorus::coordinator {

class AddressRate {
 public:
  // After a burst of four seconds' worth. IPv6 addresses count by their /64 network, which one host has to itself.
  explicit AddressRate(std::uint32_t per_second, std::uint32_t most_open = kNoBound, bool limit_loopback = false)
      : per_second_(per_second), most_open_(most_open), limit_loopback_(limit_loopback) {}
  // Whether one more connection of this address is welcome now; it is open then until release().
  [[nodiscard]] bool admit(const asio::ip::address& address, Moment now);
  // REQUIRES: one that was admitted.
  void release(const asio::ip::address& address);
  [[nodiscard]] std::size_t size() const noexcept { return buckets_.size(); }

  // Beyond it, full buckets without a connection are forgotten; if there is none, unknown addresses are not admitted.
  static constexpr std::size_t kMaxAddresses = 65'536;
  static constexpr std::uint32_t kNoBound = 0xffffffff;

 private:
  struct Bucket {
    double tokens = 0;
    Moment updated;
    std::uint32_t open = 0;
  };
  [[nodiscard]] double burst() const noexcept { return 4.0 * per_second_; }
  [[nodiscard]] double filled(const Bucket& bucket, Moment now) const noexcept;

  std::uint32_t per_second_;
  std::uint32_t most_open_;
  bool limit_loopback_;
  std::map<asio::ip::address, Bucket> buckets_;
};

}  // namespace chorus::coordinator
