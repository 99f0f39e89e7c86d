// Several jobs in one coordinator: devices over real TLS, an operator over the real admin server.
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "coordinator/io/admin_client.hpp"
#include "tests/coordinator/io/running_coordinator.hpp"

namespace chorus::coordinator::test {
namespace {

using ::testing::HasSubstr;

class SeveralJobsTest : public ::testing::Test {
 protected:
  SeveralJobsTest() {
    options_.federation.gather = 1ms;
    options_.federation.devices = 4;
    options_.admin = ListenAddress{.host = "127.0.0.1", .port = 0};
    options_.jobs = {"one", "two"};
    // A job file of this test is a name and how many rounds.
    options_.prepare = [this](const std::string& file, const std::string& folder) -> Result<PreparedJob> {
      std::istringstream words(file);
      std::string name;
      std::uint64_t rounds = 0;
      if (!(words >> name >> rounds)) return fail(ErrorCode::malformed, "not a job of this test", file);
      auto job = make_job(rounds);
      job.name = name;
      auto ready = prepared(options_.federation, std::move(job), make_items(20));
      ready.file = file;
      ready.folder = folder;
      return ready;
    };
  }
  [[nodiscard]] std::filesystem::path state() const { return coordinator_.folder() / "state"; }
  [[nodiscard]] nlohmann::json ask(const std::string& path) const {
    const auto latest = std::chrono::steady_clock::now() + kLong;
    for (;;) {
      const auto text = admin_get(state(), path);
      if (text) return nlohmann::json::parse(*text);
      // 503 until the coordinator's thread has shown its first picture.
      if (std::chrono::steady_clock::now() > latest) throw std::runtime_error(text.error().to_string());
      std::this_thread::yield();
    }
  }
  // Asks until it holds.
  template <typename Holds>
  bool until(Holds holds) const {
    const auto latest = std::chrono::steady_clock::now() + kLong;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > latest) return false;
      std::this_thread::yield();
    }
    return true;
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& job : ask("/api/jobs")) names.push_back(job.at("name"));
    return names;
  }
  [[nodiscard]] Result<std::string> submit(const std::string& file) const {
    return admin_post(state(), "/api/submit", nlohmann::json{{"file", file}, {"folder", "/jobs"}}.dump());
  }
  // Four devices that live until the job is finished.
  std::vector<Life> live_in(const std::string& job) {
    std::vector<net::TlsCredentials> credentials;
    for (int i = 0; i < 4; ++i) credentials.push_back(coordinator_.enrol());
    std::vector<Life> lives(4);
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] { lives[i] = live(credentials[i], coordinator_.port(), i, "127.0.0.1", job); });
    }
    for (auto& thread : threads) thread.join();
    return lives;
  }
  [[nodiscard]] protocol::Refusal refusal_of(const std::string& job) {
    auto peer = Peer::connect(coordinator_.enrol(), coordinator_.port()).value();
    EXPECT_TRUE(peer->send(protocol::Hello{.job = job}).has_value());
    return peer->last_words().value_or(protocol::Refusal{});
  }

  RunningCoordinator::Options options_;
  RunningCoordinator coordinator_;
};

TEST_F(SeveralJobsTest, EachDeviceTrainsTheJobThatItNamesAndTheCoordinatorEndsWithTheLast) {
  options_.federation.exit_when_finished = true;
  coordinator_.start(options_);
  for (const Life& life : live_in("two")) EXPECT_TRUE(life.finished);
  EXPECT_TRUE(until([&] { return names() == std::vector<std::string>{"one"}; }));
  for (const Life& life : live_in("one")) EXPECT_TRUE(life.finished);
  EXPECT_TRUE(coordinator_.wait().has_value());
  coordinator_.release();
  auto store = open_sqlite_store(state()).value();
  for (const std::string name : {"one", "two"}) {
    const auto job = store->job(name).value();
    EXPECT_EQ(job->load().value()->header.training_rounds, 2U) << name;
    EXPECT_EQ(job->participation().value().size(), 4U) << name;
    EXPECT_EQ(job->rounds(100).value().back().cohorts.at(0).survivors, 4U) << name;
  }
}

TEST_F(SeveralJobsTest, ADeviceThatNamesNoneOrAnUnknownOneIsToldWhichThereAre) {
  coordinator_.start(options_);
  for (const std::string job : {"", "three"}) {
    const auto refusal = refusal_of(job);
    EXPECT_EQ(refusal.code, ErrorCode::wrong_job) << job;
    EXPECT_THAT(refusal.sentence, HasSubstr("one, two")) << job;
  }
}

