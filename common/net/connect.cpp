#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <asio/experimental/as_tuple.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/core.h>

#include "common/net/deadline.hpp"
#include "common/net/tls_channel.hpp"

namespace chorus::net {

namespace {

using asio::ip::tcp;
constexpr auto kAwait = asio::experimental::as_tuple(asio::use_awaitable);

// What a deadline's handler may reach after the coroutine is gone.
struct Lookup {
  explicit Lookup(const asio::any_io_executor& executor) : resolver(executor), timer(executor) {}
  tcp::resolver resolver;
  asio::steady_timer timer;
  bool expired = false;
};

struct Attempt {
  explicit Attempt(const asio::any_io_executor& executor) : socket(executor) {}
  tcp::socket socket;
  Watch watch;
};

// The addresses of a host, in the resolver's order. A literal address asks nobody.
asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(std::string host, std::uint16_t port,
                                                            std::chrono::nanoseconds timeout) {
  asio::error_code not_literal;
  const asio::ip::address literal = asio::ip::make_address(host, not_literal);
  if (!not_literal) co_return std::vector<tcp::endpoint>{{literal, port}};

  const auto lookup = std::make_shared<Lookup>(co_await asio::this_coro::executor);
  lookup->timer.expires_after(timeout);
  lookup->timer.async_wait([alive = std::weak_ptr<Lookup>(lookup)](const asio::error_code& cancelled) {
    const auto hold = alive.lock();
    if (cancelled || hold == nullptr) return;
    hold->expired = true;
    hold->resolver.cancel();
  });
  const auto [error, found] = co_await lookup->resolver.async_resolve(host, std::to_string(port), kAwait);
  lookup->timer.cancel();
  if (lookup->expired) co_return fail(ErrorCode::timeout, "the host's address was not found in time");
  if (error)
    co_return fail(ErrorCode::unreachable, fmt::format("the host's address was not found: {}", error.message()));
  std::vector<tcp::endpoint> endpoints;
  for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  co_return endpoints;
}

// One address. Errors: unreachable, timeout.
asio::awaitable<Result<tcp::socket>> attempt(tcp::endpoint endpoint, std::chrono::nanoseconds timeout) {
  const auto state = std::make_shared<Attempt>(co_await asio::this_coro::executor);
  asio::error_code unopened;
  state->socket.open(endpoint.protocol(), unopened);
  if (unopened) co_return fail(ErrorCode::unreachable, unopened.message());
  const Watch::Use use(state->watch);
  state->watch.arm(state, state->socket, timeout);
  const auto [error] = co_await state->socket.async_connect(endpoint, kAwait);
  if (state->watch.expired()) co_return fail(ErrorCode::timeout, "no answer in time");
  if (error) co_return fail(ErrorCode::unreachable, error.message());
  co_return std::move(state->socket);
}

}  // namespace

asio::awaitable<Result<tcp::socket>> connect(std::string host, std::uint16_t port, std::chrono::nanoseconds timeout) {
  const std::string place =
      fmt::format(fmt::runtime(host.find(':') == std::string::npos ? "{}:{}" : "[{}]:{}"), host, port);
  // Half of the time at most is for the name.
  auto endpoints = co_await resolve(host, port, timeout / 2);
  if (!endpoints) co_return fail(endpoints.error().at(place));
  if (endpoints->empty()) co_return fail(ErrorCode::unreachable, "the host has no address", place);
  const auto share = timeout / (2 * static_cast<std::int64_t>(endpoints->size()));
  Error last(ErrorCode::unreachable, "no address answers", place);
  for (const tcp::endpoint& endpoint : *endpoints) {
    auto socket = co_await attempt(endpoint, share);
    if (socket) co_return std::move(*socket);
    last =
        Error(socket.error().code(),
              fmt::format("no connection to {}: {}", endpoint.address().to_string(), socket.error().sentence()), place);
  }
  co_return fail(std::move(last));
}

}  // namespace chorus::net
