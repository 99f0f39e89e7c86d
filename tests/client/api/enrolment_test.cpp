// From an invitation to a round, and on: a device enrols with the authority's service, syncs with a coordinator,
// renews, follows to another authority while everything runs, and leaves.
#include "client/io/enrolment.hpp"

#include <csignal>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "certs/io/clock.hpp"
#include "certs/io/enrolment_service.hpp"
#include "chorus/client.h"
#include "chorus/client.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/private_key_pem.hpp"
#include "tests/coordinator/io/running_coordinator.hpp"
#include "tests/e2e/town.hpp"

namespace chorus {
namespace {

using coordinator::test::RunningCoordinator;
using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Service {
 public:
  Service(certs::Authority& authority, certs::Authority* successor, certs::Days lifetime = certs::kEnrolledLifetime,
          std::uint16_t port = 0, bool without_invitation = false) {
    certs::ServiceSettings settings;
    settings.port = port;
    settings.hosts = {"127.0.0.1"};
    settings.office.lifetime = lifetime;
    settings.office.without_invitation = without_invitation;
    service_ = e2e::value_of(certs::EnrolmentService::create(std::move(settings), authority, successor, random_));
    thread_ = std::thread([this] { service_->run(); });
  }
  ~Service() {
    service_->stop();
    thread_.join();
  }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  [[nodiscard]] const std::string& address() const { return service_->address(); }
  [[nodiscard]] std::uint16_t port() const {
    return static_cast<std::uint16_t>(std::stoi(address().substr(address().rfind(':') + 1)));
  }

 private:
  sim::SeededRandom random_{17};
  std::unique_ptr<certs::EnrolmentService> service_;
  std::thread thread_;
};

class EnrolmentTest : public ::testing::Test {
 protected:
  EnrolmentTest() {
    RunningCoordinator::Options options;
    options.reload = [this](const auto&) {
      coordinator::Reloaded reloaded;
      const auto credentials = net::read_credentials(town_.coordinator_folder(), "coordinator").value();
      reloaded.tls = net::TlsContext::server(credentials, certs::wall_clock()).value();
      reloaded.admission =
          coordinator::Admission{.authority = identity::Certificate::from_pem(credentials.authority)->info().key,
                                 .revoked = std::make_shared<const identity::RevocationList>(
                                     identity::RevocationList::from_pem(credentials.crl).value())};
      return reloaded;
    };
    town_.start(options);
  }
  std::filesystem::path folder() const { return town_.folder() / "mine"; }
  std::filesystem::path next() const { return town_.folder() / "mine.next"; }
  Client open() const {
    return Client::open({.store = town_.folder() / "me.db", .credentials = folder(), .privacy = {}}).value();
  }
  std::string invitation() {
    const auto text = protocol::enrolment::to_text(town_.authority().invite(certs::wall_clock()).value());
    return {text.data(), text.size()};
  }
  ClientResult<SyncReport> fetch(Client& client, std::vector<std::string>* told = nullptr) {
    SyncOptions options;
    options.coordinators = {"127.0.0.1:" + std::to_string(town_.port())};
    options.rounds = 0;
    options.patience = std::chrono::seconds(60);
    return client.sync(options, [&](const SyncProgress& progress) {
      if (told != nullptr && progress.kind == SyncProgress::Kind::identity) told->push_back(progress.sentence);
    });
  }
  identity::Certificate certificate(const std::filesystem::path& where) const {
    return identity::Certificate::from_pem(bytes_of(where / "device.crt")).value();
  }
  void reload() { town_.daemon().reload(); }

