#include "common/identity/host_name.hpp"

#include <string>

#include <gtest/gtest.h>

namespace chorus::identity {
namespace {

using namespace std::string_view_literals;

TEST(HostName, NamesAndAddressesAreToldApartAndMadeCanonical) {
  struct Case {
    std::string_view text;
    HostKind kind;
    std::string_view canonical;
    std::string_view address;
  };
  for (const Case& c :
       {Case{"Coordinator.Example.ORG", HostKind::dns, "coordinator.example.org", ""},
        Case{"localhost", HostKind::dns, "localhost", ""},
        Case{"xn--bcher-kva.example", HostKind::dns, "xn--bcher-kva.example", ""},
        Case{"3com.com", HostKind::dns, "3com.com", ""}, Case{"127.0.0.1", HostKind::ipv4, "127.0.0.1", "7f000001"},
        Case{"0:0:0:0:0:0:0:1", HostKind::ipv6, "::1", "00000000000000000000000000000001"},
        Case{"2001:DB8::A", HostKind::ipv6, "2001:db8::a", "20010db800000000000000000000000a"}}) {
    const auto host = parse_host_name(c.text);
    ASSERT_TRUE(host.has_value()) << c.text;
    EXPECT_EQ(host->kind, c.kind) << c.text;
    EXPECT_EQ(host->text, c.canonical);
    EXPECT_EQ(to_hex(host->address), c.address);
  }
}

TEST(HostName, EverythingElseIsRefused) {
  const std::string long_label(64, 'a');
  std::string long_name;  // 255 characters in labels of 63
  for (int i = 0; i < 4; ++i) long_name.append(63, 'a').append(1, '.');
  long_name.pop_back();
  for (const std::string_view text : {""sv,
                                      "."sv,
                                      "a."sv,
                                      ".a"sv,
                                      "a..b"sv,
                                      "-a.example"sv,
                                      "a-.example"sv,
                                      "*.example.org"sv,
                                      "under_score"sv,
                                      "two words"sv,
                                      "a,DNS:b"sv,
                                      "http://example.org"sv,
                                      "example.org:7443"sv,
                                      "[::1]"sv,
                                      "fe80::1%eth0"sv,
                                      "10.0.0.300"sv,
                                      "10.0.0"sv,
                                      "1"sv,
                                      "b\xc3\xbc"
                                      "cher.example"sv,
                                      "good.example\0bad"sv,
                                      "127.0.0.1\0x"sv,
                                      "line\nbreak"sv,
                                      std::string_view(long_label),
                                      std::string_view(long_name)}) {
    const auto host = parse_host_name(text);
    ASSERT_FALSE(host.has_value()) << text;
    EXPECT_EQ(host.error().code(), ErrorCode::invalid_argument) << text;
    EXPECT_LT(host.error().where().size(), 100U);
    for (const char c : host.error().where()) EXPECT_TRUE(c >= ' ' && c <= '~');
  }
}

TEST(HostName, TheErrorNamesTheHost) {
  EXPECT_EQ(parse_host_name("two words").error().where(), "host 'two words'");
}

TEST(HostName, AnAddressIsFourOrSixteenBytes) {
  for (const std::size_t size : {0U, 3U, 5U, 15U, 17U}) {
    EXPECT_EQ(host_from_address(Bytes(size)).error().code(), ErrorCode::bad_certificate) << size;
  }
}

}  // namespace
}  // namespace chorus::identity
