#include "coordinator/io/daemon.hpp"

#include <fstream>

#include "certs/io/clock.hpp"
#include "common/log/log.hpp"
#include "tests/common/net/raw_peer.hpp"
#include "tests/coordinator/io/running_coordinator.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

class DaemonTest : public ::testing::Test {
 protected:
  static RunningCoordinator::Options options() {
    RunningCoordinator::Options all;
    all.federation.gather = 1ms;
    all.federation.devices = 4;
    all.federation.exit_when_finished = true;
    return all;
  }

  // Four devices from start to finish.
  std::vector<Life> run_devices() {
    std::vector<net::TlsCredentials> credentials;
    for (int i = 0; i < 4; ++i) credentials.push_back(coordinator_.enrol());
    std::vector<Life> lives(4);
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] { lives[i] = live(credentials[i], coordinator_.port(), i); });
    }
    for (auto& thread : threads) thread.join();
    return lives;
  }

  static void expect_complete(const std::vector<Life>& lives, std::uint32_t results, std::uint64_t version) {
    for (const auto& life : lives) {
      EXPECT_FALSE(life.error.has_value()) << life.error->to_string();
      EXPECT_TRUE(life.finished);
      EXPECT_EQ(life.results, results);
      EXPECT_EQ(life.version, ModelVersion(version));
    }
  }

  RunningCoordinator coordinator_;
};

TEST_F(DaemonTest, AJobRunsOverTlsToItsEnd) {
  coordinator_.start(options());
  EXPECT_EQ(contents(coordinator_.folder() / "state" / "endpoint"),
            "127.0.0.1:" + std::to_string(coordinator_.port()) + "\n");
  expect_complete(run_devices(), 4, 3);  // a survey, two trainings, a measuring round
  EXPECT_TRUE(coordinator_.wait().has_value());
  EXPECT_FALSE(std::filesystem::exists(coordinator_.folder() / "state" / "endpoint"));
}

TEST_F(DaemonTest, AModelOfManyPiecesReachesEverybody) {
  auto all = options();
  all.rounds = 1;
  all.items = 40'000;  // 640 KB of factors
  coordinator_.start(all);
  expect_complete(run_devices(), 3, 2);
  EXPECT_TRUE(coordinator_.wait().has_value());
}

TEST_F(DaemonTest, ListensOnSeveralAddressesOfBothFamilies) {
  auto all = options();
  all.listen = {{"127.0.0.1", 0}, {"::1", 0}};
  coordinator_.start(all);
  ASSERT_EQ(coordinator_.daemon().endpoints().size(), 2U);
  const std::string second = coordinator_.daemon().endpoints()[1];
  ASSERT_EQ(second.substr(0, 6), "[::1]:");
  const auto port = static_cast<std::uint16_t>(std::stoi(second.substr(6)));
  auto peer = Peer::connect(coordinator_.enrol(), port, "::1");
  ASSERT_TRUE(peer.has_value()) << peer.error().to_string();
  ASSERT_TRUE((*peer)->send(protocol::Hello{}).has_value());
  EXPECT_TRUE(std::holds_alternative<protocol::Welcome>((*peer)->receive().value()));
}

TEST_F(DaemonTest, AnAddressInUseIsNamed) {
  coordinator_.start(options());
  RunningCoordinator other;
  auto store = open_sqlite_store(other.folder() / "state").value();
  sim::SeededRandom random(3);
  CoordinatorSettings settings;
  settings.listen = {{"127.0.0.1", coordinator_.port()}};
  settings.state = other.folder() / "state";
  const auto credentials = net::read_credentials(other.coordinator_folder(), "coordinator").value();
  DaemonSetup setup{.settings = settings,
                    .jobs = {},
                    .tls = net::TlsContext::server(credentials, certs::wall_clock()).value(),
                    .admission = Enrolment().admission(),
                    .key = make_key(),
                    .store = std::move(store),
                    .random = random,
                    .floors = kTestFloors,
                    .reload = {}};
  setup.jobs.push_back(prepared(make_settings(), make_job(1), make_items(20)));
  const auto refused = Daemon::create(std::move(setup));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::address_in_use);
  EXPECT_EQ(refused.error().where(), coordinator_.daemon().endpoints().front());
}

