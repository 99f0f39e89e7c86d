// Peers that would keep the others out: what each of them can hold, and that a device gets through beside them.
#include <list>

#include <asio/connect.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <poll.h>

#include "common/wire/frame.hpp"
#include "tests/common/net/raw_peer.hpp"
#include "tests/coordinator/io/running_coordinator.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;
using asio::ip::tcp;

class HostilePeers : public ::testing::Test {
 protected:
  HostilePeers() { all_.limits.handshake_timeout = 10min; }

  [[nodiscard]] Result<std::unique_ptr<Peer>> greet(const net::TlsCredentials& credentials,
                                                    const std::string& host = "127.0.0.1", std::uint16_t port = 0) {
    CHORUS_TRY(auto peer, Peer::connect(credentials, port != 0 ? port : coordinator_.port(), host));
    CHORUS_TRY_DO(peer->send(protocol::Hello{}));
    CHORUS_TRY(const auto answer, peer->receive());
    EXPECT_TRUE(std::holds_alternative<protocol::Welcome>(answer));
    return peer;
  }
  // TCP connections that say nothing, until the coordinator closes them.
  void open_silent(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      silent_.emplace_back(io_).connect({asio::ip::make_address("127.0.0.1"), coordinator_.port()});
    }
  }
  // Waits until so many of them are closed.
  void expect_closed(std::size_t count) {
    std::size_t closed = 0;
    char byte = 0;
    for (tcp::socket& socket : silent_) {
      socket.async_read_some(asio::buffer(&byte, 1), [&](const std::error_code&, std::size_t) {
        if (++closed == count) io_.stop();
      });
    }
    io_.restart();
    io_.run_for(kLong);
    EXPECT_EQ(closed, count);
  }

  RunningCoordinator::Options all_;
  RunningCoordinator coordinator_;
  asio::io_context io_;
  std::list<tcp::socket> silent_;
};

TEST_F(HostilePeers, ThousandsOfHalfOpenConnectionsOfOneAddressLeaveRoomForOthers) {
  all_.listen = {{"127.0.0.1", 0}, {"::1", 0}};
  all_.limits.limit_loopback = true;
  all_.limits.handshakes_per_address = 100'000;
  all_.limits.connections_per_address = 50;
  coordinator_.start(all_);
  const auto own = coordinator_.enrol();
  open_silent(3'000);
  expect_closed(2'950);
  const std::string other = coordinator_.daemon().endpoints().at(1);
  const auto port = static_cast<std::uint16_t>(std::stoi(other.substr(other.rfind(':') + 1)));
  EXPECT_TRUE(greet(own, "::1", port).has_value());
  EXPECT_FALSE(greet(own).has_value());  // the address that has as many as it may
}

TEST_F(HostilePeers, AnAddressOpensSoManyConnectionsASecond) {
  all_.limits.limit_loopback = true;
  all_.limits.handshakes_per_address = 1;
  coordinator_.start(all_);
  open_silent(200);
  expect_closed(190);  // four at once, and one more each second
}

TEST_F(HostilePeers, HandshakesThatNeverEndDoNotKeepOthersOut) {
  all_.limits.handshakes = 8;
  coordinator_.start(all_);
  const auto own = coordinator_.enrol();
  open_silent(16);
  // Four may take their ten minutes; the others make room.
  EXPECT_TRUE(greet(own).has_value());
}

TEST_F(HostilePeers, AByteAtATimeIsNotAMessage) {
  all_.limits.frame_timeout = 300ms;
  coordinator_.start(all_);
  net::RawSettings settings;
  settings.own = coordinator_.enrol();
  std::size_t sent = 0;
  const Bytes hello = *wire::encode(protocol::Hello{.job = std::string(64, 'a')});
  const auto slow = net::RawPeer::client(coordinator_.port(), settings, [&](SSL* ssl) {
    for (const std::uint8_t byte : hello) {
      pollfd answer{.fd = SSL_get_fd(ssl), .events = POLLIN, .revents = 0};
      // Until the coordinator has something to say.
      if (::poll(&answer, 1, 20) != 0) return;
      net::write_all(ssl, {&byte, 1});
      ++sent;
    }
  });
  static_cast<void>(slow->outcome());
  EXPECT_GT(sent, 0U);
  EXPECT_LT(sent, hello.size());
}

TEST_F(HostilePeers, ADeviceThatSaysNothingAfterItsGreetingIsLetGo) {
  all_.limits.idle_timeout = 200ms;
  coordinator_.start(all_);
  auto idle = greet(coordinator_.enrol()).value();
  const auto said = idle->last_words();
  ASSERT_TRUE(said.has_value());
  EXPECT_EQ(said->code, ErrorCode::timeout);
}

TEST_F(HostilePeers, ADeviceThatAskedToBeInvitedMayWaitInSilence) {
  all_.limits.idle_timeout = 200ms;
  coordinator_.start(all_);
  auto patient = greet(coordinator_.enrol()).value();
  ASSERT_TRUE(patient->send(protocol::Ready{}).has_value());
  ASSERT_TRUE(patient->receive().has_value());  // Waiting
  auto idle = greet(coordinator_.enrol()).value();
  EXPECT_TRUE(idle->last_words().has_value());  // its time is over, and so is the patient one's, if it has one
  // It is there: another that is ready changes what it is told.
  auto other = greet(coordinator_.enrol()).value();
  ASSERT_TRUE(other->send(protocol::Ready{}).has_value());
  const auto told = patient->receive();
  ASSERT_TRUE(told.has_value()) << told.error().to_string();
  EXPECT_TRUE(std::holds_alternative<protocol::Waiting>(*told));
}

TEST_F(HostilePeers, ADeviceThatDoesNotReadIsLetGo) {
  all_.items = 200'000;  // a model of 3 MB: more than sockets hold
  all_.limits.write_timeout = 300ms;
  all_.limits.connections = 1;
  coordinator_.start(all_);
  auto deaf = greet(coordinator_.enrol()).value();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(deaf->send(protocol::Fetch{.kind = protocol::BlobKind::model}).has_value());
  }
  const auto own = coordinator_.enrol();
  // Its place is free when the coordinator has given it up.
  const auto until = std::chrono::steady_clock::now() + kLong;
  bool free = false;
  while (!free && std::chrono::steady_clock::now() < until) free = greet(own).has_value();
  EXPECT_TRUE(free);
}

TEST_F(HostilePeers, WhoIsNotNeededIsToldWhenToComeBack) {
  all_.federation.pace.most_waiting = 1;
  coordinator_.start(all_);
  auto first = greet(coordinator_.enrol()).value();
  ASSERT_TRUE(first->send(protocol::Ready{}).has_value());
  ASSERT_TRUE(first->receive().has_value());
  auto second = greet(coordinator_.enrol()).value();
  ASSERT_TRUE(second->send(protocol::Ready{}).has_value());
  const auto said = second->last_words();
  ASSERT_TRUE(said.has_value());
  EXPECT_EQ(said->code, ErrorCode::overloaded);
  EXPECT_GE(said->retry_after, 30s);
}

}  // namespace
}  // namespace chorus::coordinator
