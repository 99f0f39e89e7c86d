// Two ends of one connection over loopback, in one io_context.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include "common/net/tls_channel.hpp"

namespace chorus::net {

// Far beyond what anything here needs: a test that waits for it has failed.
inline constexpr std::chrono::nanoseconds kLong = 20s;
// A deadline that is meant to pass.
inline constexpr std::chrono::nanoseconds kShort = 30ms;
inline constexpr std::uint32_t kAllTypes = 0xffffffff;

// The result of a coroutine that was started in a Loopback.
template <typename T>
struct Pending {
  std::optional<T> value;
  [[nodiscard]] bool done() const { return value.has_value(); }
  T& operator*() { return value.value(); }
  T* operator->() { return &value.value(); }
};

class Loopback {
 public:
  explicit Loopback(bool ipv6 = false)
      : acceptor_(io_, {ipv6 ? asio::ip::address(asio::ip::address_v6::loopback())
                             : asio::ip::address(asio::ip::address_v4::loopback()),
                        0}) {}

  [[nodiscard]] asio::io_context& io() { return io_; }
  [[nodiscard]] std::uint16_t port() { return acceptor_.local_endpoint().port(); }
  [[nodiscard]] asio::ip::tcp::socket accept() { return acceptor_.accept(); }
  [[nodiscard]] asio::ip::tcp::socket dial() { return dial(port()); }
  [[nodiscard]] asio::ip::tcp::socket dial(std::uint16_t port) {
    asio::ip::tcp::socket socket(io_);
    socket.connect({acceptor_.local_endpoint().address(), port});
    return socket;
  }

  // A coroutine without a value, because co_spawn wants values that can be made from nothing.
  template <typename T>
  static asio::awaitable<void> keep(asio::awaitable<T> coroutine, std::shared_ptr<Pending<T>> pending) {
    pending->value.emplace(co_await std::move(coroutine));
  }
  // Starts a coroutine; run() drives all of them to their ends.
  template <typename T>
  [[nodiscard]] std::shared_ptr<Pending<T>> start(asio::awaitable<T> coroutine) {
    auto pending = std::make_shared<Pending<T>>();
    asio::co_spawn(io_, keep(std::move(coroutine), pending), [](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    });
    return pending;
  }
  void run() {
    io_.restart();
    io_.run();
  }
  template <typename T>
  [[nodiscard]] T finish(asio::awaitable<T> coroutine) {
    auto pending = start(std::move(coroutine));
    run();
    return std::move(**pending);
  }

 private:
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_;
};

// A handshake that closes the channel if it fails, as every user does: the peer then hears of it.
inline asio::awaitable<Result<PeerIdentity>> greet(TlsChannel* channel, std::chrono::nanoseconds timeout = kLong) {
  auto result = co_await channel->handshake(timeout);
  if (!result) channel->close();
  co_return result;
}

// The code, or nothing if all went well.
template <typename T>
std::optional<ErrorCode> code_of(const Result<T>& result) {
  if (result) return std::nullopt;
  return result.error().code();
}

}  // namespace chorus::net