// Every hostile peer is refused with its reason in the log while a job runs from start to finish beside it.
TEST_F(DaemonTest, HostilePeersAreRefusedAndTheOthersGoOn) {
  auto all = options();
  all.limits.handshake_timeout = 200ms;
  all.limits.hello_timeout = 200ms;
  all.limits.frame_timeout = 200ms;
  RunningCoordinator stranger(8);  // another authority
  const auto foreign = stranger.enrol();
  const auto own = coordinator_.enrol();

  ::testing::internal::CaptureStderr();
  coordinator_.start(all);
  const std::uint16_t port = coordinator_.port();
  const auto greeted = [&] {
    auto peer = Peer::connect(own, port).value();
    EXPECT_TRUE(peer->send(protocol::Hello{}).has_value());
    EXPECT_TRUE(std::holds_alternative<protocol::Welcome>(peer->receive().value()));
    return peer;
  };

  send_plain(port, "GET / HTTP/1.1\r\nHost: coordinator\r\n\r\n");
  send_plain(port, "");  // says nothing: the handshake's deadline ends it
  {                      // shakes hands and says nothing more
    auto silent = Peer::connect(own, port).value();
    EXPECT_EQ(silent->last_words()->code, ErrorCode::timeout);
  }
  // A certificate of another authority, of a peer that does not care what the coordinator's is.
  net::RawSettings careless;
  careless.own = foreign;
  static_cast<void>(net::RawPeer::client(port, careless)->outcome());
  {  // begins a frame and stops
    auto peer = greeted();
    EXPECT_TRUE(peer->send_raw({9, 0, 0, 0}).has_value());
    EXPECT_EQ(peer->last_words()->code, ErrorCode::timeout);
  }
  {  // a frame of four gigabytes
    auto peer = greeted();
    EXPECT_TRUE(
        peer->send_raw({0xff, 0xff, 0xff, 0xff, static_cast<std::uint8_t>(protocol::MessageType::update)}).has_value());
    EXPECT_EQ(peer->last_words()->code, ErrorCode::too_large);
  }
  {  // no such type
    auto peer = greeted();
    EXPECT_TRUE(peer->send_raw({1, 0, 0, 0, 200}).has_value());
    EXPECT_EQ(peer->last_words()->code, ErrorCode::malformed);
  }
  {  // something before the greeting
    auto peer = Peer::connect(own, port).value();
    EXPECT_TRUE(peer->send(protocol::Ready{}).has_value());
    EXPECT_EQ(peer->last_words()->code, ErrorCode::out_of_phase);
  }
  {  // an update without an invitation
    auto peer = greeted();
    EXPECT_TRUE(peer->send(protocol::Update{.session = {}, .offset = 0, .total = 1, .data = {1}}).has_value());
    EXPECT_EQ(peer->last_words()->code, ErrorCode::out_of_phase);
  }
  {  // speaks for the coordinator
    auto peer = greeted();
    EXPECT_TRUE(peer->send(protocol::Finished{}).has_value());
    EXPECT_EQ(peer->last_words()->code, ErrorCode::out_of_phase);
  }
  {  // another version of the protocol
    auto peer = Peer::connect(own, port).value();
    EXPECT_TRUE(peer->send(protocol::Hello{.protocol_version = 99, .job = ""}).has_value());
    EXPECT_EQ(peer->last_words()->code, ErrorCode::unsupported_version);
  }
  {  // another job
    auto peer = Peer::connect(own, port).value();
    EXPECT_TRUE(peer->send(protocol::Hello{.job = "village"}).has_value());
    EXPECT_EQ(peer->last_words()->code, ErrorCode::wrong_job);
  }
  {  // asks for more than it reads
    auto peer = greeted();
    Status asked;
    for (int i = 0; i < 1000 && asked; ++i) asked = peer->send(protocol::Fetch{.kind = protocol::BlobKind::model});
    auto other = greeted();  // the same device again: the coordinator has not lost its mind, and closes the older
  }
  // A peer that stays and does nothing wrong is no obstacle.
  auto idle = greeted();
  expect_complete(run_devices(), 4, 3);
  EXPECT_TRUE(coordinator_.wait().has_value());

  const std::string log = ::testing::internal::GetCapturedStderr();
  for (const std::string_view reason : {"timeout", "too_large", "malformed", "out_of_phase", "unsupported_version",
                                        "wrong_job", "bad_certificate", "tls", "duplicate"}) {
    EXPECT_NE(log.find("reason=" + std::string(reason)), std::string::npos) << reason << "\n" << log;
  }
  EXPECT_NE(log.find("round closed"), std::string::npos);
}

