// The daemon's small parts.
#include <gtest/gtest.h>

#include "coordinator/io/address_rate.hpp"
#include "coordinator/io/blob_frames.hpp"
#include "coordinator/io/refusals.hpp"

namespace chorus::coordinator {
namespace {

const Moment kStart{1h};

TEST(AddressRate, LetsABurstInAndThenSoManyASecond) {
  AddressRate rate(10);
  const auto address = asio::ip::make_address("192.0.2.1");
  int admitted = 0;
  for (int i = 0; i < 100; ++i) admitted += rate.admit(address, kStart) ? 1 : 0;
  EXPECT_EQ(admitted, 40);
  EXPECT_FALSE(rate.admit(address, kStart + 99ms));
  EXPECT_TRUE(rate.admit(address, kStart + 100ms));
  EXPECT_FALSE(rate.admit(address, kStart + 100ms));
  EXPECT_TRUE(rate.admit(asio::ip::make_address("192.0.2.2"), kStart));
}

TEST(AddressRate, CountsAnIpv6NetworkAsOneAndLoopbackNotAtAll) {
  AddressRate rate(1);
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(rate.admit(asio::ip::make_address("2001:db8::" + std::to_string(i)), kStart));
  }
  EXPECT_FALSE(rate.admit(asio::ip::make_address("2001:db8::ffff"), kStart));
  EXPECT_TRUE(rate.admit(asio::ip::make_address("2001:db8:0:1::1"), kStart));
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(rate.admit(asio::ip::make_address("127.0.0.1"), kStart));
    ASSERT_TRUE(rate.admit(asio::ip::make_address("::1"), kStart));
    ASSERT_TRUE(rate.admit(asio::ip::make_address("::ffff:127.0.0.1"), kStart));
  }
  EXPECT_EQ(rate.size(), 2U);
}

TEST(AddressRate, RemembersABoundedNumberOfAddresses) {
  AddressRate rate(1);
  const auto address = [](std::uint32_t i) { return asio::ip::address_v4(0xc0000000 + i); };
  for (std::uint32_t i = 0; i < AddressRate::kMaxAddresses; ++i) ASSERT_TRUE(rate.admit(address(i), kStart));
  EXPECT_FALSE(rate.admit(address(1 << 20), kStart));
  EXPECT_LE(rate.size(), AddressRate::kMaxAddresses);
  EXPECT_TRUE(rate.admit(address(1 << 20), kStart + 2s));  // the others' buckets are full again
  EXPECT_EQ(rate.size(), 1U);
}

TEST(AddressRate, LetsAnAddressHaveSoManyOpenAndGivesRoomBack) {
  AddressRate rate(1'000, 2);
  const auto address = asio::ip::make_address("192.0.2.1");
  EXPECT_TRUE(rate.admit(address, kStart));
  EXPECT_TRUE(rate.admit(address, kStart));
  EXPECT_FALSE(rate.admit(address, kStart));
  EXPECT_TRUE(rate.admit(asio::ip::make_address("192.0.2.2"), kStart));
  rate.release(address);
  EXPECT_TRUE(rate.admit(address, kStart));
  EXPECT_FALSE(rate.admit(address, kStart));
  const auto own = asio::ip::make_address("127.0.0.1");
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(rate.admit(own, kStart));
  AddressRate strict(1'000, 2, true);
  EXPECT_TRUE(strict.admit(own, kStart) && strict.admit(own, kStart));
  EXPECT_FALSE(strict.admit(own, kStart));
  EXPECT_TRUE(strict.admit(asio::ip::make_address("::1"), kStart));
}

TEST(BlobFrames, CutTheBytesAndShareAFrameWhileItIsHeld) {
  auto bytes = std::make_shared<const Bytes>(protocol::kChunkSize * 2 + 3, std::uint8_t{7});
  BlobFrames frames(protocol::BlobKind::model, 5, bytes);
  ASSERT_EQ(frames.count(), 3U);
  const auto first = frames.frame(0);
  EXPECT_EQ(frames.frame(0), first);
  std::size_t total = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto frame = frames.frame(i);
    const auto message =
        wire::decode(protocol::MessageType::blob, ByteView(*frame).subspan(wire::kFrameHeader)).value();
    const auto& blob = std::get<protocol::Blob>(message);
    EXPECT_EQ(blob.offset, total);
    EXPECT_EQ(blob.total, bytes->size());
    EXPECT_EQ(blob.version, 5U);
    total += blob.data.size();
  }
  EXPECT_EQ(total, bytes->size());
}

TEST(Refusals, AreAllCountedAndSomeLogged) {
  Refusals refusals;
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 100; ++i) {
    refusals.add(Error(i % 2 == 0 ? ErrorCode::tls : ErrorCode::timeout, "no"), "192.0.2.1:4", kStart);
  }
  refusals.add(Error(ErrorCode::expired, "old"), "192.0.2.1:5", kStart + 1s);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(refusals.total(), 101U);
  EXPECT_EQ(refusals.by_reason().at(ErrorCode::tls), 50U);
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), Refusals::kLinesPerSecond + 1);
  EXPECT_NE(log.find("not_logged_before=80"), std::string::npos) << log;
}

}  // namespace
}  // namespace chorus::coordinator