  RunningCoordinator town_;
};

TEST_F(EnrolmentTest, AnInvitationAndAnAddressMakeADeviceThatACoordinatorAccepts) {
  const Service service(town_.authority(), nullptr);
  Client client = open();
  const auto report = client.enrol({.authority = service.address(), .invitation = invitation()});
  ASSERT_TRUE(report) << report.error().sentence;
  EXPECT_FALSE(report->waiting);
  EXPECT_EQ(report->device.size(), 32U);
  EXPECT_GT(report->expires, 0);
  struct stat found{};
  ASSERT_EQ(::stat((folder() / "device.key").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
  const auto synced = fetch(client);
  ASSERT_TRUE(synced) << synced.error().sentence;
  EXPECT_EQ(synced->ending, SyncReport::Ending::complete);
  // The authority has the public half alone.
  const std::string key = bytes_of(folder() / "device.key");
  const std::string secret = key.substr(key.find('\n') + 1, 64);
  for (const auto& file : std::filesystem::directory_iterator(town_.folder() / "authority")) {
    EXPECT_THAT(bytes_of(file.path()), Not(HasSubstr(secret))) << file.path();
  }
  // An identity is not replaced in passing.
  const auto again = client.enrol({.authority = service.address(), .invitation = invitation()});
  EXPECT_EQ(again.error().kind, ClientErrorKind::storage);
}

TEST_F(EnrolmentTest, AnAnswerThatWasLostIsAskedForAgainWithTheSameKey) {
  const std::string invited = invitation();
  Client client = open();
  const auto nobody = client.enrol({.authority = "127.0.0.1:1", .invitation = invited});
  EXPECT_EQ(nobody.error().kind, ClientErrorKind::network);
  const std::string key = bytes_of(folder() / "device.key");
  EXPECT_FALSE(std::filesystem::exists(folder() / "device.crt"));
  const Service service(town_.authority(), nullptr);
  ASSERT_TRUE(client.enrol({.authority = service.address(), .invitation = invited}));
  EXPECT_EQ(bytes_of(folder() / "device.key"), key);
}

TEST_F(EnrolmentTest, WithoutATokenItWaitsForTheOperatorAndTheProgramSaysSo) {
  const Service service(town_.authority(), nullptr, certs::kEnrolledLifetime, 0, true);
  const std::string open_invitation = invitation().substr(0, 64);
  const auto program = [&](const std::string& command) {
    return e2e::run_program("chorus-client",
                            {command, "--json", "--store", (town_.folder() / "me.db").string(), "--credentials",
                             folder().string(), "--authority", service.address(), "--invitation", open_invitation});
  };
  const e2e::Ran asked = program("enrol");
  EXPECT_EQ(asked.status, 8) << asked.err;
  const json waiting = json::parse(asked.out);
  EXPECT_EQ(waiting["waiting"], true);
  const auto requests = town_.authority().enrolments()->requests();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(to_hex(requests[0].key), waiting["key"]) << "what both people compare";
  ASSERT_TRUE(town_.authority().decide(requests[0].key, true, certs::wall_clock()));
  const e2e::Ran enrolled = program("enrol");
  EXPECT_EQ(enrolled.status, 0) << enrolled.err;
  EXPECT_EQ(json::parse(enrolled.out)["waiting"], false);
}

TEST_F(EnrolmentTest, AWrongInvitationEnrolsNobodyAndNamesWhatToDo) {
  const Service service(town_.authority(), nullptr);
  Client client = open();
  const std::string good = invitation();
  std::string forged = good;
  forged.back() = forged.back() == '0' ? '1' : '0';
  const auto refused = client.enrol({.authority = service.address(), .invitation = forged});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ClientErrorKind::trust);
  EXPECT_THAT(refused.error().sentence, HasSubstr("ask for another"));
  const auto half = client.enrol({.authority = service.address(), .invitation = good.substr(0, 80)});
  EXPECT_EQ(half.error().kind, ClientErrorKind::input);
  // Somebody else's authority at that address: the token is not shown to it.
  std::string other = good;
  other[0] = other[0] == '0' ? '1' : '0';
  EXPECT_EQ(client.enrol({.authority = service.address(), .invitation = other}).error().kind, ClientErrorKind::trust);
  EXPECT_FALSE(std::filesystem::exists(folder() / "device.crt"));
  EXPECT_TRUE(client.enrol({.authority = service.address(), .invitation = good}));
}

TEST_F(EnrolmentTest, ASyncRenewsInTimeAndNotBefore) {
  Client client = open();
  std::vector<std::string> told;
  {
    // Whose list, of 30 days, and certificate, of a day, are both fresh.
    const Service service(town_.authority(), nullptr, certs::Days(1));
    ASSERT_TRUE(client.enrol({.authority = service.address(), .invitation = invitation()}));
    const auto first = certificate(folder());
    ASSERT_TRUE(fetch(client, &told));
    EXPECT_THAT(told, IsEmpty());
    EXPECT_EQ(certificate(folder()), first);
    const WallTime begins = first.info().validity.not_before;
    const WallTime ends = first.info().validity.not_after;
    EXPECT_FALSE(client::is_renewal_due(folder(), begins + (ends - begins) / 2));
    EXPECT_TRUE(client::is_renewal_due(folder(), ends - (ends - begins) / 3));
    EXPECT_TRUE(client::is_renewal_due(folder(), ends + std::chrono::days(3)));
    EXPECT_FALSE(client::is_renewal_due(folder(), begins - std::chrono::days(300))) << "a clock that went back";
    const auto renewed = client::renew(folder(), certs::wall_clock());
    ASSERT_TRUE(renewed) << renewed.error().to_string();
    EXPECT_NE(certificate(folder()), first);
    EXPECT_EQ(certificate(folder()).info().key, first.info().key);
    EXPECT_EQ(certificate(folder()).info().device, first.info().device);
    ASSERT_TRUE(fetch(client));
  }
  // Nobody there: the old one serves on.
  EXPECT_EQ(client.renew().error().kind, ClientErrorKind::network);
  EXPECT_TRUE(fetch(client));
}

TEST_F(EnrolmentTest, AListThatIsAboutToEndMakesASyncRenew) {
  const Service service(town_.authority(), nullptr);
  Client client = open();
  // A list of a day.
  ASSERT_TRUE(town_.authority().sign_list(certs::wall_clock(), certs::Days(1)));
  ASSERT_TRUE(client.enrol({.authority = service.address(), .invitation = invitation()}));
  const auto list = identity::RevocationList::from_pem(bytes_of(folder() / "crl.pem")).value();
  ASSERT_TRUE(client::is_renewal_due(folder(), list.next_update() - std::chrono::hours(7)));
  ASSERT_FALSE(client::is_renewal_due(folder(), list.this_update() + std::chrono::hours(12)));
}

TEST_F(EnrolmentTest, ForgettingAsksTheAuthorityToRevokeTheDevice) {
  const Service service(town_.authority(), nullptr);
  Client client = open();
  ASSERT_TRUE(client.enrol({.authority = service.address(), .invitation = invitation()}));
  const auto serial = certificate(folder()).info().serial;
  const auto report = client.forget();
  ASSERT_TRUE(report) << report.error().sentence;
  EXPECT_TRUE(report->revoked) << report->trouble;
  EXPECT_TRUE(town_.authority().revocation_list()->contains(serial));
  EXPECT_FALSE(std::filesystem::exists(folder() / "device.key"));
  EXPECT_FALSE(std::filesystem::exists(folder() / "enrolment.address"));
}

TEST_F(EnrolmentTest, ForgettingWithoutTheAuthorityForgetsAllTheSame) {
  Client client = open();
  {
    const Service service(town_.authority(), nullptr);
    ASSERT_TRUE(client.enrol({.authority = service.address(), .invitation = invitation()}));
  }
  const auto report = client.forget();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->revoked);
  EXPECT_THAT(report->trouble, Not(IsEmpty()));
  EXPECT_FALSE(std::filesystem::exists(folder() / "device.key"));
}

// The drill of certs/README.md, with everything running.
TEST_F(EnrolmentTest, AnotherAuthorityTakesOverWithoutAStop) {
  Client client = open();
  auto service = std::make_unique<Service>(town_.authority(), nullptr);
  ASSERT_TRUE(client.enrol({.authority = service->address(), .invitation = invitation()}));
  ASSERT_TRUE(fetch(client));
  const auto before = certificate(folder());

  // 1. A successor that knows everybody; the service gives both words from now on.
  certs::Authority successor =
      e2e::value_of(town_.authority().found_successor(town_.folder() / "authority-next", certs::wall_clock()));
  const std::uint16_t port = service->port();
  service.reset();
  service = std::make_unique<Service>(town_.authority(), &successor, certs::kEnrolledLifetime, port);
  ASSERT_TRUE(client.renew());
  EXPECT_EQ(certificate(next()).info().device, before.info().device);
  EXPECT_EQ(certificate(next()).info().key, before.info().key);
  // 2. Until the coordinator goes over, nothing changes.
  std::vector<std::string> told;
  ASSERT_TRUE(fetch(client, &told));
  EXPECT_THAT(told, IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(next()));
  // 3. The coordinator's certificate is renewed by the successor, same key, and it reloads.
  ASSERT_TRUE(successor.renew(town_.coordinator_folder(), certs::wall_clock()));
  auto waiting = e2e::value_of(coordinator::test::Peer::connect(town_.enrol(), town_.port()));
  ASSERT_TRUE(waiting->send(protocol::Hello{}));
  ASSERT_TRUE(waiting->receive()) << "welcome";
  reload();
  const auto sent_away = waiting->last_words();
  ASSERT_TRUE(sent_away) << "who is connected under the old one comes again";
  EXPECT_EQ(sent_away->code, ErrorCode::closed);
  const auto old_only = town_.folder() / "old";
  ASSERT_TRUE(town_.authority().issue_device(old_only, certs::wall_clock()));
  // 4. A device follows by itself, keeps its coordinator, and is the same device.
  told.clear();
  const auto synced = fetch(client, &told);
  ASSERT_TRUE(synced) << synced.error().sentence;
  EXPECT_THAT(told, Contains(HasSubstr("taken over")));
  EXPECT_FALSE(std::filesystem::exists(next()));
  EXPECT_EQ(identity::Certificate::from_pem(bytes_of(folder() / "authority.crt")).value(), successor.certificate());
  EXPECT_EQ(certificate(folder()).info().device, before.info().device);
  told.clear();
  ASSERT_TRUE(fetch(client, &told));
  EXPECT_THAT(told, IsEmpty());
  // 5. Who did not renew in time is turned away, and says of whom.
  Client late = Client::open({.store = town_.folder() / "late.db", .credentials = old_only, .privacy = {}}).value();
  EXPECT_EQ(fetch(late).error().kind, ClientErrorKind::trust);
  // 6. The successor's own service renews it from then on.
  service.reset();
  service = std::make_unique<Service>(successor, nullptr, certs::kEnrolledLifetime, port);
  const auto renewed = client.renew();
  EXPECT_TRUE(renewed) << renewed.error().sentence;
}

// The README's path, by the programs alone.
TEST_F(EnrolmentTest, TheProgramsEnrolApproveFetchAndRevoke) {
  const auto supervisor = e2e::value_of(sim::Supervisor::create());
  const std::string authority = (town_.folder() / "authority").string();
  const auto run = [&](const std::string& name, std::vector<std::string> arguments) {
    return e2e::run_program(*supervisor, e2e::program(name), std::move(arguments), std::chrono::seconds(60));
  };
  const auto certs = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--json", "--authority", authority});
    return run("chorus-certs", std::move(arguments));
  };
  std::string said;
  std::optional<sim::ExitStatus> end;
  sim::Supervisor::Watch watch;
  watch.on_error = [&](std::string_view line) { said.append(line).append("\n"); };
  watch.on_exit = [&](const sim::ExitStatus& status) { end = status; };
  sim::ProcessOptions serve;
  serve.program = e2e::program("chorus-certs");
  const auto place = town_.folder() / "address";
  serve.arguments = {"serve", "--authority",          authority,        "--host",      "127.0.0.1", "--port",
                     "0",     "--without-invitation", "--address-file", place.string()};
  const pid_t service = e2e::value_of(supervisor->start(serve, watch));
  ASSERT_EQ(supervisor->run([&] { return said.find("listening") != std::string::npos || end; },
                            std::chrono::steady_clock::now() + std::chrono::seconds(60)),
            sim::Supervisor::Reason::done);
  ASSERT_FALSE(end) << said;
  std::string address = bytes_of(place);
  address.pop_back();

