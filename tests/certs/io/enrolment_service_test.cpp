// The enrolment service on loopback, over real TLS: who gets a certificate, who does not, and what strangers may do.
#include "certs/io/enrolment_service.hpp"

#include <thread>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "certs/io/clock.hpp"
#include "common/crypto/hash.hpp"
#include "common/identity/certificate_request.hpp"
#include "common/identity/chain.hpp"
#include "common/identity/private_key_pem.hpp"
#include "common/net/enrolment_call.hpp"
#include "common/net/enrolment_channel.hpp"
#include "common/net/tls_context.hpp"
#include "simulations/support/seeded_random.hpp"
#include "tests/certs/temporary_folder.hpp"

namespace chorus::certs {
namespace {

namespace enrolment = protocol::enrolment;
using ::testing::HasSubstr;

// A service on a port of its own, on a thread.
class RunningService {
 public:
  RunningService(Authority& authority, Authority* successor, crypto::RandomSource& random,
                 ServiceSettings settings = {}) {
    settings.port = 0;
    if (settings.hosts.empty()) settings.hosts = {"127.0.0.1", "localhost"};
    auto made = EnrolmentService::create(std::move(settings), authority, successor, random);
    EXPECT_TRUE(made) << made.error().to_string();
    service_ = *std::move(made);
    thread_ = std::thread([this] { service_->run(); });
  }
  ~RunningService() {
    service_->stop();
    thread_.join();
  }
  RunningService(const RunningService&) = delete;
  RunningService& operator=(const RunningService&) = delete;
  [[nodiscard]] net::EnrolmentPlace place(const identity::Certificate& authority) const {
    return net::parse_enrolment_place(service_->address(), crypto::sha256(authority.der())).value();
  }
  [[nodiscard]] std::uint16_t port() const {
    const std::string& address = service_->address();
    return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }

 private:
  std::unique_ptr<EnrolmentService> service_;
  std::thread thread_;
};

class EnrolmentServiceTest : public ::testing::Test {
 protected:
  EnrolmentServiceTest() : authority_(Authority::create(folder_.path() / "authority", now_, random_).value()) {}

  void serve(ServiceSettings settings = {}, Authority* successor = nullptr) {
    service_.emplace(authority_, successor, service_random_, std::move(settings));
  }
  Result<net::EnrolmentAnswer> ask(const net::Ask& ask) {
    return net::ask_authority(service_->place(authority_.certificate()), ask, now_);
  }
  enrolment::Token invitation() {
    auto invitation = authority_.invite(now_);
    EXPECT_TRUE(invitation) << invitation.error().to_string();
    return std::move(invitation->token).value();
  }
  static enrolment::Token copy(const enrolment::Token& token) {
    enrolment::Token made;
    made.number = token.number;
    made.secret = crypto::SecretBytes<16>(token.secret.expose());
    return made;
  }
  Result<net::EnrolmentAnswer> enrol(const crypto::SigningKey& key, const enrolment::Token* token) {
    return ask([&](const enrolment::Challenge&) -> Result<enrolment::Request> {
      enrolment::Enrol request{.request = identity::make_certificate_request(key), .token = {}};
      if (token != nullptr) request.token = copy(*token);
      return enrolment::Request(std::move(request));
    });
  }
  Result<net::EnrolmentAnswer> renew(const crypto::SigningKey& key, const identity::Serial& serial) {
    return ask([&](const enrolment::Challenge& challenge) -> Result<enrolment::Request> {
      enrolment::Renew request{.serial = serial, .request = identity::make_certificate_request(key), .proof = {}};
      request.proof =
          key.sign(enrolment::kRenewalLabel,
                   enrolment::renewal_bytes(challenge, crypto::sha256(authority_.certificate().der()), request));
      return enrolment::Request(std::move(request));
    });
  }
  Result<net::EnrolmentAnswer> resign(const crypto::SigningKey& key, const identity::Serial& serial) {
    return ask([&](const enrolment::Challenge& challenge) -> Result<enrolment::Request> {
      enrolment::Resign request{.serial = serial, .proof = {}};
      request.proof =
          key.sign(enrolment::kResignationLabel,
                   enrolment::resignation_bytes(challenge, crypto::sha256(authority_.certificate().der()), request));
      return enrolment::Request(std::move(request));
    });
  }
  static ErrorCode refusal(const Result<net::EnrolmentAnswer>& answer) {
    return answer ? ErrorCode::already_exists : answer.error().code();
  }
  static identity::Certificate certificate_of(const Result<net::EnrolmentAnswer>& answer) {
    return identity::Certificate::from_der(std::get<enrolment::Issued>(answer.value().answer).documents.certificate)
        .value();
  }

