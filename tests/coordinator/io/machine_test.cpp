// What `check` says of a machine: each lack by its number, and nothing is touched by looking.
#include "coordinator/io/machine.hpp"

#include <cerrno>
#include <filesystem>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coordinator/io/clock.hpp"
#include "coordinator/store/state_folder.hpp"

namespace chorus::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

MachineNeeds needs() {
  return {.listen = {{.host = "127.0.0.1", .port = 7443}},
          .admin = ListenAddress{.host = "127.0.0.1", .port = 9464},
          .state = "state",
          .connections = 1'000,
          .model_bytes = 1'000'000};
}

Machine able() {
  return {
      .open_files = 1'064, .free_bytes = needed_bytes(1'000'000), .now = WallTime(std::chrono::seconds(1'900'000'000))};
}

std::vector<Trouble> troubles(const MachineNeeds& wanted, const Machine& machine) {
  std::vector<Trouble> found;
  for (const Finding& finding : judge_machine(wanted, machine)) found.push_back(finding.trouble);
  return found;
}

TEST(Machine, ThatHasAllThatIsNeededIsNotComplainedOf) {
  EXPECT_THAT(troubles(needs(), able()), IsEmpty());
}

TEST(Machine, EachLackHasItsNumber) {
  Machine machine = able();
  --machine.open_files;
  EXPECT_THAT(troubles(needs(), machine), ElementsAre(Trouble::open_files));
  machine = able();
  --machine.free_bytes;
  EXPECT_THAT(troubles(needs(), machine), ElementsAre(Trouble::disk_space));
  machine = able();
  machine.now = WallTime(std::chrono::seconds(0));
  EXPECT_THAT(troubles(needs(), machine), ElementsAre(Trouble::clock_wrong));
  machine = able();
  machine.synchronised = false;
  EXPECT_THAT(troubles(needs(), machine), ElementsAre(Trouble::clock_adrift));
  machine = able();
  machine.refused = {{"127.0.0.1:7443", EADDRINUSE}, {"192.0.2.1:7443", EADDRNOTAVAIL}, {"0.0.0.0:443", EACCES}};
  EXPECT_THAT(troubles(needs(), machine),
              ElementsAre(Trouble::address_taken, Trouble::address_unusable, Trouble::address_unusable));
  machine = able();
  machine.unwritable = "read-only";
  EXPECT_THAT(troubles(needs(), machine), ElementsAre(Trouble::state_unwritable));
  machine = able();
  machine.in_use = true;
  EXPECT_THAT(troubles(needs(), machine), ElementsAre(Trouble::state_in_use));
  machine = able();
  machine.remote = true;
  EXPECT_THAT(troubles(needs(), machine), ElementsAre(Trouble::state_remote));
  MachineNeeds exposed = needs();
  exposed.admin->host = "0.0.0.0";
  EXPECT_THAT(troubles(exposed, able()), ElementsAre(Trouble::admin_exposed));
}

TEST(Machine, ALargerModelNeedsMoreRoom) {
  EXPECT_GE(needed_bytes(1'000'000'000) - needed_bytes(0), 12'000'000'000U) << "four versions, thrice each";
}

class LookingTest : public ::testing::Test {
 protected:
  LookingTest() {
    std::string pattern = (fs::temp_directory_path() / "chorus-machine-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    wanted_.state = folder_ / "below" / "state";
    wanted_.listen = {{.host = "127.0.0.1", .port = 0}};
    wanted_.admin.reset();
  }
  ~LookingTest() override { fs::remove_all(folder_); }

  fs::path folder_;
  MachineNeeds wanted_ = needs();
};

TEST_F(LookingTest, TouchesNothing) {
  const Machine machine = look_at_machine(wanted_);
  EXPECT_TRUE(fs::is_empty(folder_));
  EXPECT_EQ(machine.unwritable, "");
  EXPECT_FALSE(machine.in_use);
  EXPECT_THAT(machine.refused, IsEmpty());
  EXPECT_GT(machine.open_files, 0U);
  EXPECT_GT(machine.free_bytes, 0U);
  EXPECT_LE(machine.now, wall_now());
}

TEST_F(LookingTest, FindsAnAddressThatIsTakenAndOneThatIsNotHere) {
  const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof place;
  ASSERT_EQ(::bind(other, reinterpret_cast<const sockaddr*>(&place), size), 0);
  ASSERT_EQ(::listen(other, 1), 0);
  ASSERT_EQ(::getsockname(other, reinterpret_cast<sockaddr*>(&place), &size), 0);
  wanted_.listen = {{.host = "127.0.0.1", .port = ntohs(place.sin_port)}, {.host = "192.0.2.1", .port = 0}};
  const Machine machine = look_at_machine(wanted_);
  ASSERT_EQ(machine.refused.size(), 2U);
  EXPECT_EQ(machine.refused[0].number, EADDRINUSE);
  EXPECT_EQ(machine.refused[1].number, EADDRNOTAVAIL);
  ::close(other);
  EXPECT_EQ(look_at_machine(wanted_).refused.size(), 1U);
}

TEST_F(LookingTest, FindsACoordinatorThatUsesTheFolderAndLeavesItsAddressesAlone) {
  const auto lock = lock_state_folder(wanted_.state);
  ASSERT_TRUE(lock.has_value());
  wanted_.listen = {{.host = "192.0.2.1", .port = 0}};
  const Machine machine = look_at_machine(wanted_);
  EXPECT_TRUE(machine.in_use);
  EXPECT_THAT(machine.refused, IsEmpty());
}

TEST_F(LookingTest, FindsAFolderThatCannotBeMade) {
  std::FILE* const file = std::fopen((folder_ / "below").c_str(), "w");
  std::fclose(file);
  wanted_.state = folder_ / "below" / "state";
  EXPECT_NE(look_at_machine(wanted_).unwritable, "");
}

}  // namespace
}  // namespace chorus::coordinator
