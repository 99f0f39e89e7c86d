#include "tests/bench/connecting_devices.hpp"

#include <chrono>
#include <iostream>
#include <memory>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <fmt/format.h>

#include "common/net/tls_channel.hpp"
#include "common/protocol/phases.hpp"
#include "simulations/fleet/members.hpp"

namespace chorus::bench {
namespace {

using Channel = std::unique_ptr<net::TlsChannel>;

constexpr std::chrono::nanoseconds kTimeout = std::chrono::seconds(60);
// Failures that are told one by one.
constexpr std::size_t kTold = 5;

enum class Server { coordinator, acceptor };

class Devices {
 public:
  explicit Devices(const ConnectingOptions& options) : options_(options) {}

  Status prepare() {
    CHORUS_TRY(const auto fleet, sim::read_fleet(options_.fleet));
    if (options_.last > fleet.size()) return fail(ErrorCode::invalid_argument, "the fleet has fewer devices");
    const WallTime now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    contexts_.reserve(options_.last - options_.first);
    for (std::size_t i = options_.first; i < options_.last; ++i) {
      CHORUS_TRY(const auto credentials, net::read_credentials(fleet[i].folder, "device"));
      CHORUS_TRY(auto context, net::TlsContext::client(credentials, now));
      contexts_.push_back(std::move(context));
    }
    return {};
  }

  // How many of the next `count` devices got their answer.
  std::size_t connect(Server server, std::size_t count) {
    std::size_t& next = server == Server::coordinator ? to_coordinator_ : to_acceptor_;
    next_ = next;
    end_ = std::min(next + count, contexts_.size());
    next = end_;
    answered_ = 0;
    for (std::size_t lane = 0; lane < options_.at_once; ++lane) {
      asio::co_spawn(io_, run_lane(this, server), asio::detached);
    }
    io_.restart();
    io_.run();
    return answered_;
  }

 private:
  // One device after the other.
  static asio::awaitable<void> run_lane(Devices* self, Server server) {
    while (self->next_ < self->end_) {
      const std::size_t device = self->next_++;
      Result<Channel> channel = co_await open(self, device, server);
      if (!channel) {
        if (self->failures_++ < kTold) fmt::print(stderr, "device {}: {}\n", device, channel.error().to_string());
        continue;
      }
      ++self->answered_;
      self->held_.push_back(std::move(*channel));
    }
  }

  static asio::awaitable<Result<Channel>> open(Devices* self, std::size_t device, Server server) {
    const bool coordinator = server == Server::coordinator;
    std::string host = "127.0.0.1";
    const std::uint16_t port = coordinator ? self->options_.coordinator : self->options_.acceptor;
    auto socket = co_await net::connect(host, port, kTimeout);
    if (!socket) co_return fail(socket.error());
    auto channel = std::make_unique<net::TlsChannel>(std::move(*socket), self->contexts_[device], host);
    const auto peer = co_await channel->handshake(kTimeout);
    if (!peer) co_return fail(peer.error());
    auto expected = protocol::MessageType::finished;
    if (coordinator) {
      protocol::Hello hello;
      hello.job = self->options_.job;
      wire::Frame frame = wire::encode(hello);
      const Status sent = co_await channel->send(std::move(frame), kTimeout);
      if (!sent) co_return fail(sent.error());
      expected = protocol::MessageType::welcome;
    }
    const auto answer = co_await channel->receive(protocol::message_bit(expected), kTimeout, kTimeout);
    if (!answer) co_return fail(answer.error());
    co_return std::move(channel);
  }

  const ConnectingOptions& options_;
  std::vector<net::TlsContext> contexts_;
  asio::io_context io_{1};
  std::vector<Channel> held_;
  // Devices from here on have not connected there.
  std::size_t to_coordinator_ = 0;
  std::size_t to_acceptor_ = 0;
  // Of connect():
  std::size_t next_ = 0;
  std::size_t end_ = 0;
  std::size_t answered_ = 0;
  std::size_t failures_ = 0;
};

}  // namespace

Status run_connecting_devices(const ConnectingOptions& options) {
  Devices devices(options);
  CHORUS_TRY_DO(devices.prepare());
  std::cout << "ready" << std::endl;
  std::string server;
  std::size_t count = 0;
  while (std::cin >> server >> count) {
    const std::size_t done = devices.connect(server == "coordinator" ? Server::coordinator : Server::acceptor, count);
    std::cout << "done " << done << std::endl;
  }
  return {};
}

}  // namespace chorus::bench
