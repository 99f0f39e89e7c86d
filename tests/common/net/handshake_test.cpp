// Who is let in, and what both ends are told. Every refusal is real TLS over loopback.
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "common/wire/frame.hpp"
#include "tests/common/net/loopback.hpp"
#include "tests/common/net/raw_peer.hpp"
#include "tests/common/net/test_authority.hpp"

namespace chorus::net {
namespace {

using protocol::Message;

// The client's half: shakes hands, then waits for a first message, as TLS 1.3 tells a client only then what the server
// thinks of its certificate.
struct ClientView {
  Result<PeerIdentity> handshake;
  std::optional<Result<Message>> first;

  // Where the client learned of a refusal.
  [[nodiscard]] const Error& refusal() const { return handshake ? first->error() : handshake.error(); }
};

asio::awaitable<ClientView> dial(TlsChannel* channel) {
  // GCC 12 copies an aggregate's members bit by bit where its initializer suspends.
  auto greeted = co_await channel->handshake(kLong);
  ClientView view{std::move(greeted), std::nullopt};
  if (view.handshake) view.first.emplace(co_await channel->receive(kAllTypes, kLong, kLong));
  channel->close();
  co_return view;
}

asio::awaitable<Result<PeerIdentity>> welcome(TlsChannel* channel) {
  auto result = co_await channel->handshake(kLong);
  if (result) {
    const Status sent = co_await channel->send(wire::encode(protocol::Finished{}), kLong);
    EXPECT_TRUE(sent.has_value());
  }
  channel->close();
  co_return result;
}

struct Both {
  Result<PeerIdentity> server;
  ClientView client;
};

Both meet(const TlsContext& server, const TlsContext& client, const std::string& host = "localhost",
          bool ipv6 = false) {
  Loopback loopback(ipv6);
  TlsChannel client_end(loopback.dial(), client, host);
  TlsChannel server_end(loopback.accept(), server);
  auto served = loopback.start(welcome(&server_end));
  auto dialled = loopback.start(dial(&client_end));
  loopback.run();
  return {std::move(**served), std::move(**dialled)};
}

// What the server makes of a peer that is not ours.
struct RawMeeting {
  Result<PeerIdentity> server;
  RawOutcome peer;
};
RawMeeting meet_raw_client(const TlsContext& server, RawSettings settings) {
  Loopback loopback;
  const auto peer = RawPeer::client(loopback.port(), std::move(settings));
  TlsChannel end(loopback.accept(), server);
  Result<PeerIdentity> served = loopback.finish(welcome(&end));
  return {std::move(served), peer->outcome()};
}

Result<PeerIdentity> meet_raw_server(const TlsContext& client, RawSettings settings) {
  const auto peer = RawPeer::server(std::move(settings));
  Loopback loopback;
  TlsChannel end(loopback.dial(peer->port()), client, "localhost");
  return loopback.finish(greet(&end));
}

class Handshake : public testing::Test {
 protected:
  TestAuthority authority_;
  Credentials coordinator_ = authority_.coordinator();
  Credentials device_ = authority_.device();
};

TEST_F(Handshake, NamesBothEnds) {
  const Both both = meet(server_context(coordinator_), client_context(device_));
  ASSERT_TRUE(both.server.has_value()) << both.server.error().to_string();
  EXPECT_EQ(both.server->device, authority_.last_device());
  EXPECT_EQ(both.server->key, device_.certificate.info().key);
  EXPECT_EQ(both.server->expires_at, year(2100));
  EXPECT_EQ(both.server->subject, "");
  ASSERT_TRUE(both.client.handshake.has_value()) << both.client.handshake.error().to_string();
  EXPECT_EQ(both.client.handshake->device, std::nullopt);
  EXPECT_EQ(both.client.handshake->key, coordinator_.certificate.info().key);
  EXPECT_NE(both.client.handshake->subject.find("localhost"), std::string::npos);
  ASSERT_TRUE(both.client.first->has_value());
  EXPECT_EQ(both.client.first->value(), Message(protocol::Finished{}));
}

TEST_F(Handshake, TakesAddressesForHosts) {
  EXPECT_EQ(meet(server_context(coordinator_), client_context(device_), "127.0.0.1").client.handshake.has_value(),
            true);
}

TEST_F(Handshake, WorksOverIpv6) {
  if (::access("/proc/net/if_inet6", R_OK) != 0) GTEST_SKIP() << "this machine has no IPv6";
  const Both both = meet(server_context(coordinator_), client_context(device_), "::1", true);
  EXPECT_TRUE(both.client.handshake.has_value());
  EXPECT_TRUE(both.server.has_value());
}

TEST_F(Handshake, ADeviceWithoutACertificateIsRefused) {
  const RawMeeting met = meet_raw_client(server_context(coordinator_), {});
  EXPECT_EQ(code_of(met.server), ErrorCode::bad_certificate);
  EXPECT_EQ(met.peer.reason, SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED);
}

TEST_F(Handshake, AnExpiredDeviceIsRefusedAndTold) {
  const Both both = meet(server_context(coordinator_), client_context(authority_.device(kExpired)));
  EXPECT_EQ(code_of(both.server), ErrorCode::expired);
  EXPECT_EQ(both.client.refusal().code(), ErrorCode::expired);
  EXPECT_NE(both.client.refusal().sentence().find("the coordinator refused our certificate"), std::string::npos);
}

TEST_F(Handshake, ADeviceThatIsNotYetValidIsRefusedAndTold) {
  const Both both = meet(server_context(coordinator_), client_context(authority_.device(kNotYetValid)));
  EXPECT_EQ(code_of(both.server), ErrorCode::not_yet_valid);
  // TLS has one alert for this and for damaged certificates.
  EXPECT_EQ(both.client.refusal().code(), ErrorCode::bad_certificate);
}

TEST_F(Handshake, ARevokedDeviceIsRefusedAndTold) {
  const TlsContext client = client_context(device_);
  authority_.revoke(device_.certificate);
  const Both both = meet(server_context(authority_.coordinator()), client);
  EXPECT_EQ(code_of(both.server), ErrorCode::revoked);
  EXPECT_EQ(both.client.refusal().code(), ErrorCode::revoked);
}

TEST_F(Handshake, ADeviceOfAnotherAuthorityIsRefused) {
  TestAuthority other(2);
  const RawMeeting met = meet_raw_client(server_context(coordinator_), {.own = other.device().pem});
  EXPECT_EQ(code_of(met.server), ErrorCode::bad_certificate);
  EXPECT_EQ(met.peer.reason, SSL_R_TLSV1_ALERT_UNKNOWN_CA);
}

TEST_F(Handshake, ACoordinatorOfAnotherAuthorityIsRefusedAndTold) {
  TestAuthority other(2);
  const Both both = meet(server_context(other.coordinator()), client_context(device_));
  EXPECT_EQ(both.client.refusal().code(), ErrorCode::bad_certificate);
  EXPECT_FALSE(both.client.handshake.has_value());
  EXPECT_EQ(code_of(both.server), ErrorCode::bad_certificate);
}

TEST_F(Handshake, ACoordinatorOfAnotherHostIsRefused) {
  const Credentials elsewhere = authority_.coordinator(kValid, {"elsewhere.example", "127.0.0.2"});
  for (const std::string host : {"localhost", "127.0.0.1", "::1"}) {
    const Both both = meet(server_context(elsewhere), client_context(device_), host);
    EXPECT_EQ(both.client.refusal().code(), ErrorCode::wrong_host) << host;
    EXPECT_EQ(code_of(both.server), ErrorCode::bad_certificate) << host;
  }
}

TEST_F(Handshake, AHostThatIsNoneIsRefusedBeforeAnythingIsSent) {
  Loopback loopback;
  const TlsContext context = client_context(device_);
  TlsChannel end(loopback.dial(), context, "no host");
  EXPECT_EQ(code_of(loopback.finish(greet(&end))), ErrorCode::invalid_argument);
}

TEST_F(Handshake, AnExpiredCoordinatorIsRefusedAndTold) {
  const Both both = meet(server_context(authority_.coordinator(kExpired)), client_context(device_));
  EXPECT_EQ(both.client.refusal().code(), ErrorCode::expired);
  EXPECT_EQ(code_of(both.server), ErrorCode::expired);
}

TEST_F(Handshake, ACoordinatorThatIsNotYetValidIsRefused) {
  const Both both = meet(server_context(authority_.coordinator(kNotYetValid)), client_context(device_));
  EXPECT_EQ(both.client.refusal().code(), ErrorCode::not_yet_valid);
}

TEST_F(Handshake, ARevokedCoordinatorIsRefusedAndTold) {
  const TlsContext server = server_context(coordinator_);
  authority_.revoke(coordinator_.certificate);
  const Both both = meet(server, client_context(authority_.device()));
  EXPECT_EQ(both.client.refusal().code(), ErrorCode::revoked);
  EXPECT_EQ(code_of(both.server), ErrorCode::revoked);
}

TEST_F(Handshake, NobodyIsAcceptedUnderAListThatIsOutOfDate) {
  Credentials device = device_;
  device.pem.crl = authority_.list(kExpired).pem();
  const auto client = TlsContext::client(device.pem, year(2000) + std::chrono::days(10));
  ASSERT_TRUE(client.has_value()) << client.error().to_string();
  const Both both = meet(server_context(coordinator_), *client);
  EXPECT_EQ(both.client.refusal().code(), ErrorCode::expired);
  EXPECT_NE(both.client.refusal().sentence().find("revocation list"), std::string::npos);
}

TEST_F(Handshake, ACertificateForTheOtherRoleIsRefused) {
  const Credentials second = authority_.coordinator();
  const RawMeeting met = meet_raw_client(server_context(coordinator_), {.own = second.pem});
  EXPECT_EQ(code_of(met.server), ErrorCode::bad_certificate);

  const Credentials posing = authority_.device();
  EXPECT_EQ(code_of(meet_raw_server(client_context(device_), {.own = posing.pem})), ErrorCode::bad_certificate);
}

TEST_F(Handshake, Tls12IsRefusedByBothEnds) {
  const RawMeeting met = meet_raw_client(server_context(coordinator_), {.own = device_.pem, .version = TLS1_2_VERSION});
  EXPECT_EQ(code_of(met.server), ErrorCode::unsupported_version);
  EXPECT_EQ(met.peer.reason, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
  EXPECT_EQ(code_of(meet_raw_server(client_context(device_), {.own = coordinator_.pem, .version = TLS1_2_VERSION})),
            ErrorCode::unsupported_version);
}

TEST_F(Handshake, AnotherProtocolOrNoneIsRefusedByBothEnds) {
  for (const std::string alpn : {"h2", "chorus/2", ""}) {
    const RawMeeting met = meet_raw_client(server_context(coordinator_), {.own = device_.pem, .alpn = alpn});
    EXPECT_EQ(code_of(met.server), ErrorCode::tls) << alpn;
    EXPECT_NE(met.server.error().sentence().find("chorus/1"), std::string::npos) << met.server.error().to_string();
    EXPECT_EQ(met.peer.reason, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL) << alpn;
  }
  EXPECT_EQ(code_of(meet_raw_server(client_context(device_), {.own = coordinator_.pem, .alpn = ""})), ErrorCode::tls);
  EXPECT_EQ(code_of(meet_raw_server(client_context(device_), {.own = coordinator_.pem, .alpn = "h2"})), ErrorCode::tls);
}

TEST_F(Handshake, PeersThatDoNotSpeakTlsAreRefused) {
  const TlsContext server = server_context(coordinator_);
  for (const std::string text : {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x16\x03\x01\xff\xff garbage"}) {
    Loopback loopback;
    const auto peer = RawPeer::tcp(loopback.port(), [text](int socket) {
      ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
      char byte;
      while (::recv(socket, &byte, 1, 0) > 0) {
      }
    });
    TlsChannel end(loopback.accept(), server);
    EXPECT_EQ(code_of(loopback.finish(greet(&end))), ErrorCode::tls) << text;
  }
}

TEST_F(Handshake, APeerThatConnectsAndSaysNothingRunsIntoTheDeadline) {
  Loopback loopback;
  const asio::ip::tcp::socket silent = loopback.dial();
  const TlsContext server = server_context(coordinator_);
  TlsChannel end(loopback.accept(), server);
  const auto result = loopback.finish(greet(&end, kShort));
  EXPECT_EQ(code_of(result), ErrorCode::timeout);
  EXPECT_EQ(result.error().where(), end.peer_address());
}

TEST_F(Handshake, APeerThatHangsUpIsClosed) {
  Loopback loopback;
  loopback.dial().close();
  const TlsContext server = server_context(coordinator_);
  TlsChannel end(loopback.accept(), server);
  EXPECT_EQ(code_of(loopback.finish(greet(&end))), ErrorCode::closed);
}

TEST_F(Handshake, NoSessionCanBeResumed) {
  Loopback loopback;
  bool resumable = true;
  const auto peer = RawPeer::client(loopback.port(), {.own = device_.pem}, [&resumable](SSL* ssl) {
    // Tickets would come before the first message.
    const Bytes frame = read_some(ssl, wire::kFrameHeader + 1);
    EXPECT_EQ(frame.size(), wire::kFrameHeader + 1);
    resumable = SSL_SESSION_is_resumable(SSL_get0_session(ssl)) == 1;
  });
  const TlsContext server = server_context(coordinator_);
  TlsChannel end(loopback.accept(), server);
  EXPECT_TRUE(loopback.finish(welcome(&end)).has_value());
  EXPECT_TRUE(peer->outcome().established);
  EXPECT_FALSE(resumable);
}

}  // namespace
}  // namespace chorus::net
