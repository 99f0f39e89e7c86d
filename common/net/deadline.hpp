// The deadline of one direction of a connection. Its timer exists while a deadline runs, so that an idle connection
// holds none. For the .cpp files of net alone; on the connection's strand.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "common/base/check.hpp"

namespace chorus::net {

class Watch {
 public:
  // One operation at a time in this direction; its deadline ends with it.
  class Use {
   public:
    explicit Use(Watch& watch) : watch_(watch) {
      CHORUS_ENSURE(!watch.busy_, "one operation at a time in each direction");
      watch.busy_ = true;
    }
    ~Use() {
      watch_.disarm();
      watch_.busy_ = false;
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Watch& watch_;
  };

  // After `timeout`, all waits on the socket are cancelled and expired() holds. Replaces an earlier deadline.
  // REQUIRES: `owner` keeps this watch and the socket alive.
  void arm(const std::shared_ptr<void>& owner, asio::ip::tcp::socket& socket, std::chrono::nanoseconds timeout) {
    disarm();
    const std::uint64_t arming = arming_;
    timer_ = std::make_unique<asio::steady_timer>(socket.get_executor(), timeout);
    // The owner may be gone, or this deadline over, by the time that the handler runs.
    timer_->async_wait([this, &socket, arming, alive = std::weak_ptr<void>(owner)](const asio::error_code& error) {
      const std::shared_ptr<void> hold = alive.lock();
      if (error || hold == nullptr || arming_ != arming) return;
      expired_ = true;
      asio::error_code ignored;
      socket.cancel(ignored);
    });
  }
  void disarm() noexcept {
    ++arming_;
    expired_ = false;
    timer_.reset();
  }

  [[nodiscard]] bool busy() const noexcept { return busy_; }
  [[nodiscard]] bool armed() const noexcept { return timer_ != nullptr; }
  [[nodiscard]] bool expired() const noexcept { return expired_; }

 private:
  std::unique_ptr<asio::steady_timer> timer_;
  std::uint64_t arming_ = 0;
  bool busy_ = false;
  bool expired_ = false;
};

}  // namespace chorus::net
