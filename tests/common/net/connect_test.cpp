#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/common/net/loopback.hpp"

namespace chorus::net {
namespace {

TEST(Connect, ReachesAnAddressAndAName) {
  Loopback loopback;
  const auto by_address = loopback.finish(connect("127.0.0.1", loopback.port(), kLong));
  EXPECT_TRUE(by_address.has_value());
  // The name has an IPv6 address on many machines too, where nobody listens.
  const auto by_name = loopback.finish(connect("localhost", loopback.port(), kLong));
  EXPECT_TRUE(by_name.has_value()) << by_name.error().to_string();
}

TEST(Connect, AClosedPortIsUnreachableAndNamed) {
  Loopback loopback;
  std::uint16_t port = 0;
  {
    Loopback gone;
    port = gone.port();
  }
  const auto socket = loopback.finish(connect("127.0.0.1", port, kLong));
  EXPECT_EQ(code_of(socket), ErrorCode::unreachable);
  EXPECT_EQ(socket.error().where(), "127.0.0.1:" + std::to_string(port));
}

TEST(Connect, ANameThatCannotBeIsUnreachable) {
  Loopback loopback;
  // Longer than DNS allows: refused without asking anybody.
  const auto socket = loopback.finish(connect(std::string(300, 'a'), 7443, kLong));
  EXPECT_EQ(code_of(socket), ErrorCode::unreachable);
}

TEST(Connect, AHostThatDoesNotAnswerRunsIntoTheDeadline) {
  // A listener whose queue is full drops what comes.
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 0), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  Loopback loopback;
  std::vector<asio::ip::tcp::socket> queued;
  std::optional<ErrorCode> code;
  for (int i = 0; i < 10 && !code; ++i) {
    auto socket = loopback.finish(connect("127.0.0.1", ntohs(address.sin_port), kShort));
    code = code_of(socket);
    if (socket) queued.push_back(std::move(*socket));
  }
  EXPECT_EQ(code, ErrorCode::timeout);
  ::close(listener);
}

}  // namespace
}  // namespace chorus::net
