// Agents against the coordinator that devices meet: real TLS on loopback, several devices in one event loop.
#include "client/io/agent.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include "certs/io/clock.hpp"
#include "tests/coordinator/io/running_coordinator.hpp"

namespace chorus::client {
namespace {

using coordinator::test::kTestFloors;
using coordinator::test::RunningCoordinator;

class AgentTest : public ::testing::Test {
 protected:
  struct Device {
    std::filesystem::path file;
    std::unique_ptr<Store> store;
    sim::SeededRandom random{1};
    std::unique_ptr<Agent> agent;
    std::vector<Event> events;
    std::function<void(const Event&)> hook;
    std::optional<Result<AgentSummary>> result;

    template <typename T>
    [[nodiscard]] std::vector<T> seen() const {
      std::vector<T> found;
      for (const Event& event : events) {
        if (const auto* one = std::get_if<T>(&event)) found.push_back(*one);
      }
      return found;
    }
    [[nodiscard]] ErrorCode error() const { return result->error().code(); }
    // Whether another program could go on with its store.
    [[nodiscard]] bool store_is_free() const { return open_store(file).value()->begin_session().has_value(); }
  };

  static RunningCoordinator::Options options() {
    RunningCoordinator::Options all;
    all.federation.gather = 1ms;
    all.federation.devices = 4;
    all.federation.retry_after = 20ms;
    return all;
  }
  AgentOptions to_coordinator(StopCondition stop) const {
    AgentOptions made;
    made.coordinators = {{.host = "127.0.0.1", .port = coordinator_.port()}};
    made.stop = stop;
    made.floors = kTestFloors;
    made.consent = {.without_noise = true, .least_identity_age = {}};
    made.backoff_base = 1ms;
    made.backoff_cap = 8ms;
    return made;
  }

  // A device with some ratings; it runs as soon as the context does.
  Device& add(AgentOptions with, const net::TlsCredentials& credentials) {
    return add(std::move(with), credentials,
               coordinator_.folder() / ("device-" + std::to_string(devices_.size() + 1) + ".db"));
  }
  Device& add(AgentOptions with, const net::TlsCredentials& credentials, const std::filesystem::path& file) {
    Device& device = *devices_.emplace_back(std::make_unique<Device>());
    device.file = file;
    device.store = open_store(file, {.survives_power_loss = false}).value();
    device.random = sim::SeededRandom(devices_.size());
    std::vector<StoredRating> rows;
    for (std::size_t item = devices_.size() % 3; item < 20; item += 2) {
      rows.push_back({.item = SecretText("i" + std::to_string(item)),
                      .value = static_cast<double>(1 + (item + devices_.size()) % 5),
                      .when = 0,
                      .held_out = false});
    }
    EXPECT_TRUE(device.store->put_ratings(rows).has_value());
    device.agent = std::make_unique<Agent>(context_.get_executor(), std::move(with),
                                           make_credentials(credentials, certs::wall_clock()).value(),
                                           *device.store, device.random, [&device](const Event& event) {
                                             device.events.push_back(event);
                                             if (device.hook) device.hook(event);
                                           });
    asio::co_spawn(context_, live(&device), asio::detached);
    return device;
  }
  static asio::awaitable<void> live(Device* device) {
    auto result = co_await device->agent->run();
    device->result.emplace(std::move(result));
  }

  // Until `done()` holds; false if it takes so long that something is wrong.
  bool run_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + coordinator::test::kLong;
    context_.restart();
    while (!done()) {
      if (context_.run_one_until(deadline) == 0) return done();
    }
    return true;
  }
  bool run_to_the_end() {
    return run_until(
        [&] { return std::ranges::all_of(devices_, [](const auto& device) { return device->result.has_value(); }); });
  }