  const auto client = [&](const std::string& command, const std::string& device, std::vector<std::string> more) {
    std::vector<std::string> arguments{command,         "--json",
                                       "--store",       (town_.folder() / (device + ".db")).string(),
                                       "--credentials", (town_.folder() / device).string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run("chorus-client", std::move(arguments));
  };
  // By an invitation, once.
  const json invited = json::parse(certs({"invite", "--hours", "1"}).out);
  const std::string text = invited["invitation"];
  EXPECT_EQ(client("enrol", "anna", {"--authority", address, "--invitation", text}).status, 0);
  EXPECT_EQ(client("enrol", "eve", {"--authority", address, "--invitation", text}).status, 5);
  EXPECT_EQ(certs({"withdraw", invited["number"]}).status, 1) << "it was used";
  const json unused = json::parse(certs({"invite"}).out);
  EXPECT_EQ(certs({"withdraw", unused["number"]}).status, 0);
  EXPECT_EQ(client("enrol", "eve", {"--authority", address, "--invitation", unused["invitation"]}).status, 5);
  // Without --json the text is alone on standard output, for a pipe or $(…).
  const auto shown = run("chorus-certs", {"invite", "--authority", authority});
  EXPECT_EQ(shown.out.size(), 64U + 1 + 48 + 1) << shown.out;
  EXPECT_NE(shown.err.find("enrols one device, once"), std::string::npos) << shown.err;
  // By an operator.
  const std::string open_to_all = json::parse(certs({"invite", "--ask"}).out)["invitation"];
  EXPECT_EQ(client("enrol", "bob", {"--authority", address, "--invitation", open_to_all}).status, 8);
  EXPECT_EQ(client("enrol", "mallory", {"--authority", address, "--invitation", open_to_all}).status, 8);
  const json waiting = json::parse(certs({"requests"}).out)["waiting"];
  ASSERT_EQ(waiting.size(), 2U);
  EXPECT_EQ(certs({"approve", waiting[0].get<std::string>().substr(0, 12)}).status, 0);
  EXPECT_EQ(certs({"decline", waiting[1]}).status, 0);
  EXPECT_EQ(certs({"approve", waiting[1]}).status, 1);
  EXPECT_EQ(client("enrol", "bob", {"--authority", address, "--invitation", open_to_all}).status, 0);
  EXPECT_EQ(client("enrol", "mallory", {"--authority", address, "--invitation", open_to_all}).status, 5);
  EXPECT_EQ(client("renew", "bob", {}).status, 0);
  // A lost device: revoked, the list fetched to where the coordinator is, and not renewed by its finder.
  const std::string device = json::parse(client("renew", "anna", {}).out)["device"];
  const e2e::Ran revoked = certs({"revoke", device});
  EXPECT_EQ(revoked.status, 0) << revoked.err;
  EXPECT_EQ(client("renew", "anna", {}).status, 5);
  const auto list_in = [](const std::filesystem::path& folder) { return bytes_of(folder / "crl.pem"); };
  ASSERT_NE(list_in(town_.coordinator_folder()), list_in(authority));
  const e2e::Ran fetched =
      run("chorus-certs", {"fetch", "--from", address, "--out", town_.coordinator_folder().string()});
  EXPECT_EQ(fetched.status, 0) << fetched.err;
  EXPECT_EQ(list_in(town_.coordinator_folder()), list_in(authority));
  // Whom a person forgets.
  const e2e::Ran forgot = client("forget", "bob", {"--yes"});
  EXPECT_EQ(forgot.status, 0) << forgot.err;
  EXPECT_EQ(json::parse(forgot.out)["revoked"], true);
  // The next authority.
  const std::string next = (town_.folder() / "next").string();
  EXPECT_EQ(certs({"succeed", "--out", next}).status, 0);
  EXPECT_EQ(run("chorus-certs", {"renew", town_.coordinator_folder().string(), "--authority", next}).status, 0);

  supervisor->signal(service, SIGTERM);
  ASSERT_EQ(
      supervisor->run([&] { return end.has_value(); }, std::chrono::steady_clock::now() + std::chrono::seconds(60)),
      sim::Supervisor::Reason::done);
  EXPECT_EQ(end->status, 0) << said;
  EXPECT_THAT(said, Not(HasSubstr(text.substr(65)))) << "no token is logged";
}

TEST_F(EnrolmentTest, TheCFaceEnrolsAndRenews) {
  const Service service(town_.authority(), nullptr);
  chorus_client* client = nullptr;
  ASSERT_EQ(chorus_client_open((town_.folder() / "c.db").c_str(), folder().c_str(), &client), CHORUS_OK);
  int waiting = -1;
  EXPECT_EQ(chorus_client_enrol(client, service.address().c_str(), nullptr, &waiting), CHORUS_USAGE);
  EXPECT_EQ(chorus_client_enrol(client, service.address().c_str(), "half", &waiting), CHORUS_INPUT);
  EXPECT_EQ(chorus_client_enrol(client, service.address().c_str(), invitation().c_str(), &waiting), CHORUS_OK)
      << chorus_error_message();
  EXPECT_EQ(waiting, 0);
  EXPECT_EQ(chorus_client_renew(client), CHORUS_OK) << chorus_error_message();
  EXPECT_EQ(chorus_client_renew(nullptr), CHORUS_USAGE);
  chorus_client_close(client);
}

}  // namespace
}  // namespace chorus
