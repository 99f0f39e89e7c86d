// Messages over an established connection, and peers that misbehave on it.
#include "common/net/tls_channel.hpp"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "common/protocol/phases.hpp"
#include "tests/common/net/loopback.hpp"
#include "tests/common/net/raw_peer.hpp"
#include "tests/common/net/test_authority.hpp"

namespace chorus::net {
namespace {

using protocol::Message;
using protocol::MessageType;

Bytes head(std::uint32_t length, MessageType type) {
  return {static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(length >> 8),
          static_cast<std::uint8_t>(length >> 16), static_cast<std::uint8_t>(length >> 24),
          static_cast<std::uint8_t>(type)};
}

// Shakes hands, then receives one message.
asio::awaitable<Result<Message>> hear(TlsChannel* channel, std::uint32_t accepted,
                                      std::optional<std::chrono::nanoseconds> timeout,
                                      std::chrono::nanoseconds frame_timeout) {
  const auto peer = co_await channel->handshake(kLong);
  if (!peer) co_return fail(peer.error());
  auto message = co_await channel->receive(accepted, timeout, frame_timeout);
  channel->close();
  co_return message;
}

asio::awaitable<Result<std::vector<Message>>> receive_many(TlsChannel* channel, std::size_t count) {
  std::vector<Message> messages;
  while (messages.size() < count) {
    auto message = co_await channel->receive(kAllTypes, kLong, kLong);
    if (!message) co_return fail(message.error());
    messages.push_back(std::move(*message));
  }
  co_return messages;
}

asio::awaitable<Status> send_many(TlsChannel* channel, std::vector<Message> messages) {
  for (const Message& message : messages) {
    const Status sent = co_await channel->send(wire::encode(message), kLong);
    if (!sent) co_return sent;
  }
  co_return Status{};
}

asio::awaitable<Result<Message>> receive_one(TlsChannel* channel) {
  co_return co_await channel->receive(kAllTypes, kLong, kLong);
}

class Channel : public testing::Test {
 protected:
  TestAuthority authority_;
  Credentials device_ = authority_.device();
  TlsContext server_ = server_context(authority_.coordinator());
  TlsContext client_ = client_context(device_);
  Loopback loopback_;

  // What the server receives from a peer that follows the script after its handshake.
  Result<Message> hear_from(RawPeer::Script script, std::uint32_t accepted = kAllTypes,
                            std::optional<std::chrono::nanoseconds> timeout = kLong,
                            std::chrono::nanoseconds frame_timeout = kLong) {
    const auto peer = RawPeer::client(loopback_.port(), {.own = device_.pem}, std::move(script));
    TlsChannel end(loopback_.accept(), server_);
    return loopback_.finish(hear(&end, accepted, timeout, frame_timeout));
  }
};

class Pair : public Channel {
 protected:
  Pair() : client_end_(loopback_.dial(), client_, "localhost"), server_end_(loopback_.accept(), server_) {
    auto one = loopback_.start(greet(&client_end_));
    auto other = loopback_.start(greet(&server_end_));
    loopback_.run();
    EXPECT_TRUE((*one)->has_value() && (*other)->has_value());
  }

