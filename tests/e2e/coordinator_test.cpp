// The coordinator's process under a fleet: killed, stopped, reloaded, and started where it cannot run.
#include <algorithm>
#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>

#include "certs/io/clock.hpp"
#include "common/dataset/item_files.hpp"
#include "tests/common/net/raw_peer.hpp"
#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A small disk of its own at `folder`, as long as this lives.
class SmallDisk {
 public:
  explicit SmallDisk(fs::path folder, const char* options = "size=1m", unsigned long flags = 0)
      : folder_(std::move(folder)) {
    fs::create_directories(folder_);
    mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", flags, options) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  [[nodiscard]] bool mounted() const noexcept { return mounted_; }
  // Leaves no byte free.
  void fill() const {
    std::ofstream ballast(folder_ / "ballast", std::ios::binary);
    const std::string page(4096, 'x');
    while (ballast.write(page.data(), static_cast<std::streamsize>(page.size())).flush()) continue;
  }
  void empty() const { fs::remove(folder_ / "ballast"); }

 private:
  fs::path folder_;
  bool mounted_ = false;
};

constexpr const char* kNoMount = "needs the right to mount a tmpfs";

Ran serve(Town& town) {
  return run_program(*town.supervisor, program("chorus-coordinator"),
                     {"serve", "--config", (town.setup.folder / "coordinator.toml").string(), "--job",
                      (town.setup.folder / "job.toml").string()});
}

std::vector<std::uint64_t> numbers(const std::vector<coordinator::TraceRound>& rounds) {
  std::vector<std::uint64_t> all;
  for (const auto& round : rounds) all.push_back(round.round.value());
  return all;
}

TEST(Coordinator, KilledInMidRoundCostsThatRoundAndNothingElse) {
  Town town({.rounds = 10});
  town.start_coordinator();
  const pid_t slow = town.open_a_round_that_stays_open();
  sim::Fleet& early = town.fleets.front();
  sim::Fleet& late = town.fleets.back();
  // A version is there that must not be lost; the kill comes whenever it comes.
  town.supervisor->signal(slow, SIGCONT);
  ASSERT_TRUE(town.until_logged("version published")) << town.log();
  town.kill_coordinator();
  // It is up again, and killed in the middle of a round.
  for (const auto& worker : late.workers()) town.supervisor->signal(worker.pid, SIGSTOP);
  town.keep_port();
  town.forget();
  town.start_coordinator();
  ASSERT_TRUE(town.until([&] { return town.ready() == 70; })) << town.log();
  const auto before = numbers(town.trace());
  ASSERT_FALSE(before.empty());
  EXPECT_EQ(town.logged("job").at(0).at("version"), before.size());
  town.forget();
  town.supervisor->signal(slow, SIGSTOP);
  for (const auto& worker : late.workers()) town.supervisor->signal(worker.pid, SIGCONT);
  ASSERT_TRUE(town.until_logged("round opened")) << town.log();
  const std::uint64_t lost = town.logged("round opened")[0].at("round");
  town.kill_coordinator();
  EXPECT_TRUE(town.logged("round closed").empty());
  EXPECT_THAT(numbers(town.trace()), ::testing::ElementsAreArray(before));
  town.start_coordinator();
  town.supervisor->signal(slow, SIGCONT);

  ASSERT_TRUE(town.until([&] { return early.ended() && late.ended(); })) << town.log() << early.report();
  EXPECT_EQ(early.finished() + late.finished(), town.options.devices);
  EXPECT_EQ(early.processes_lost() + late.processes_lost(), 0U);
  const auto after = numbers(town.trace());
  EXPECT_EQ(after.size(), 12U);  // a survey, ten that trained, and one that measured
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
  EXPECT_FALSE(std::ranges::count(after, lost)) << "a number that devices may have answered was used again";
  EXPECT_EQ(town.replay().status, 0);
}

TEST(Coordinator, ARoundThatEndsWithinTheGraceOfASigtermIsPublished) {
  Town town({.rounds = 2});
  town.start_coordinator();
  const pid_t slow = town.open_a_round_that_stays_open();
  town.supervisor->signal(town.coordinator.pid, SIGTERM);
  ASSERT_TRUE(town.until_logged("stopping")) << town.log();
  EXPECT_EQ(town.logged("stopping")[0].at("round_in_progress"), true);
  town.supervisor->signal(slow, SIGCONT);
  EXPECT_EQ(town.await_coordinator().status, 0) << town.log();
  EXPECT_EQ(town.logged("version published").size(), 1U) << town.log();
  EXPECT_EQ(town.trace().size(), 1U);
  EXPECT_EQ(town.replay().status, 0);
}

TEST(Coordinator, ARoundThatDoesNotEndWithinTheGraceOfASigtermIsAborted) {
  Town town({.rounds = 2, .shutdown_grace = std::chrono::milliseconds(100)});
  town.start_coordinator();
  static_cast<void>(town.open_a_round_that_stays_open());
  EXPECT_EQ(town.stop_coordinator().status, 0) << town.log();
  const auto aborted = town.logged("round aborted");
  ASSERT_EQ(aborted.size(), 1U) << town.log();
  EXPECT_THAT(aborted[0].at("reason").get<std::string>(), HasSubstr("stopping"));
  EXPECT_TRUE(town.trace().empty());
}

TEST(Coordinator, AHangupInMidRoundTakesRevocationsAndItemsAndTheRoundGoesOn) {
  Town town({.enrolled = 101, .rounds = 1, .wanted = 100});
  town.start_coordinator();
  const pid_t slow = town.open_a_round_that_stays_open();
  const auto lost = town.credentials(100);
  const auto revoked = value_of(town.authority->revoke_device(town.enrolled[100].id, certs::wall_clock()));
  ASSERT_TRUE(certs::install_list(revoked.list, town.setup.certificates).has_value());
  auto items =
      std::vector<dataset::CatalogueItem>(town.data.catalogue.items().begin(), town.data.catalogue.items().end());
  items.push_back({.id = "newcomer", .title = "Newcomer", .genres = {}, .year = 2024});
  const auto table = town.setup.folder / "items.tsv";
  fs::remove(table);
  ASSERT_TRUE(dataset::write_item_table(table, items).has_value());
  town.supervisor->signal(town.coordinator.pid, SIGHUP);
  ASSERT_TRUE(town.until_logged("reloading"));
  // From one of its connections on, the device is refused.
  const auto refused = [&] {
    return std::ranges::any_of(town.logged("peer refused"),
                               [](const auto& line) { return line.at("reason") == "revoked"; });
  };
  net::RawSettings settings;
  settings.own = lost;
  for (int attempt = 0; attempt < 1'000 && !refused(); ++attempt) {
    const auto peer = net::RawPeer::client(town.coordinator.port, settings, [](SSL* ssl) { SSL_shutdown(ssl); });
    static_cast<void>(peer->outcome());
    static_cast<void>(town.until(refused, std::chrono::milliseconds(20)));
  }
  EXPECT_TRUE(refused()) << town.log();
  EXPECT_TRUE(town.logged("round closed").empty());
  town.supervisor->signal(slow, SIGCONT);
  sim::Fleet& early = town.fleets.front();
  ASSERT_TRUE(town.until([&] { return early.ended() && town.fleets.back().ended(); })) << town.log();
  EXPECT_EQ(town.logged("round closed")[0].at("survivors"), 100);
  const auto published = town.logged("version published");
  EXPECT_EQ(published.back().at("items"), items.size()) << town.log();
  EXPECT_EQ(early.finished(), 70U);
}

TEST(Coordinator, APortInUseIsOneSentence) {
  Town town({.devices = 2, .wanted = kLeastCohort});
  Town other({.devices = 2, .wanted = kLeastCohort});
  town.start_coordinator();
  other.setup.port = town.coordinator.port;
  ASSERT_TRUE(sim::write_coordinator_config(other.setup).has_value());
  const Ran second = serve(other);
  EXPECT_EQ(second.status, 1);
  EXPECT_EQ(last_line(second.err), "chorus-coordinator: 127.0.0.1:" + std::to_string(town.coordinator.port) +
                                       ": cannot listen: Address already in use (address_in_use)");
}

TEST(Coordinator, AnUnwritableStateFolderIsOneSentence) {
  Town town({.devices = 2, .wanted = kLeastCohort});
  const SmallDisk disk(town.setup.folder / "state", "size=1m", MS_RDONLY);
  if (!disk.mounted()) GTEST_SKIP() << kNoMount;
  const Ran ran = serve(town);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(last_line(ran.err), AllOf(HasSubstr("chorus-coordinator: "), HasSubstr("/state: "),
                                        HasSubstr("cannot be written"), HasSubstr("(unwritable)")));
}

TEST(Coordinator, AFullDiskAtTheStartIsOneSentence) {
  Town town({.devices = 2, .wanted = kLeastCohort});
  const SmallDisk disk(town.setup.folder / "state");
  if (!disk.mounted()) GTEST_SKIP() << kNoMount;
  disk.fill();
  const Ran ran = serve(town);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(last_line(ran.err), AllOf(HasSubstr("chorus-coordinator: "), HasSubstr("(disk_full)")));
}

TEST(Coordinator, ADiskThatFillsUpEndsItWithTheLastVersionWhole) {
  Town town({.rounds = 3});
  const SmallDisk disk(town.setup.folder / "state", "size=2m");
  if (!disk.mounted()) GTEST_SKIP() << kNoMount;
  town.start_coordinator();
  const pid_t slow = town.open_a_round_that_stays_open();
  disk.fill();
  town.supervisor->signal(slow, SIGCONT);
  const auto ended = town.await_coordinator();
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.signal, 0);
  EXPECT_THAT(last_line(town.log()), AllOf(HasSubstr("chorus-coordinator: "), HasSubstr("(disk_full)")));
  EXPECT_TRUE(town.logged("version published").empty());
  EXPECT_TRUE(town.trace().empty());
  // With room again the devices come back and the job is done.
  disk.empty();
  town.keep_port();
  town.start_coordinator();
  ASSERT_TRUE(town.until([&] { return town.fleets.front().ended() && town.fleets.back().ended(); })) << town.log();
  EXPECT_EQ(town.fleets.front().finished() + town.fleets.back().finished(), town.options.devices);
  EXPECT_EQ(town.trace().size(), 5U);
  EXPECT_EQ(town.replay().status, 0);
}

}  // namespace
}  // namespace chorus::e2e