  TemporaryFolder folder_;
  sim::SeededRandom random_{11};
  sim::SeededRandom service_random_{12};  // the service's thread's
  const WallTime now_ = wall_clock();
  Authority authority_;
  std::optional<RunningService> service_;
  const crypto::SigningKey anna_ = crypto::SigningKey::generate(random_);
  const crypto::SigningKey eve_ = crypto::SigningKey::generate(random_);
};

TEST_F(EnrolmentServiceTest, AnInvitationMakesADeviceWhoseKeyNeverLeftIt) {
  serve();
  const auto token = invitation();
  const auto answer = enrol(anna_, &token);
  ASSERT_TRUE(answer) << answer.error().to_string();
  const auto& issued = std::get<enrolment::Issued>(answer->answer);
  EXPECT_FALSE(issued.successor);
  EXPECT_EQ(answer->authority, authority_.certificate());
  const identity::Certificate certificate = certificate_of(answer);
  EXPECT_EQ(certificate.info().key, anna_.public_key());
  EXPECT_LE(certificate.info().validity.not_after, wall_clock() + kEnrolledLifetime) << "short-lived";
  EXPECT_TRUE(
      identity::verify(certificate, authority_.certificate(), answer->list, now_, identity::SubjectKind::device));
  const auto statement = identity::decode_identity_statement(issued.documents.statement);
  ASSERT_TRUE(statement);
  EXPECT_TRUE(identity::check(*statement, authority_.certificate().info().key, now_));
  EXPECT_EQ(statement->key, anna_.public_key());
  EXPECT_EQ(statement->id, certificate.info().device);
  // It is in the index, and the folder holds no key of a device.
  EXPECT_NE(authority_.registry()->find(certificate.info().serial), nullptr);
}

TEST_F(EnrolmentServiceTest, AnInvitationHoldsOnceForOneKey) {
  serve();
  const auto token = invitation();
  const auto first = enrol(anna_, &token);
  ASSERT_TRUE(first);
  EXPECT_EQ(refusal(enrol(eve_, &token)), ErrorCode::bad_identity);
  const auto again = enrol(anna_, &token);
  ASSERT_TRUE(again) << "the answer may have been lost";
  EXPECT_EQ(certificate_of(again).info().device, certificate_of(first).info().device);
  auto forged = copy(token);
  forged.secret.expose()[0] ^= 1;
  EXPECT_EQ(refusal(enrol(eve_, &forged)), ErrorCode::bad_identity);
}

TEST_F(EnrolmentServiceTest, WithoutAnInvitationAnOperatorDecides) {
  serve();
  EXPECT_EQ(refusal(enrol(anna_, nullptr)), ErrorCode::bad_identity) << "which must be asked for";
  service_.reset();
  ServiceSettings settings;
  settings.office.without_invitation = true;
  serve(std::move(settings));
  const auto waiting = enrol(anna_, nullptr);
  ASSERT_TRUE(waiting) << waiting.error().to_string();
  EXPECT_TRUE(std::holds_alternative<enrolment::Pending>(waiting->answer));
  ASSERT_TRUE(enrol(eve_, nullptr));
  ASSERT_TRUE(authority_.decide(anna_.public_key(), true, now_));
  ASSERT_TRUE(authority_.decide(eve_.public_key(), false, now_));
  EXPECT_EQ(certificate_of(enrol(anna_, nullptr)).info().key, anna_.public_key());
  EXPECT_EQ(refusal(enrol(eve_, nullptr)), ErrorCode::bad_identity);
}

TEST_F(EnrolmentServiceTest, ADeviceRenewsByItsKeyAloneAndKeepsItsIdAndEnrolment) {
  serve();
  const auto token = invitation();
  const auto first = enrol(anna_, &token);
  ASSERT_TRUE(first);
  const identity::Certificate old = certificate_of(first);
  const auto renewed = renew(anna_, old.info().serial);
  ASSERT_TRUE(renewed) << renewed.error().to_string();
  const identity::Certificate made = certificate_of(renewed);
  EXPECT_EQ(made.info().device, old.info().device);
  EXPECT_EQ(made.info().key, old.info().key);
  EXPECT_NE(made.info().serial, old.info().serial);
  const auto statement = [](const Result<net::EnrolmentAnswer>& answer) {
    return identity::decode_identity_statement(std::get<enrolment::Issued>(answer->answer).documents.statement).value();
  };
  EXPECT_EQ(statement(renewed).enrolled_at, statement(first).enrolled_at);
  // Another key cannot, nor for itself under this number.
  EXPECT_EQ(refusal(renew(eve_, old.info().serial)), ErrorCode::bad_key);
  EXPECT_EQ(refusal(renew(anna_, {1, 2, 3})), ErrorCode::not_found);
}

TEST_F(EnrolmentServiceTest, AProofOfAnotherConversationIsWorthNothing) {
  serve();
  const auto token = invitation();
  const auto first = enrol(anna_, &token);
  ASSERT_TRUE(first);
  const identity::Serial serial = certificate_of(first).info().serial;
  enrolment::Resign captured{.serial = serial, .proof = {}};
  const Digest authority = crypto::sha256(authority_.certificate().der());
  const auto replay = ask([&](const enrolment::Challenge& challenge) -> Result<enrolment::Request> {
    enrolment::Challenge other = challenge;
    other.nonce[0] ^= 1;
    captured.proof = anna_.sign(enrolment::kResignationLabel, enrolment::resignation_bytes(other, authority, captured));
    return enrolment::Request(captured);
  });
  EXPECT_EQ(refusal(replay), ErrorCode::bad_signature);
  // A renewal's signature is no resignation.
  const auto mixed = ask([&](const enrolment::Challenge& challenge) -> Result<enrolment::Request> {
    enrolment::Resign wrong{.serial = serial, .proof = {}};
    wrong.proof = anna_.sign(enrolment::kRenewalLabel, enrolment::resignation_bytes(challenge, authority, wrong));
    return enrolment::Request(wrong);
  });
  EXPECT_EQ(refusal(mixed), ErrorCode::bad_signature);
  EXPECT_TRUE(renew(anna_, serial));
}

TEST_F(EnrolmentServiceTest, ADeviceThatLeavesIsOnTheListAndIsNotRenewed) {
  serve();
  const auto token = invitation();
  const auto first = enrol(anna_, &token);
  const identity::Certificate certificate = certificate_of(first);
  EXPECT_EQ(refusal(resign(eve_, certificate.info().serial)), ErrorCode::bad_signature);
  const auto left = resign(anna_, certificate.info().serial);
  ASSERT_TRUE(left) << left.error().to_string();
  const auto list = identity::RevocationList::from_der(std::get<enrolment::Resigned>(left->answer).list);
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->contains(certificate.info().serial));
  EXPECT_EQ(refusal(renew(anna_, certificate.info().serial)), ErrorCode::revoked);
  EXPECT_EQ(refusal(enrol(anna_, &token)), ErrorCode::revoked) << "nor by the invitation that it once had";
  // Everybody may fetch the list.
  const auto fetched = ask([](const enrolment::Challenge&) -> Result<enrolment::Request> {
    return enrolment::Request(enrolment::FetchList{});
  });
  ASSERT_TRUE(fetched);
  EXPECT_EQ(fetched->list, *list);
}

TEST_F(EnrolmentServiceTest, ALostDeviceIsNotRenewedByWhoFoundIt) {
  serve();
  const auto token = invitation();
  const auto first = enrol(anna_, &token);
  const identity::CertificateInfo info = certificate_of(first).info();
  ASSERT_TRUE(authority_.revoke_device(*info.device, now_));
  EXPECT_EQ(refusal(renew(anna_, info.serial)), ErrorCode::revoked);
}

TEST_F(EnrolmentServiceTest, ACertificateThatEndedNotLongAgoStillRenews) {
  sim::SeededRandom random(5);
  Authority old = Authority::create(folder_.path() / "old", now_ - std::chrono::days(300), random).value();
  const auto recent = old.issue_device(folder_.path() / "recent", now_ - std::chrono::days(60), Days(30));
  const auto ancient = old.issue_device(folder_.path() / "ancient", now_ - std::chrono::days(200), Days(30));
  ASSERT_TRUE(recent && ancient);
  EXPECT_TRUE(old.renewable(recent->info.serial, now_));
  EXPECT_EQ(old.renewable(ancient->info.serial, now_).error().code(), ErrorCode::expired);
}

TEST_F(EnrolmentServiceTest, AListThatIsAboutToEndIsSignedAnewWhereTheServiceRuns) {
  const auto fresh = authority_.revocation_list().value();
  serve();
  EXPECT_EQ(authority_.revocation_list().value(), fresh);
  service_.reset();
  const auto old = authority_.sign_list(now_, Days(10)).value();
  serve();
  const auto signed_anew = authority_.revocation_list().value();
  EXPECT_GT(signed_anew.number(), old.number());
  EXPECT_GE(signed_anew.next_update(), now_ + kRevocationListLifetime);
}

TEST_F(EnrolmentServiceTest, OneDeviceIsNotCertifiedWithoutEnd) {
  serve();
  const auto token = invitation();
  const auto first = enrol(anna_, &token);
  const identity::Serial serial = certificate_of(first).info().serial;
  for (std::size_t i = 1; i < kMostInAnHour; ++i) ASSERT_TRUE(renew(anna_, serial)) << i;
  EXPECT_EQ(refusal(renew(anna_, serial)), ErrorCode::overloaded);
  EXPECT_EQ(authority_.registry()->count_of(*certificate_of(first).info().device, now_ - 1h), kMostInAnHour);
}

// ---- whom a device believes

TEST_F(EnrolmentServiceTest, AnotherAuthorityIsNotBelieved) {
  serve();
  sim::SeededRandom random(5);
  const Authority other = Authority::create(folder_.path() / "other", now_, random).value();
  const auto answer = net::ask_authority(
      service_->place(other.certificate()),
      [](const enrolment::Challenge&) -> Result<enrolment::Request> {
        ADD_FAILURE() << "nothing is asked of a stranger";
        return enrolment::Request(enrolment::FetchList{});
      },
      now_);
  EXPECT_EQ(refusal(answer), ErrorCode::bad_certificate);
}

asio::awaitable<void> shake_hands(net::EnrolmentChannel* channel) {
  static_cast<void>(co_await channel->handshake(10s));
  co_await channel->finish(10s);
}

TEST_F(EnrolmentServiceTest, ACoordinatorOfTheSameAuthorityCannotPassForIt) {
  // Its certificate is the authority's word for a server at this address: that alone must not do.
  ASSERT_TRUE(
      authority_.issue_coordinator(std::vector<std::string>{"127.0.0.1"}, folder_.path() / "coordinator", now_));
  const auto documents = net::read_credentials(folder_.path() / "coordinator", "coordinator").value();
  const auto tls =
      net::EnrolmentTls::service(identity::Certificate::from_pem(documents.certificate).value(),
                                 identity::parse_private_key_pem(documents.key).value(), authority_.certificate());
  ASSERT_TRUE(tls);
  asio::io_context context;
  asio::ip::tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  std::thread impostor([&] {
    net::EnrolmentChannel channel(acceptor.accept(), *tls);
    asio::co_spawn(context, shake_hands(&channel), asio::detached);
    context.run();
  });
  bool asked = false;
  const auto answer = net::ask_authority(
      {.host = "127.0.0.1",
       .port = acceptor.local_endpoint().port(),
       .authority = crypto::sha256(authority_.certificate().der())},
      [&](const enrolment::Challenge&) -> Result<enrolment::Request> {
        asked = true;
        return enrolment::Request(enrolment::FetchList{});
      },
      now_);
  impostor.join();
  EXPECT_EQ(refusal(answer), ErrorCode::bad_certificate);
  EXPECT_FALSE(asked);
  // Nor does it get a certificate that would.
  EXPECT_EQ(authority_
                .issue_coordinator(std::vector<std::string>{std::string(enrolment::kServiceName)},
                                   folder_.path() / "another", now_)
                .error()
                .code(),
            ErrorCode::invalid_argument);
}

TEST_F(EnrolmentServiceTest, TheServicesCertificateNamesItsHostAndMayBeRevoked) {
  ServiceSettings elsewhere;
  elsewhere.hosts = {"elsewhere.example"};
  serve(std::move(elsewhere));
  EXPECT_EQ(refusal(enrol(anna_, nullptr)), ErrorCode::wrong_host);
  service_.reset();
  serve();
  EXPECT_EQ(refusal(enrol(anna_, nullptr)), ErrorCode::bad_identity) << "its own word, not TLS's";
  const Registry index = authority_.registry().value();
  for (const IssuedCertificate& issued : index.all()) {
    EXPECT_FALSE(issued.info.device) << "nobody was enrolled";
    ASSERT_TRUE(authority_.revoke_certificate(issued.info.serial, now_));
  }
  EXPECT_EQ(refusal(enrol(anna_, nullptr)), ErrorCode::revoked) << "before the invitation is shown to it";
}

// ---- what strangers may do

class Stranger {
 public:
  explicit Stranger(std::uint16_t port) : socket_(context_) {
    socket_.connect({asio::ip::make_address("127.0.0.1"), port});
  }
  void say(const std::string& text) {
    asio::error_code ignored;
    asio::write(socket_, asio::buffer(text), ignored);
  }
  // Until the service closes.
  bool is_closed() {
    char dropped[256];
    asio::error_code error;
    while (!error) socket_.read_some(asio::buffer(dropped), error);
    return error == asio::error::eof || error == asio::error::connection_reset;
  }

