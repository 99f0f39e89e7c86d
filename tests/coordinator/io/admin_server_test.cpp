// The operator's door over real HTTP: reading is open and names nobody, commands need the token, strangers' pages get
// nothing.
#include <fstream>

#include <gmock/gmock.h>
#include <httplib.h>

#include "coordinator/io/admin_client.hpp"
#include "tests/coordinator/io/running_coordinator.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;
using ::testing::HasSubstr;

class AdminServerTest : public ::testing::Test {
 protected:
  AdminServerTest() {
    RunningCoordinator::Options options;
    options.federation.gather = 1ms;
    options.federation.devices = 4;
    options.federation.exit_when_finished = true;
    options.admin = ListenAddress{.host = "127.0.0.1", .port = 0};
    coordinator_.start(options);
  }
  std::filesystem::path state() const { return coordinator_.folder() / "state"; }
  std::string line(const char* file) const {
    std::ifstream in(state() / file);
    std::string text;
    std::getline(in, text);
    return text;
  }
  // Asks again until the first picture is there: the coordinator's thread makes it when it runs.
  httplib::Result get(const std::string& path) const {
    httplib::Client client("http://" + line("admin"));
    httplib::Result result = client.Get(path);
    for (int tries = 0; tries < 2'000 && result && result->status == 503; ++tries) {
      std::this_thread::yield();
      result = client.Get(path);
    }
    return result;
  }
  RunningCoordinator coordinator_;
};

TEST_F(AdminServerTest, TellsHealthMetricsAndStatusToWhoeverAsksOnThisMachine) {
  for (const char* path : {"/healthz", "/readyz"}) {
    const auto answer = get(path);
    ASSERT_TRUE(answer) << path;
    EXPECT_EQ(answer->status, 200) << answer->body;
  }
  EXPECT_THAT(get("/metrics")->body, HasSubstr("chorus_job_info{job=\"town\",family=\"mf\"} 1\n"));
  EXPECT_THAT(get("/metrics")->get_header_value("Content-Type"), HasSubstr("version=0.0.4"));
  EXPECT_THAT(get("/api/jobs")->body, HasSubstr("[{\"name\":\"town\""));
  EXPECT_THAT(get("/api/status")->body, HasSubstr("\"name\":\"town\""));
  const auto page = get("/");
  EXPECT_EQ(page->status, 200);
  EXPECT_THAT(page->body, HasSubstr("<!doctype html>"));
  EXPECT_THAT(page->get_header_value("Content-Security-Policy"), HasSubstr("default-src 'none'"));
  EXPECT_EQ(get("/api/nothing")->status, 404);
  EXPECT_GT(get("/api/model")->body.size(), 100U);
}

TEST_F(AdminServerTest, TellsThePageToTakeNothingFromElsewhere) {
  for (const char* path : {"/", "/dashboard.css", "/dashboard.js"}) {
    const auto part = get(path);
    ASSERT_TRUE(part) << path;
    EXPECT_EQ(part->status, 200) << path;
    const std::string policy = part->get_header_value("Content-Security-Policy");
    EXPECT_THAT(policy, HasSubstr("default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'"));
    EXPECT_EQ(policy.find("unsafe"), std::string::npos) << policy;
  }
  EXPECT_EQ(get("/dashboard.js")->get_header_value("Content-Type"), "text/javascript; charset=utf-8");
}

TEST_F(AdminServerTest, GivesAVersionThatIsKeptAndNamesOneThatIsNot) {
  EXPECT_EQ(get("/api/model?version=0")->body, get("/api/model")->body);
  EXPECT_EQ(get("/api/model?version=0")->get_header_value("Content-Disposition"),
            "attachment; filename=\"town-0.tensors\"");
  EXPECT_EQ(get("/api/model?version=9")->status, 404);
  for (const char* wrong :
       {"/api/model?version=", "/api/model?version=-1", "/api/model?version=1x",
        "/api/model?version=99999999999999999999999", "/api/difference", "/api/difference?from=0"}) {
    EXPECT_EQ(get(wrong)->status, 400) << wrong;
  }
  EXPECT_THAT(get("/api/difference?from=0&to=0")->body, HasSubstr("\"change\":0.0"));
  EXPECT_EQ(get("/api/difference?from=0&to=9")->status, 404);
}