  TlsChannel client_end_;
  TlsChannel server_end_;
};

TEST_F(Pair, KnowsItsPeersAddress) {
  EXPECT_TRUE(server_end_.peer_address().starts_with("127.0.0.1:")) << server_end_.peer_address();
  EXPECT_EQ(client_end_.peer_address(), "127.0.0.1:" + std::to_string(loopback_.port()));
}

TEST_F(Pair, CarriesLargeMessagesBothWaysAtTheSameTime) {
  std::vector<Message> up;
  std::vector<Message> down;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const Bytes data(protocol::kChunkSize, static_cast<std::uint8_t>(i + 1));
    up.push_back(protocol::Update{.session = {}, .offset = i * data.size(), .total = 40 * data.size(), .data = data});
    down.push_back(protocol::Blob{.version = i, .offset = i * data.size(), .total = 40 * data.size(), .data = data});
  }
  auto sent_up = loopback_.start(send_many(&client_end_, up));
  auto sent_down = loopback_.start(send_many(&server_end_, down));
  auto got_up = loopback_.start(receive_many(&server_end_, up.size()));
  auto got_down = loopback_.start(receive_many(&client_end_, down.size()));
  loopback_.run();
  ASSERT_TRUE((*sent_up)->has_value() && (*sent_down)->has_value());
  ASSERT_TRUE((*got_up)->has_value()) << (*got_up)->error().to_string();
  ASSERT_TRUE((*got_down)->has_value()) << (*got_down)->error().to_string();
  EXPECT_TRUE((**got_up).value() == up);
  EXPECT_TRUE((**got_down).value() == down);
  EXPECT_GT(server_end_.bytes_in(), 40 * protocol::kChunkSize);
  EXPECT_EQ(server_end_.bytes_in(), client_end_.bytes_out());
  EXPECT_EQ(server_end_.bytes_out(), client_end_.bytes_in());
}

TEST_F(Pair, SeveralMessagesInOneRecordComeOneByOne) {
  const std::vector<Message> messages(300, Message(protocol::Waiting{.devices_ready = 1, .devices_needed = 2}));
  ASSERT_TRUE(loopback_.finish(send_many(&server_end_, messages)).has_value());
  const auto got = loopback_.finish(receive_many(&client_end_, messages.size()));
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(*got, messages);
}

TEST_F(Pair, ClosingEndsAPendingRead) {
  auto pending = loopback_.start(receive_one(&server_end_));
  asio::post(loopback_.io(), [this] { server_end_.close(); });
  loopback_.run();
  EXPECT_EQ(code_of(**pending), ErrorCode::closed);
  EXPECT_EQ(code_of(loopback_.finish(receive_one(&client_end_))), ErrorCode::closed);
}

TEST_F(Pair, APeerThatClosesEndsAPendingRead) {
  auto pending = loopback_.start(receive_one(&server_end_));
  asio::post(loopback_.io(), [this] { client_end_.close(); });
  loopback_.run();
  EXPECT_EQ(code_of(**pending), ErrorCode::closed);
}

TEST_F(Pair, AClosedChannelStaysClosed) {
  server_end_.close();
  server_end_.close();
  EXPECT_EQ(code_of(loopback_.finish(receive_one(&server_end_))), ErrorCode::closed);
  EXPECT_EQ(code_of(loopback_.finish(send_many(&server_end_, {protocol::Finished{}}))), ErrorCode::closed);
}

TEST_F(Channel, GoingAwayEndsAPendingRead) {
  auto client_end = std::make_unique<TlsChannel>(loopback_.dial(), client_, "localhost");
  auto server_end = std::make_unique<TlsChannel>(loopback_.accept(), server_);
  auto one = loopback_.start(greet(client_end.get()));
  auto other = loopback_.start(greet(server_end.get()));
  loopback_.run();
  auto pending = loopback_.start(server_end->receive(kAllTypes, std::nullopt, kLong));
  asio::post(loopback_.io(), [&server_end] { server_end.reset(); });
  loopback_.run();
  EXPECT_EQ(code_of(**pending), ErrorCode::closed);
}

TEST_F(Pair, SilenceRunsIntoTheDeadlineAndTheOtherDirectionGoesOn) {
  auto late = loopback_.start(server_end_.receive(kAllTypes, kShort, kLong));
  auto patient = loopback_.start(receive_one(&client_end_));
  loopback_.io().restart();
  while (!late->done()) loopback_.io().run_one();
  EXPECT_EQ(code_of(**late), ErrorCode::timeout);
  ASSERT_TRUE(loopback_.finish(send_many(&server_end_, {protocol::Finished{}})).has_value());
  ASSERT_TRUE((*patient)->has_value()) << (*patient)->error().to_string();
}

TEST_F(Pair, APeerThatDoesNotReadRunsIntoTheDeadlineWhileReadingGoesOn) {
  const std::vector<Message> many(
      200, Message(protocol::Blob{.total = protocol::kChunkSize, .data = Bytes(protocol::kChunkSize)}));
  auto reading = loopback_.start(receive_one(&server_end_));
  Status stuck;
  while (stuck) {
    auto sending = loopback_.start(server_end_.send(wire::encode(many.front()), kShort));
    loopback_.io().restart();
    while (!sending->done()) loopback_.io().run_one();
    stuck = **sending;
  }
  EXPECT_EQ(stuck.error().code(), ErrorCode::timeout);
  ASSERT_FALSE(reading->done());
  ASSERT_TRUE(loopback_.finish(send_many(&client_end_, {protocol::Fetch{}})).has_value());
  EXPECT_TRUE((*reading)->has_value());
}

TEST_F(Pair, WritingToAPeerThatIsGoneIsClosedAndRaisesNoSignal) {
  client_end_.close();
  Status status;
  for (int i = 0; i < 100 && status; ++i) status = loopback_.finish(send_many(&server_end_, {protocol::Finished{}}));
  EXPECT_EQ(code_of(status), ErrorCode::closed);
}

asio::awaitable<bool> refuse(TlsChannel* channel) {
  wire::Frame frame = wire::encode(protocol::Refusal{.code = ErrorCode::late, .sentence = "too late"});
  const Status sent = co_await channel->send(std::move(frame), kLong);
  co_await channel->finish(kLong);
  co_return sent.has_value();
}

// Sends until that fails, then closes.
asio::awaitable<bool> push(TlsChannel* channel) {
  const auto frame = wire::encode(protocol::Update{.total = protocol::kMaxUpdate, .data = Bytes(protocol::kChunkSize)});
  for (int i = 0; i < 40; ++i) {
    const Status sent = co_await channel->send(frame, kLong);
    if (!sent) break;
  }
  channel->close();
  co_return true;
}

TEST_F(Pair, TheLastMessageArrivesAlthoughThePeerIsInTheMiddleOfSending) {
  auto heard = loopback_.start(receive_one(&client_end_));
  auto pushed = loopback_.start(push(&client_end_));
  auto refused = loopback_.start(refuse(&server_end_));
  loopback_.run();
  ASSERT_TRUE((*heard)->has_value()) << (*heard)->error().to_string();
  EXPECT_EQ((**heard).value(), Message(protocol::Refusal{.code = ErrorCode::late, .sentence = "too late"}));
  EXPECT_TRUE(**refused);
}

TEST_F(Channel, FinishingDoesNotWaitForAPeerThatStays) {
  TlsChannel client_end(loopback_.dial(), client_, "localhost");
  TlsChannel server_end(loopback_.accept(), server_);
  auto one = loopback_.start(greet(&client_end));
  auto other = loopback_.start(greet(&server_end));
  loopback_.run();
  asio::co_spawn(loopback_.io(), server_end.finish(kShort), [](std::exception_ptr) {});
  loopback_.run();
  EXPECT_EQ(code_of(loopback_.finish(receive_one(&server_end))), ErrorCode::closed);
}

TEST_F(Channel, OversizedFramesAreRefused) {
  const auto limit = static_cast<std::uint32_t>(max_payload(MessageType::hello));
  const auto heard = hear_from([limit](SSL* ssl) { write_all(ssl, head(limit + 2, MessageType::hello)); });
  EXPECT_EQ(code_of(heard), ErrorCode::too_large);
  EXPECT_TRUE(heard.error().where().starts_with("127.0.0.1:")) << heard.error().to_string();
}

TEST_F(Channel, UnknownTypesAreMalformed) {
  EXPECT_EQ(code_of(hear_from([](SSL* ssl) { write_all(ssl, Bytes{1, 0, 0, 0, 99}); })), ErrorCode::malformed);
}

TEST_F(Channel, TrailingBytesAreMalformed) {
  // A type whose frames may be longer than this one.
  EXPECT_EQ(code_of(hear_from([](SSL* ssl) {
              Bytes frame = *wire::encode(protocol::Hello{});
              frame.push_back(0);
              ++frame.front();
              write_all(ssl, frame);
            })),
            ErrorCode::malformed);
}

TEST_F(Channel, ATruncatedFrameIsMalformedIfThePeerSaysThatItEnds) {
  EXPECT_EQ(code_of(hear_from([](SSL* ssl) {
              const auto frame = wire::encode(protocol::Fetch{});
              write_all(ssl, std::span(*frame).first(frame->size() - 1));
              SSL_shutdown(ssl);
            })),
            ErrorCode::malformed);
}

TEST_F(Channel, ATruncatedFrameIsClosedIfTheConnectionBreaks) {
  EXPECT_EQ(code_of(hear_from([](SSL* ssl) {
              const auto frame = wire::encode(protocol::Fetch{});
              write_all(ssl, std::span(*frame).first(frame->size() - 1));
              ::shutdown(SSL_get_fd(ssl), SHUT_WR);
            })),
            ErrorCode::closed);
}

TEST_F(Channel, AnOutOfPhaseTypeIsRefusedBeforeItsPayloadIsRead) {
  // The payload never comes, and nobody waits for it.
  const auto heard =
      hear_from([](SSL* ssl) { write_all(ssl, head(protocol::kChunkSize, MessageType::update)); },
                protocol::kCoordinatorAccepts[static_cast<std::size_t>(protocol::CoordinatorPhase::greeting)]);
  EXPECT_EQ(code_of(heard), ErrorCode::out_of_phase);
}

TEST_F(Channel, ASlowFrameRunsIntoItsOwnDeadline) {
  const auto heard = hear_from([](SSL* ssl) { write_all(ssl, Bytes{11, 0}); }, kAllTypes, std::nullopt, kShort);
  EXPECT_EQ(code_of(heard), ErrorCode::timeout);
  EXPECT_NE(heard.error().sentence().find("did not finish its message"), std::string::npos);
}

TEST_F(Channel, FramesInManySmallRecordsArrive) {
  const auto heard = hear_from([](SSL* ssl) {
    const auto frame = wire::encode(protocol::Hello{.job = "films"});
    for (const std::uint8_t byte : *frame) write_all(ssl, Bytes{byte});
  });
  ASSERT_TRUE(heard.has_value()) << heard.error().to_string();
  EXPECT_EQ(*heard, Message(protocol::Hello{.job = "films"}));
}

TEST_F(Channel, KeyUpdatesInTheMiddleOfTheStreamAreAnswered) {
  const auto frame = wire::encode(protocol::Fetch{.version = 7});
  const auto peer = RawPeer::client(loopback_.port(), {.own = device_.pem}, [frame](SSL* ssl) {
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
      write_all(ssl, *frame);
      // The answer comes under the other side's new key.
      EXPECT_EQ(read_some(ssl, wire::kFrameHeader + 1).size(), wire::kFrameHeader + 1);
    }
  });
  TlsChannel end(loopback_.accept(), server_);
  ASSERT_TRUE(loopback_.finish(greet(&end)).has_value());
  for (int i = 0; i < 5; ++i) {
    const auto heard = loopback_.finish(receive_one(&end));
    ASSERT_TRUE(heard.has_value()) << heard.error().to_string();
    EXPECT_EQ(*heard, Message(protocol::Fetch{.version = 7}));
    ASSERT_TRUE(loopback_.finish(send_many(&end, {protocol::Finished{}})).has_value());
  }
  end.close();
  EXPECT_TRUE(peer->outcome().established);
}

TEST_F(Channel, RecordsThatWereTamperedWithEndTheConnection) {
  const auto heard = hear_from([](SSL* ssl) {
    // A record of the right form that no key made.
    Bytes record(5 + 40, 0x5a);
    record[0] = 23;
    record[1] = 3;
    record[2] = 3;
    record[3] = 0;
    record[4] = 40;
    ::send(SSL_get_fd(ssl), record.data(), record.size(), MSG_NOSIGNAL);
  });
  EXPECT_EQ(code_of(heard), ErrorCode::tls);
}

}  // namespace
}  // namespace chorus::net
