#include "coordinator/io/address_rate.hpp"

#include <algorithm>

namespace chorus::coordinator {

namespace {

asio::ip::address network_of(const asio::ip::address& address) {
  if (!address.is_v6() || address.is_loopback()) return address;
  auto bytes = address.to_v6().to_bytes();
  if (address.to_v6().is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return asio::ip::address_v6(bytes);
}

}  // namespace

double AddressRate::filled(const Bucket& bucket, Moment now) const noexcept {
  const double seconds = std::chrono::duration<double>(now - bucket.updated).count();
  return std::min(burst(), bucket.tokens + seconds * per_second_);
}

bool AddressRate::admit(const asio::ip::address& address, Moment now) {
  const asio::ip::address network = network_of(address);
  if (network.is_loopback() && !limit_loopback_) return true;
  auto found = buckets_.find(network);
  if (found == buckets_.end()) {
    if (buckets_.size() >= kMaxAddresses) {
      std::erase_if(buckets_,
                    [&](const auto& entry) { return entry.second.open == 0 && filled(entry.second, now) >= burst(); });
      if (buckets_.size() >= kMaxAddresses) return false;
    }
    found = buckets_.emplace(network, Bucket{.tokens = burst(), .updated = now}).first;
  }
  Bucket& bucket = found->second;
  bucket.tokens = filled(bucket, now);
  bucket.updated = now;
  if (bucket.tokens < 1 || bucket.open >= most_open_) return false;
  bucket.tokens -= 1;
  if (most_open_ != kNoBound) ++bucket.open;
  return true;
}

void AddressRate::release(const asio::ip::address& address) {
  const auto found = buckets_.find(network_of(address));
  if (found != buckets_.end() && found->second.open > 0) --found->second.open;
}

}  // namespace chorus::coordinator
