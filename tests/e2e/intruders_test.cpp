// Peers that do not belong, or do not behave, while a round is open: each is refused for its own reason, in the log,
// and the round closes with everybody who belongs to it.
#include <algorithm>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include "certs/io/clock.hpp"
#include "common/wire/frame.hpp"
#include "tests/common/net/raw_peer.hpp"
#include "tests/e2e/town.hpp"

namespace chorus::e2e {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

using Script = net::RawPeer::Script;

// A town with a round that stays open while a test does its worst, and must close when it is over.
class Intruders : public ::testing::Test {
 protected:
  Intruders() {
    // Not from the fleet: enrolled, and nothing else.
    std::ofstream(town_.setup.folder / "coordinator.toml", std::ios::app)
        << "\n[limits]\nhandshake_timeout = \"5s\"\nhello_timeout = \"5s\"\nframe_timeout = \"5s\"\n";
    const auto revoked = value_of(town_.authority->revoke_device(town_.enrolled[101].id, certs::wall_clock()));
    EXPECT_TRUE(certs::install_list(revoked.list, town_.setup.certificates).has_value());
    town_.start_coordinator();
    slow_ = town_.open_a_round_that_stays_open();
    own_ = town_.credentials(100);
  }

  // Everybody who belongs to the round is in its sum.
  void expect_the_round_closes() {
    EXPECT_TRUE(town_.logged("round closed").empty()) << "the round was over before the intruders came";
    town_.supervisor->signal(slow_, SIGCONT);
    ASSERT_TRUE(town_.until([&] { return town_.fleets.front().ended() && town_.fleets.back().ended(); }))
        << town_.log();
    EXPECT_EQ(town_.logged("round closed").at(0).at("survivors"), 100) << town_.log();
    EXPECT_EQ(town_.fleets.front().finished() + town_.fleets.back().finished(), 100U);
    EXPECT_TRUE(town_.fleets.front().errors().empty()) << town_.fleets.front().report();
  }

  // That the log tells of one more refusal for this reason, whose sentence contains the words.
  void expect_refused(const std::string& reason, const std::string& words) {
    const auto found = [&] {
      const auto lines = town_.logged("peer refused");
      return std::any_of(lines.begin() + static_cast<std::ptrdiff_t>(seen_), lines.end(), [&](const auto& line) {
        return line.at("reason") == reason &&
               line.at("sentence").template get<std::string>().find(words) != std::string::npos;
      });
    };
    EXPECT_TRUE(town_.until(found, std::chrono::seconds(60))) << reason << ", " << words << "\n" << town_.log();
    seen_ = town_.logged("peer refused").size();
  }

  void shake_hands(net::RawSettings settings) {
    static_cast<void>(net::RawPeer::client(town_.coordinator.port, std::move(settings))->outcome());
  }
  // An enrolled device that says this and listens until the coordinator hangs up.
  void say(Script script) {
    net::RawSettings settings;
    settings.own = own_;
    static_cast<void>(net::RawPeer::client(town_.coordinator.port, settings, std::move(script))->outcome());
  }
  void send(const Bytes& bytes) {
    say([&](SSL* ssl) { net::write_all(ssl, bytes); });
  }
  net::TlsCredentials issue(const std::string& name, WallTime now) {
    const auto folder = town_.folder.path() / name;
    const auto issued = value_of(town_.authority->issue_device(folder, now, std::chrono::days(30)));
    return value_of(net::read_credentials(issued.folder, "device"));
  }
  // `chorus-sim fleet` with one device and another clock; the report.
  nlohmann::json run_device(const std::string& name, const std::string& host, std::chrono::seconds clock_shift) {
    const auto credentials = town_.folder.path() / (name + "-credentials");
    static_cast<void>(value_of(town_.authority->issue_fleet(1, credentials, certs::wall_clock())));
    const Ran ran = run_program(
        *town_.supervisor, "/usr/bin/env",
        {"LD_PRELOAD=" CHORUS_SHIFTED_CLOCK, "CHORUS_CLOCK_SHIFT=" + std::to_string(clock_shift.count()),
         program("chorus-sim").string(), "fleet", "--coordinator", host + ":" + std::to_string(town_.coordinator.port),
         "--credentials", credentials.string(), "--ratings", (town_.folder.path() / "ratings.csv").string(), "--users",
         "1", "--out", (town_.folder.path() / name).string(), "--json", "-"});
    EXPECT_EQ(ran.status, 0) << ran.err;
    return nlohmann::json::parse(last_line(ran.out));
  }