TEST_F(DaemonTest, ConnectionsBeyondTheLimitAreClosedAndRoomIsGivenBack) {
  auto all = options();
  all.limits.connections = 2;
  coordinator_.start(all);
  const auto greet = [&](const net::TlsCredentials& credentials) -> Result<std::unique_ptr<Peer>> {
    CHORUS_TRY(auto peer, Peer::connect(credentials, coordinator_.port()));
    CHORUS_TRY_DO(peer->send(protocol::Hello{}));
    CHORUS_TRY(const auto answer, peer->receive());
    EXPECT_TRUE(std::holds_alternative<protocol::Welcome>(answer));
    return peer;
  };
  const auto first = coordinator_.enrol();
  const auto second = coordinator_.enrol();
  const auto third = coordinator_.enrol();
  auto one = greet(first);
  auto two = greet(second);
  ASSERT_TRUE(one.has_value() && two.has_value());
  EXPECT_FALSE(greet(third).has_value());
  one->reset();
  // The coordinator learns of it in its own time.
  Result<std::unique_ptr<Peer>> again = greet(third);
  for (int i = 0; i < 1000 && !again; ++i) again = greet(third);
  EXPECT_TRUE(again.has_value());
}

TEST_F(DaemonTest, StoppingTellsTheDevicesAndEndsWell) {
  coordinator_.start(options());
  auto peer = Peer::connect(coordinator_.enrol(), coordinator_.port()).value();
  ASSERT_TRUE(peer->send(protocol::Hello{}).has_value());
  ASSERT_TRUE(peer->receive().has_value());
  std::optional<protocol::Refusal> said;
  std::thread listening([&] { said = peer->last_words(); });
  EXPECT_TRUE(coordinator_.stop().has_value());
  listening.join();
  ASSERT_TRUE(said.has_value());
  EXPECT_EQ(said->code, ErrorCode::aborted);
  EXPECT_GT(said->retry_after, 0ms);
}

TEST_F(DaemonTest, AJobGoesOnAfterARestart) {
  auto all = options();
  all.rounds = 3;
  coordinator_.start(all);
  std::vector<net::TlsCredentials> credentials;
  for (int i = 0; i < 4; ++i) credentials.push_back(coordinator_.enrol());
  std::vector<std::thread> threads;
  std::atomic<std::uint32_t> done = 0;
  // Devices that come back until the job is finished.
  std::atomic<std::uint16_t> port = coordinator_.port();
  for (std::uint32_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int attempt = 0; attempt < 10'000; ++attempt) {
        const Life life = live(credentials[i], port, i);
        if (life.finished) {
          ++done;
          return;
        }
      }
    });
  }
  EXPECT_TRUE(coordinator_.stop().has_value());
  coordinator_.start(all);
  port = coordinator_.port();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(done, 4U);
  EXPECT_TRUE(coordinator_.wait().has_value());
}

TEST_F(DaemonTest, AReloadBringsRevocationsAndItemsWithoutARestart) {
  auto all = options();
  all.reload = [&](const auto&) {
    Reloaded reloaded;
    const auto credentials = net::read_credentials(coordinator_.coordinator_folder(), "coordinator").value();
    reloaded.tls = net::TlsContext::server(credentials, certs::wall_clock()).value();
    reloaded.catalogues["town"] = make_items(25);
    return reloaded;
  };
  coordinator_.start(all);
  const auto good = coordinator_.enrol();
  const auto folder = coordinator_.folder() / "lost";
  const auto issued = coordinator_.authority().issue_device(folder, certs::wall_clock()).value();
  const auto lost = net::read_credentials(folder, "device").value();
  auto watching = Peer::connect(good, coordinator_.port()).value();
  ASSERT_TRUE(watching->send(protocol::Hello{}).has_value());
  ASSERT_TRUE(watching->receive().has_value());
  {
    auto peer = Peer::connect(lost, coordinator_.port()).value();
    ASSERT_TRUE(peer->send(protocol::Hello{}).has_value());
    EXPECT_TRUE(peer->receive().has_value());
  }
  const auto revoked = coordinator_.authority().revoke_device(*issued.info.device, certs::wall_clock()).value();
  ASSERT_TRUE(certs::install_list(revoked.list, coordinator_.coordinator_folder()).has_value());
  coordinator_.daemon().reload();
  const auto published = watching->receive().value();
  EXPECT_EQ(protocol::ModelHeader::decode(std::get<protocol::Published>(published).model.document).value().version,
            ModelVersion(1));
  auto peer = Peer::connect(lost, coordinator_.port());
  if (peer) {
    static_cast<void>((*peer)->send(protocol::Hello{}));
    const auto answer = (*peer)->receive();
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code(), ErrorCode::revoked) << answer.error().to_string();
  } else {
    EXPECT_EQ(peer.error().code(), ErrorCode::revoked) << peer.error().to_string();
  }
}

}  // namespace
}  // namespace chorus::coordinator