TEST_F(SeveralJobsTest, ASubmittedJobRunsAndSubmittingItAgainChangesNothing) {
  options_.jobs = {};
  coordinator_.start(options_);
  EXPECT_EQ(names(), std::vector<std::string>{});
  EXPECT_THAT(refusal_of("three").sentence, HasSubstr("no job now"));
  ASSERT_TRUE(submit("three 2").has_value());
  EXPECT_THAT(submit("three 2").value(), HasSubstr("runs already"));
  const auto other = submit("three 5");
  ASSERT_FALSE(other.has_value());
  EXPECT_THAT(other.error().sentence(), HasSubstr("another job 'three' runs already"));
  EXPECT_THAT(submit("nonsense").error().sentence(), HasSubstr("not a job of this test"));
  for (const Life& life : live_in("three")) EXPECT_TRUE(life.finished);
  EXPECT_TRUE(until([&] { return names() == std::vector<std::string>{"three"}; }));
  EXPECT_TRUE(until([&] { return ask("/api/status?job=three").at("training_rounds") == 2; }));
  // Four devices have sent updates: more than nothing came in, and a model went out to each.
  const std::string metrics = admin_get(state(), "/metrics").value();
  EXPECT_EQ(metrics.find("chorus_bytes_total{direction=\"in\"} 0\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("chorus_bytes_total{direction=\"out\"} "), std::string::npos) << metrics;
  EXPECT_TRUE(coordinator_.stop().has_value());
  coordinator_.release();
  auto store = open_sqlite_store(state()).value();
  EXPECT_EQ(
      store->jobs().value(),
      (std::vector<JobEntry>{{.name = "three", .file = "three 2", .folder = "/jobs", .standing = Standing::open}}));
}

TEST_F(SeveralJobsTest, AJobIsPausedResumedAndStoppedByItsNameAndTheOtherGoesOn) {
  coordinator_.start(options_);
  EXPECT_THAT(admin_post(state(), "/api/pause").error().sentence(), HasSubstr("name one: one, two"));
  ASSERT_TRUE(admin_post(state(), "/api/pause?job=one").has_value());
  EXPECT_TRUE(until([&] { return ask("/api/status?job=one").at("paused") == true; }));
  EXPECT_EQ(ask("/api/status?job=two").at("paused"), false);
  for (const Life& life : live_in("two")) EXPECT_TRUE(life.finished);
  ASSERT_TRUE(admin_post(state(), "/api/resume?job=one").has_value());
  ASSERT_TRUE(admin_post(state(), "/api/stop?job=one").has_value());
  EXPECT_TRUE(until([&] { return names() == std::vector<std::string>{"two"}; }));
  EXPECT_THAT(admin_post(state(), "/api/stop?job=one").error().sentence(),
              HasSubstr("this coordinator's job is 'two'"));
  // Stopped, not gone: submitted again it goes on.
  ASSERT_TRUE(submit("one 2").has_value());
  for (const Life& life : live_in("one")) EXPECT_TRUE(life.finished);
  ASSERT_TRUE(admin_post(state(), "/api/stop?job=one").has_value());
  ASSERT_TRUE(admin_post(state(), "/api/stop?job=two").has_value());
  EXPECT_TRUE(until([&] { return names().empty(); }));  // and the coordinator waits for the next one
  std::vector<std::string> told;
  for (const auto& entry : ask("/api/audit")) {
    told.push_back(entry.at("action").get<std::string>() + " " + entry.at("job").get<std::string>());
  }
  EXPECT_EQ(told,
            (std::vector<std::string>{"pause one", "resume one", "stop one", "submit one", "stop one", "stop two"}));
  EXPECT_TRUE(coordinator_.stop().has_value());
}

TEST_F(SeveralJobsTest, APausedJobIsPausedAfterARestart) {
  coordinator_.start(options_);
  ASSERT_TRUE(admin_post(state(), "/api/pause?job=two").has_value());
  EXPECT_TRUE(coordinator_.stop().has_value());
  coordinator_.start(options_);
  EXPECT_EQ(ask("/api/status?job=two").at("paused"), true);
  EXPECT_EQ(ask("/api/status?job=one").at("paused"), false);
}

}  // namespace
}  // namespace chorus::coordinator::test