 private:
  asio::io_context context_;
  asio::ip::tcp::socket socket_;
};

TEST_F(EnrolmentServiceTest, WhoSaysNothingOrNonsenseIsDroppedAndTheOthersAreServed) {
  ServiceSettings settings;
  settings.patience = std::chrono::milliseconds(300);
  settings.most_connections = 3;
  serve(std::move(settings));
  Stranger silent(service_->port());
  Stranger web(service_->port());
  web.say("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(web.is_closed());
  EXPECT_TRUE(silent.is_closed());
  // As many as there may be, all silent: they cost the others their patience at most.
  std::vector<std::unique_ptr<Stranger>> crowd;
  for (int i = 0; i < 6; ++i) crowd.push_back(std::make_unique<Stranger>(service_->port()));
  const auto token = invitation();
  const auto answer = enrol(anna_, &token);
  EXPECT_TRUE(answer) << answer.error().to_string();
}

// ---- another authority follows

TEST_F(EnrolmentServiceTest, ASuccessorVouchesForTheSameDevicesWhileTheOldOneGoesOn) {
  sim::SeededRandom random(6);
  const auto token = invitation();
  std::optional<Authority> successor;
  serve();
  const auto before = enrol(anna_, &token);
  ASSERT_TRUE(before);
  const auto lost = invitation();
  const auto lost_device = enrol(eve_, &lost);
  ASSERT_TRUE(authority_.revoke_device(*certificate_of(lost_device).info().device, now_));
  service_.reset();

  successor = authority_.found_successor(folder_.path() / "next", now_).value();
  ServiceSettings settings;
  settings.office.successor_address = "next.example:7444";
  serve(std::move(settings), &*successor);
  const auto renewed = renew(anna_, certificate_of(before).info().serial);
  ASSERT_TRUE(renewed) << renewed.error().to_string();
  const auto& issued = std::get<enrolment::Issued>(renewed->answer);
  ASSERT_TRUE(issued.successor);
  EXPECT_EQ(issued.successor->address, "next.example:7444");
  const auto next = identity::Certificate::from_der(issued.successor->documents.certificate).value();
  const auto root = identity::Certificate::from_der(issued.successor->documents.authority).value();
  const auto list = identity::RevocationList::from_der(issued.successor->documents.list).value();
  EXPECT_EQ(root, successor->certificate());
  EXPECT_TRUE(identity::verify(next, root, list, now_, identity::SubjectKind::device));
  EXPECT_EQ(next.info().device, certificate_of(before).info().device);
  EXPECT_EQ(next.info().key, anna_.public_key());
  const auto statement = identity::decode_identity_statement(issued.successor->documents.statement).value();
  const auto old_statement =
      identity::decode_identity_statement(std::get<enrolment::Issued>(before->answer).documents.statement).value();
  EXPECT_EQ(statement.enrolled_at, old_statement.enrolled_at) << "a year of enrolment is not lost";
  // What was revoked before stays so.
  EXPECT_TRUE(list.revokes(identity::RevokedDevice{*certificate_of(lost_device).info().device, eve_.public_key()}));
  EXPECT_EQ(refusal(renew(eve_, certificate_of(lost_device).info().serial)), ErrorCode::revoked);
  // Who leaves now, leaves both.
  ASSERT_TRUE(resign(anna_, certificate_of(before).info().serial));
  EXPECT_TRUE(successor->revocation_list()->contains(next.info().serial));
}

}  // namespace
}  // namespace chorus::certs