TEST_F(AdminServerTest, CommandsNeedTheToken) {
  httplib::Client client("http://" + line("admin"));
  for (const std::string& token : {std::string(), std::string("Bearer "), "Bearer " + std::string(64, '0'),
                                   line("admin.token"), "Bearer " + line("admin.token") + "0"}) {
    const auto refused = client.Post("/api/pause", {{"Authorization", token}}, "", "text/plain");
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, 401) << token;
  }
  EXPECT_EQ(client.Get("/api/pause")->status, 404) << "a link is no command";
  EXPECT_THAT(get("/api/status")->body, HasSubstr("\"paused\":false"));
  EXPECT_TRUE(admin_post(state(), "/api/pause").has_value());
  const auto permissions = std::filesystem::status(state() / "admin.token").permissions();
  EXPECT_EQ(permissions, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(AdminServerTest, APageOfAnotherNameGetsNothing) {
  httplib::Client client("http://" + line("admin"));
  const auto lured = client.Get("/api/status", {{"Host", "attacker.example"}});
  ASSERT_TRUE(lured);
  EXPECT_EQ(lured->status, 403);
  EXPECT_EQ(lured->body.find("town"), std::string::npos);
}

TEST_F(AdminServerTest, WhilePausedNoRoundOpensAndAfterwardsTheJobGoesOn) {
  ASSERT_TRUE(admin_post(state(), "/api/pause").has_value());
  std::vector<net::TlsCredentials> credentials;
  for (int i = 0; i < 4; ++i) credentials.push_back(coordinator_.enrol());
  std::vector<Life> lives(4);
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] { lives[i] = live(credentials[i], coordinator_.port(), i); });
  }
  // All four wait, and nothing happens.
  const auto status = [&] { return get("/api/status")->body; };
  const auto latest = std::chrono::steady_clock::now() + kLong;
  while (status().find("\"ready\":4") == std::string::npos) {
    if (std::chrono::steady_clock::now() > latest) {
      ADD_FAILURE() << "the devices never waited: " << status();
      break;
    }
    std::this_thread::yield();
  }
  EXPECT_THAT(status(), HasSubstr("\"phase\":\"gathering\",\"paused\":true"));
  ASSERT_TRUE(admin_post(state(), "/api/resume").has_value());
  for (auto& thread : threads) thread.join();
  for (const Life& life : lives) EXPECT_TRUE(life.finished);
  EXPECT_TRUE(coordinator_.wait().has_value());
}

TEST_F(AdminServerTest, StopsAsASignalWould) {
  ASSERT_TRUE(admin_post(state(), "/api/stop").has_value());
  EXPECT_TRUE(coordinator_.wait().has_value());
}

TEST_F(AdminServerTest, ConnectionsThatAreKeptOpenShutNobodyOut) {
  std::vector<std::unique_ptr<httplib::Client>> open;
  for (int i = 0; i < 40; ++i) {
    open.push_back(std::make_unique<httplib::Client>("http://" + line("admin")));
    open.back()->set_keep_alive(true);
    const auto answer = open.back()->Get("/");
    ASSERT_TRUE(answer) << i;
    EXPECT_EQ(answer->status, 200);
  }
}

TEST_F(AdminServerTest, AWrongLogLevelIsNamed) {
  const auto refused = admin_post(state(), "/api/log-level", "loud");
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().sentence(), HasSubstr("expected debug, info, warning, error or off"));
}

TEST(AdminClient, SaysThatNoCoordinatorRuns) {
  const auto missing = admin_get("/nonexistent/state", "/api/status");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code(), ErrorCode::not_found);
  EXPECT_EQ(missing.error().where(), "/nonexistent/state/admin");
}

}  // namespace
}  // namespace chorus::coordinator