  RunningCoordinator coordinator_;
  asio::io_context context_{1};
  std::vector<std::unique_ptr<Device>> devices_;
};

TEST_F(AgentTest, FourOfThemFinishAJobAndKnowIt) {
  coordinator_.start(options());
  for (int i = 0; i < 4; ++i) add(to_coordinator(StopCondition::finished()), coordinator_.enrol());
  ASSERT_TRUE(run_to_the_end());
  for (const auto& device : devices_) {
    ASSERT_TRUE(device->result->has_value()) << device->result->error().to_string();
    const AgentSummary& summary = device->result->value();
    EXPECT_TRUE(summary.finished);
    EXPECT_FALSE(summary.stopped);
    EXPECT_EQ(summary.connections, 1U);
    EXPECT_EQ(summary.aborted, 0U);
    EXPECT_EQ(summary.rounds, device->seen<event::RoundEnded>().size());
    EXPECT_GE(summary.rounds, 3U);  // two train and one measures
    EXPECT_GT(summary.bytes_up, 0U);
    EXPECT_GT(summary.bytes_down, summary.bytes_up / 100);
    EXPECT_EQ(device->seen<event::JobFinished>().size(), 1U);
    ASSERT_TRUE(device->store->model().value().has_value());
    EXPECT_EQ(device->seen<event::ModelAccepted>().back().training_rounds, 2U);
    EXPECT_TRUE(std::holds_alternative<event::Connected>(device->events.front()));
    EXPECT_TRUE(device->seen<event::Joined>().front().first_contact);
  }
}

TEST_F(AgentTest, ThatWantsOneRoundLeavesAfterIt) {
  auto all = options();
  all.rounds = 0;  // for ever
  coordinator_.start(all);
  for (int i = 0; i < 4; ++i) add(to_coordinator(StopCondition::one_round()), coordinator_.enrol());
  ASSERT_TRUE(run_to_the_end());
  for (const auto& device : devices_) {
    ASSERT_TRUE(device->result->has_value()) << device->result->error().to_string();
    EXPECT_EQ(device->result->value().rounds, 1U);
    EXPECT_FALSE(device->result->value().finished);
    // It has the version that its round made.
    EXPECT_EQ(device->seen<event::ModelAccepted>().back().version,
              device->seen<event::RoundEnded>().back().result.version);
  }
}

TEST_F(AgentTest, ThatOnlySyncsTakesPartInNothing) {
  coordinator_.start(options());
  Device& device = add(to_coordinator(StopCondition::synced()), coordinator_.enrol());
  ASSERT_TRUE(run_to_the_end());
  ASSERT_TRUE(device.result->has_value());
  EXPECT_EQ(device.result->value().rounds, 0U);
  EXPECT_TRUE(device.seen<event::Waiting>().empty()) << "it asked to be invited";
  EXPECT_TRUE(device.store->model().value().has_value());
}

TEST_F(AgentTest, WithTooFewOthersSaysHowManyAreMissingAndStopsWhenTold) {
  coordinator_.start(options());
  Device& device = add(to_coordinator(StopCondition::finished()), coordinator_.enrol());
  ASSERT_TRUE(run_until([&] { return !device.seen<event::Waiting>().empty(); }));
  EXPECT_EQ(device.seen<event::Waiting>().front().devices_ready, 1U);
  EXPECT_EQ(device.seen<event::Waiting>().front().devices_needed, 4U);
  EXPECT_GT(device.agent->summary().bytes_down, 0U);
  device.agent->stop();
  ASSERT_TRUE(run_to_the_end());
  ASSERT_TRUE(device.result->has_value());
  EXPECT_TRUE(device.result->value().stopped);
  EXPECT_FALSE(device.result->value().finished);
  // Its store is free for the next one.
  EXPECT_TRUE(device.store_is_free());
}

TEST_F(AgentTest, MayBeStoppedByItsObserver) {
  coordinator_.start(options());
  Device& device = add(to_coordinator(StopCondition::finished()), coordinator_.enrol());
  device.hook = [&](const Event& event) {
    if (std::holds_alternative<event::Joined>(event)) device.agent->stop();
  };
  ASSERT_TRUE(run_to_the_end());
  ASSERT_TRUE(device.result->has_value());
  EXPECT_TRUE(device.result->value().stopped);
  EXPECT_TRUE(std::holds_alternative<event::Joined>(device.events.back()));
}

TEST_F(AgentTest, StopsInTheMiddleOfAPause) {
  coordinator_.start(options());
  auto with = to_coordinator(StopCondition::finished());
  ASSERT_TRUE(coordinator_.stop().has_value());
  with.backoff_base = with.backoff_cap = std::chrono::hours(1);
  Device& device = add(with, coordinator_.enrol());
  ASSERT_TRUE(run_until([&] { return !device.events.empty(); }));
  ASSERT_EQ(device.seen<event::Retrying>().size(), 1U);
  EXPECT_EQ(device.seen<event::Retrying>().front().error.code(), ErrorCode::unreachable);
  device.agent->stop();
  ASSERT_TRUE(run_to_the_end());
  EXPECT_TRUE(device.result->value().stopped);
}

TEST_F(AgentTest, StopsInTheMiddleOfAHandshake) {
  coordinator_.start(options());
  // Takes connections and says nothing.
  asio::io_context elsewhere;
  asio::ip::tcp::acceptor mute(elsewhere, {asio::ip::make_address("127.0.0.1"), 0});
  auto with = to_coordinator(StopCondition::finished());
  with.coordinators = {{.host = "127.0.0.1", .port = mute.local_endpoint().port()}};
  with.handshake_timeout = std::chrono::hours(1);
  Device& device = add(with, coordinator_.enrol());
  asio::ip::tcp::socket taken(context_);
  mute.non_blocking(true);
  std::error_code error = asio::error::would_block;
  ASSERT_TRUE(run_until([&] {
    if (error) mute.accept(taken, error);
    return !error || error != asio::error::would_block;
  }));
  device.agent->stop();
  ASSERT_TRUE(run_to_the_end());
  EXPECT_TRUE(device.result->value().stopped);
}

TEST_F(AgentTest, ComesBackAfterACoordinatorThatSaysNothing) {
  coordinator_.start(options());
  asio::io_context elsewhere;
  asio::ip::tcp::acceptor mute(elsewhere, {asio::ip::make_address("127.0.0.1"), 0});
  auto with = to_coordinator(StopCondition::synced());
  with.coordinators.insert(with.coordinators.begin(), {.host = "127.0.0.1", .port = mute.local_endpoint().port()});
  with.handshake_timeout = 50ms;
  Device& device = add(with, coordinator_.enrol());
  ASSERT_TRUE(run_to_the_end());
  ASSERT_TRUE(device.result->has_value());
  ASSERT_EQ(device.seen<event::Retrying>().size(), 1U);
  EXPECT_EQ(device.seen<event::Retrying>().front().error.code(), ErrorCode::timeout);
  // The other of the two was tried next.
  EXPECT_EQ(device.seen<event::Connected>().front().endpoint, "127.0.0.1:" + std::to_string(coordinator_.port()));
}

TEST_F(AgentTest, ComeBackAfterARestartAndFinishTheJob) {
  auto all = options();
  coordinator_.start(all);
  all.listen = {{"127.0.0.1", coordinator_.port()}};
  for (int i = 0; i < 3; ++i) add(to_coordinator(StopCondition::finished()), coordinator_.enrol());
  ASSERT_TRUE(run_until([&] {
    return std::ranges::all_of(devices_,
                               [](const auto& device) { return !device->template seen<event::Waiting>().empty(); });
  }));
  std::thread operating([&] {
    EXPECT_TRUE(coordinator_.stop().has_value());
    coordinator_.start(all);
  });
  ASSERT_TRUE(run_until([&] {
    return std::ranges::all_of(devices_,
                               [](const auto& device) { return device->template seen<event::Joined>().size() == 2; });
  }));
  operating.join();
  for (const auto& device : devices_) {
    EXPECT_EQ(device->agent->summary().connections, 2U);
    const auto retries = device->seen<event::Retrying>();
    ASSERT_FALSE(retries.empty());
    // It was asked to come back after so long.
    EXPECT_EQ(retries.front().error.code(), ErrorCode::aborted);
    EXPECT_GE(retries.front().delay, 20ms);
    EXPECT_LE(retries.front().delay, 21ms);
    for (std::size_t i = 1; i < retries.size(); ++i) EXPECT_LE(retries[i].delay, 8ms);
    EXPECT_FALSE(device->seen<event::Joined>().back().first_contact);
  }
  add(to_coordinator(StopCondition::finished()), coordinator_.enrol());
  ASSERT_TRUE(run_to_the_end());
  for (const auto& device : devices_) EXPECT_TRUE(device->result->value().finished);
}

TEST_F(AgentTest, ThatDeclinesARoundLeavesItToTheOthers) {
  auto five = options();
  five.federation.devices = 5;
  coordinator_.start(five);
  auto strict = to_coordinator(StopCondition::finished());
  strict.floors = plan::kProductionFloors;  // a cohort of four is nothing to hide in
  Device& device = add(strict, coordinator_.enrol());
  for (int i = 0; i < 4; ++i) add(to_coordinator(StopCondition::finished()), coordinator_.enrol());
  ASSERT_TRUE(run_to_the_end());
  EXPECT_EQ(device.result->value().rounds, 0U);
  ASSERT_FALSE(device.seen<event::Declined>().empty());
  EXPECT_EQ(devices_[1]->result->value().aborted, 0U);
  EXPECT_GE(devices_[1]->result->value().rounds, 3U);
}

// What no retry can mend ends it at once.

TEST_F(AgentTest, EndsIfItsCertificateIsRevoked) {
  const auto folder = coordinator_.folder() / "lost";
  const auto issued = coordinator_.authority().issue_device(folder, certs::wall_clock()).value();
  const auto lost = net::read_credentials(folder, "device").value();
  const auto revoked = coordinator_.authority().revoke_device(*issued.info.device, certs::wall_clock()).value();
  ASSERT_TRUE(certs::install_list(revoked.list, coordinator_.coordinator_folder()).has_value());
  coordinator_.start(options());
  Device& device = add(to_coordinator(StopCondition::finished()), lost);
  ASSERT_TRUE(run_to_the_end());
  ASSERT_FALSE(device.result->has_value());
  EXPECT_EQ(device.error(), ErrorCode::revoked);
  EXPECT_TRUE(device.seen<event::Retrying>().empty());
  EXPECT_TRUE(device.store_is_free());
}

TEST_F(AgentTest, EndsIfTheCoordinatorIsOfAnotherAuthority) {
  coordinator_.start(options());
  RunningCoordinator stranger(8);
  Device& device = add(to_coordinator(StopCondition::finished()), stranger.enrol());
  ASSERT_TRUE(run_to_the_end());
  ASSERT_FALSE(device.result->has_value());
  EXPECT_EQ(device.error(), ErrorCode::bad_certificate);
  EXPECT_TRUE(device.events.empty());
}

TEST_F(AgentTest, EndsIfTheCertificateIsForAnotherHost) {
  coordinator_.start(options());
  auto with = to_coordinator(StopCondition::finished());
  with.coordinators.front().host = "localhost";
  Device& device = add(with, coordinator_.enrol());
  ASSERT_TRUE(run_to_the_end());
  ASSERT_FALSE(device.result->has_value());
  EXPECT_EQ(device.error(), ErrorCode::wrong_host);
}

TEST_F(AgentTest, EndsIfTheCoordinatorHasAnotherJob) {
  coordinator_.start(options());
  auto with = to_coordinator(StopCondition::finished());
  with.job = "village";
  Device& device = add(with, coordinator_.enrol());
  ASSERT_TRUE(run_to_the_end());
  ASSERT_FALSE(device.result->has_value());
  EXPECT_EQ(device.error(), ErrorCode::wrong_job);
}

TEST_F(AgentTest, EndsIfTheCoordinatorsKeyIsNotThePinnedOne) {
  coordinator_.start(options());
  const auto credentials = coordinator_.enrol();
  Device& first = add(to_coordinator(StopCondition::synced()), credentials);
  ASSERT_TRUE(run_to_the_end());
  ASSERT_TRUE(first.result->has_value());
  ASSERT_TRUE(coordinator_.stop().has_value());
  ASSERT_TRUE(
      coordinator_.authority()
          .renew(coordinator_.coordinator_folder(), certs::wall_clock(), {.out = {}, .new_key = true, .lifetime = {}})
          .has_value());
  coordinator_.start(options());
  Device& second = add(to_coordinator(StopCondition::synced()), credentials, first.file);
  ASSERT_TRUE(run_to_the_end());
  ASSERT_FALSE(second.result->has_value());
  EXPECT_EQ(second.error(), ErrorCode::bad_key);
  EXPECT_TRUE(second.seen<event::Joined>().empty());
}

TEST_F(AgentTest, EndsIfAnotherUsesItsStore) {
  coordinator_.start(options());
  Device& device = add(to_coordinator(StopCondition::synced()), coordinator_.enrol());
  const auto other = open_store(device.file).value();
  ASSERT_TRUE(other->begin_session().has_value());
  ASSERT_TRUE(run_to_the_end());
  ASSERT_FALSE(device.result->has_value());
  EXPECT_EQ(device.error(), ErrorCode::round_in_use);
}

}  // namespace
}  // namespace chorus::client
