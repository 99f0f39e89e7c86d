// The agent's small parts: how long it waits, and where it goes.
#include <gtest/gtest.h>

#include "client/io/backoff.hpp"
#include "client/io/endpoint.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::client {
namespace {

using namespace std::chrono_literals;

// The greatest of many waits after so many failures: a jitter over the whole range comes close to its end.
std::chrono::milliseconds longest(std::uint32_t failures, std::chrono::milliseconds asked = 0ms) {
  sim::SeededRandom random(failures + 1);
  std::chrono::milliseconds most{0};
  for (int i = 0; i < 2'000; ++i) {
    Backoff backoff(100ms, 2'000ms, random);
    for (std::uint32_t f = 0; f < failures; ++f) static_cast<void>(backoff.next());
    most = std::max(most, backoff.next(asked));
  }
  return most;
}

TEST(Backoff, DoublesItsRangeUpToTheCap) {
  for (const auto& [failures, bound] :
       {std::pair{0U, 100ms}, {1U, 200ms}, {3U, 800ms}, {5U, 2'000ms}, {60U, 2'000ms}}) {
    EXPECT_LE(longest(failures), bound) << failures;
    EXPECT_GE(longest(failures), bound * 9 / 10) << failures;
  }
}

TEST(Backoff, UsesTheWholeRange) {
  sim::SeededRandom random(3);
  int below_half = 0;
  for (int i = 0; i < 2'000; ++i) {
    Backoff backoff(100ms, 2'000ms, random);
    below_half += backoff.next() < 50ms ? 1 : 0;
  }
  EXPECT_NEAR(below_half, 1'000, 120);  // five standard deviations
}

TEST(Backoff, WaitsAsLongAsItIsAskedToAndSpreadsTheReturn) {
  for (const std::uint32_t failures : {0U, 6U}) {
    EXPECT_LE(longest(failures, 5'000ms), 5'100ms);
    EXPECT_GE(longest(failures, 5'000ms), 5'090ms);
  }
  sim::SeededRandom random(4);
  for (int i = 0; i < 100; ++i) EXPECT_GE(Backoff(100ms, 2'000ms, random).next(5'000ms), 5'000ms);
}

TEST(Backoff, BeginsAnewAfterASuccess) {
  sim::SeededRandom random(5);
  Backoff backoff(100ms, 2'000ms, random);
  for (int i = 0; i < 10; ++i) static_cast<void>(backoff.next());
  backoff.reset();
  EXPECT_LE(backoff.next(), 100ms);
}

TEST(Endpoint, NamesAndAddressesOfBothKindsAreRead) {
  EXPECT_EQ(parse_endpoint("example.org:7443").value(), (Endpoint{.host = "example.org", .port = 7443}));
  EXPECT_EQ(parse_endpoint("192.0.2.1:1").value(), (Endpoint{.host = "192.0.2.1", .port = 1}));
  EXPECT_EQ(parse_endpoint("[2001:db8::1]:65535").value(), (Endpoint{.host = "2001:db8::1", .port = 65535}));
  for (const std::string text : {"example.org:7443", "[2001:db8::1]:7443"}) {
    EXPECT_EQ(to_string(parse_endpoint(text).value()), text);
  }
}

TEST(Endpoint, EverythingElseIsRefusedAndShown) {
  for (const std::string text :
       {"", ":", ":7443", "example.org", "example.org:", "example.org:0", "example.org:65536", "example.org:7443x",
        "example.org:-1", "example.org: 7443", "2001:db8::1:7443", "[]:1", "[::1:7443"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_FALSE(endpoint.has_value()) << text;
    EXPECT_EQ(endpoint.error().code(), ErrorCode::invalid_argument);
    EXPECT_NE(endpoint.error().sentence().find("'" + text + "'"), std::string::npos);
  }
}

}  // namespace
}  // namespace chorus::client
