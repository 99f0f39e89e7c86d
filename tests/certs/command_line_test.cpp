// chorus-certs as a person runs it: arguments in, exit status and text out.
#include <array>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/wait.h>

#include "tests/certs/temporary_folder.hpp"

namespace chorus::certs {
namespace {

struct Ran {
  int status = -1;
  std::string output;  // standard output and error
};

class CommandLineTest : public ::testing::Test {
 protected:
  // `arguments` are a shell's words; they run in the temporary folder.
  Ran run(const std::string& arguments) {
    std::ostringstream command;
    command << "cd '" << folder_.path().string() << "' && '" << CHORUS_BIN_DIR << "/chorus-certs' " << arguments
            << " 2>&1";
    Ran ran;
    FILE* const pipe = ::popen(command.str().c_str(), "r");
    if (pipe == nullptr) return ran;
    std::array<char, 4096> buffer{};
    while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
      ran.output.append(buffer.data(), size);
    }
    const int status = ::pclose(pipe);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return ran;
  }

  TemporaryFolder folder_;
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_F(CommandLineTest, AnAuthoritysWholeLife) {
  const Ran init = run("init");
  EXPECT_EQ(init.status, 0) << init.output;
  EXPECT_TRUE(contains(init.output, "Back up now")) << init.output;
  EXPECT_TRUE(contains(init.output, "authority/authority.key"));
  EXPECT_EQ(run("coordinator --host localhost --host 127.0.0.1 --host ::1").status, 0);
  EXPECT_EQ(run("device").status, 0);
  EXPECT_EQ(run("fleet --count 3").status, 0);
  EXPECT_EQ(names_in(folder_.path()), (std::vector<std::string>{"authority", "coordinator", "device", "fleet"}));

  const Ran show = run("show coordinator");
  EXPECT_EQ(show.status, 0);
  EXPECT_TRUE(contains(show.output, "localhost, 127.0.0.1, ::1")) << show.output;
  EXPECT_TRUE(contains(show.output, "valid, 89 days left") || contains(show.output, "valid, 90 days left"));

  const Ran revoke = run("revoke fleet/device-000002/device.crt --out coordinator --json");
  EXPECT_EQ(revoke.status, 0);
  EXPECT_TRUE(contains(revoke.output, "\"newly_revoked\": 1")) << revoke.output;
  EXPECT_EQ(read(folder_ / "coordinator" / "crl.pem"), read(folder_ / "authority" / "crl.pem"));

  const std::string table = read(folder_ / "fleet" / "fleet.tsv");
  const std::string id = table.substr(table.find('\t') + 1, 32);
  EXPECT_EQ(run("revoke " + id).status, 0);
  EXPECT_EQ(run("revoke " + id).status, 1);
  EXPECT_EQ(run("crl --days 7").status, 0);
  EXPECT_EQ(run("renew device").status, 0);
  EXPECT_EQ(run("renew device --new-key").status, 0);
  EXPECT_EQ(run("renew coordinator").status, 0);
  const Ran index = run("show authority --json");
  EXPECT_TRUE(contains(index.output, "\"device_certificates\": 6")) << index.output;
  EXPECT_TRUE(contains(index.output, "\"revoked\": 2"));
}

TEST_F(CommandLineTest, FailuresAreOneAndWrongUsageIsTwo) {
  ASSERT_EQ(run("init").status, 0);
  for (const char* const arguments :
       {"init", "device --authority nowhere", "show nowhere", "show authority/..",
        "revoke 00000000000000000000000000000000", "revoke nonsense", "renew nowhere", "device --out authority"}) {
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.status, 1) << arguments << "\n" << ran.output;
    EXPECT_TRUE(ran.output.starts_with("chorus-certs: ")) << ran.output;
  }
  for (const char* const arguments :
       {"", "frobnicate", "device --frobnicate", "coordinator", "coordinator --host 'two words'", "fleet",
        "fleet --count 0", "fleet --count -5", "fleet --count 100001", "fleet --count many", "device --days 0",
        "device --days 99999", "device --days 5000", "show", "revoke", "renew"}) {
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.status, 2) << arguments << "\n" << ran.output;
    EXPECT_FALSE(ran.output.empty());
  }
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"authority"});
}

TEST_F(CommandLineTest, JsonIsForErrorsToo) {
  const Ran ran = run("device --json");
  EXPECT_EQ(ran.status, 1);
  EXPECT_TRUE(contains(ran.output, "\"error\": \"not_found\"")) << ran.output;
  EXPECT_TRUE(contains(ran.output, "\"where\": \"./authority\"")) << ran.output;
}

TEST_F(CommandLineTest, HelpSaysTheExitStatusesAndIsNoFailure) {
  for (const char* const arguments : {"--help", "init --help", "renew --help"}) {
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.status, 0);
    EXPECT_TRUE(contains(ran.output, "Exit status: 0 done; 1 failed; 2 wrong usage")) << ran.output;
  }
  EXPECT_EQ(run("--version").status, 0);
}

TEST_F(CommandLineTest, NoSecretIsPrinted) {
  ASSERT_EQ(run("init").status, 0);
  ASSERT_EQ(run("device").status, 0);
  const std::string pem = read(folder_ / "device" / "device.key");
  const std::size_t begin = pem.find('\n') + 1;
  const std::string secret = pem.substr(begin, pem.find('\n', begin) - begin);
  ASSERT_EQ(secret.size(), 64U);
  for (const char* const arguments : {"show device", "show device --json", "show device/device.key"}) {
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.status, 0);
    EXPECT_FALSE(contains(ran.output, secret.substr(22)));
  }
}

TEST_F(CommandLineTest, APassphraseFileProtectsTheAuthoritysKey) {
  write(folder_ / "secret", "correct horse\n");
  ASSERT_EQ(run("init --passphrase-file secret").status, 0);
  EXPECT_TRUE(contains(read(folder_ / "authority" / "authority.key"), "ENCRYPTED"));
  EXPECT_EQ(run("device").status, 1);
  EXPECT_EQ(run("device --passphrase-file nowhere").status, 1);
  EXPECT_EQ(run("device --passphrase-file secret").status, 0);
}

}  // namespace
}  // namespace chorus::certs