  Town town_{{.enrolled = 102, .rounds = 1, .wanted = 100}};
  net::TlsCredentials own_;
  pid_t slow_ = 0;
  std::size_t seen_ = 0;
};

TEST_F(Intruders, WithoutAGoodCertificateAreRefusedWhileTheRoundGoesOn) {
  const WallTime now = certs::wall_clock();
  net::RawSettings settings;
  shake_hands(settings);
  expect_refused("bad_certificate", "showed no certificate");
  settings.own = issue("expired", now - std::chrono::days(40));
  shake_hands(settings);
  expect_refused("expired", "is expired");
  settings.own = issue("early", now + std::chrono::days(40));
  shake_hands(settings);
  expect_refused("not_yet_valid", "clocks");
  settings.own = town_.credentials(101);
  shake_hands(settings);
  expect_refused("revoked", "is revoked");
  Town stranger({.devices = 2});
  settings.own = stranger.credentials(0);
  shake_hands(settings);
  expect_refused("bad_certificate", "not from our enrolment authority");
  settings.own = value_of(net::read_credentials(town_.setup.certificates, "coordinator"));
  shake_hands(settings);
  expect_refused("bad_certificate", "");
  expect_the_round_closes();
}

TEST_F(Intruders, OfOtherProtocolsAreRefusedWhileTheRoundGoesOn) {
  net::RawSettings old;
  old.own = own_;
  old.version = TLS1_2_VERSION;
  shake_hands(old);
  expect_refused("unsupported_version", "TLS 1.3");
  for (const std::string alpn : {"h2", "chorus/2", ""}) {
    net::RawSettings other;
    other.own = own_;
    other.alpn = alpn;
    shake_hands(other);
    expect_refused("tls", "chorus/1");
  }
  static_cast<void>(net::RawPeer::tcp(town_.coordinator.port, [](int socket) {
                      const std::string_view text = "GET / HTTP/1.1\r\n\r\n";
                      ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
                      char byte = 0;
                      while (::recv(socket, &byte, 1, 0) > 0) continue;
                    })->outcome());
  expect_refused("tls", "HTTP");
  send(*wire::encode(protocol::Hello{.protocol_version = 99, .job = ""}));
  expect_refused("unsupported_version", "protocol version 99");
  expect_the_round_closes();
}

TEST_F(Intruders, WithBadFramesAreRefusedWhileTheRoundGoesOn) {
  const Bytes hello = *wire::encode(protocol::Hello{});
  Bytes oversized = hello;
  oversized[3] = 0xff;  // of the length's four bytes, the highest
  send(oversized);
  expect_refused("too_large", "");
  Bytes trailing = hello;
  ++trailing[0];
  trailing.push_back(0);
  send(trailing);
  expect_refused("malformed", "");
  say([&](SSL* ssl) {
    net::write_all(ssl, Bytes(hello.begin(), hello.end() - 1));
    SSL_shutdown(ssl);
  });
  expect_refused("malformed", "");
  send({1, 0, 0, 0, 200});  // no such type
  expect_refused("malformed", "");
  send(*wire::encode(protocol::Ready{}));  // before Hello
  expect_refused("out_of_phase", "");
  Bytes uninvited = hello;
  const Bytes update = *wire::encode(protocol::Update{.session = {}, .offset = 0, .total = 1, .data = {1}});
  uninvited.insert(uninvited.end(), update.begin(), update.end());
  send(uninvited);
  expect_refused("out_of_phase", "");
  expect_the_round_closes();
}

TEST_F(Intruders, WhoSayNothingAreRefusedWhileTheRoundGoesOn) {
  const auto mute = net::RawPeer::tcp(town_.coordinator.port, [](int socket) {
    char byte = 0;
    while (::recv(socket, &byte, 1, 0) > 0) continue;
  });
  net::RawSettings settings;
  settings.own = own_;
  const auto shy = net::RawPeer::client(town_.coordinator.port, settings);
  const auto seconds = [&] { return town_.logged("peer refused"); };
  ASSERT_TRUE(town_.until([&] { return seconds().size() == 2; })) << town_.log();
  for (const auto& line : seconds()) EXPECT_EQ(line.at("reason"), "timeout");
  static_cast<void>(shy->outcome());
  static_cast<void>(mute->outcome());
  expect_the_round_closes();
}

TEST_F(Intruders, ADeviceThatWasSentToAnotherHostRefusesIt) {
  // The certificate names 127.0.0.1.
  const auto report = run_device("astray", "localhost", std::chrono::seconds(0));
  EXPECT_EQ(report.at("errors"), nlohmann::json({{"wrong_host", 1}}));
  EXPECT_THAT(report.at("error_sentences").at("wrong_host").get<std::string>(), HasSubstr("another host"));
  EXPECT_EQ(report.at("devices_connected"), 0);
  expect_refused("bad_certificate", "names another host");
  expect_the_round_closes();
}

TEST_F(Intruders, ADeviceWhoseClockIsWrongSaysSoAndTheOthersGoOn) {
  const auto behind = run_device("behind", "127.0.0.1", -std::chrono::days(100));
  EXPECT_EQ(behind.at("devices_connected"), 0);
  EXPECT_THAT(behind.at("error_sentences").at("not_yet_valid").get<std::string>(), HasSubstr("is the clock right?"));
  // A day is enough where its documents are of today.
  const auto yesterday = run_device("yesterday", "127.0.0.1", -std::chrono::days(1));
  EXPECT_EQ(yesterday.at("devices_connected"), 0);
  EXPECT_THAT(yesterday.at("error_sentences").at("not_yet_valid").get<std::string>(), HasSubstr("is the clock right?"));
  const auto ahead = run_device("ahead", "127.0.0.1", std::chrono::days(60));
  EXPECT_EQ(ahead.at("devices_connected"), 0);
  EXPECT_THAT(ahead.at("error_sentences").at("expired").get<std::string>(), HasSubstr("set the clock right"));
  expect_the_round_closes();
  // A little is no harm, nor is a day while the documents hold: nothing in the protocol compares clocks.
  for (const auto& [name, shift] : {std::pair<std::string, std::chrono::seconds>{"slow", -std::chrono::minutes(2)},
                                    {"tomorrow", std::chrono::days(1)}}) {
    const auto report = run_device(name, "127.0.0.1", shift);
    EXPECT_EQ(report.at("errors"), nlohmann::json::object()) << name;
    EXPECT_EQ(report.at("devices_finished"), 1) << name;
  }
}

}  // namespace
}  // namespace chorus::e2e
