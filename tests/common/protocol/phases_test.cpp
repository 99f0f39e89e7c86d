#include "common/protocol/phases.hpp"

#include <array>
#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace chorus::protocol {
namespace {

// A row a message, in the order of MessageType; a column a phase; 'x' is accepted.
struct Row {
  MessageType type;
  std::string_view accepted;
};

// clang-format off
constexpr std::array<Row, kMessageTypes> kCoordinatorTable = {{
    //                        greeting, enrolled, ready, invited, delivered
    {MessageType::hello,     "x...."},
    {MessageType::fetch,     ".xxxx"},
    {MessageType::ready,     ".x..."},
    {MessageType::decline,   "...x."},
    {MessageType::update,    "...x."},
    {MessageType::welcome,   "....."},
    {MessageType::blob,      "....."},
    {MessageType::waiting,   "....."},
    {MessageType::manifest,  "....."},
    {MessageType::result,    "....."},
    {MessageType::published, "....."},
    {MessageType::finished,  "....."},
    {MessageType::refusal,   "....."},
}};

constexpr std::array<Row, kMessageTypes> kDeviceTable = {{
    //                        greeting, synchronizing, ready, contributing, awaiting
    {MessageType::hello,     "....."},
    {MessageType::fetch,     "....."},
    {MessageType::ready,     "....."},
    {MessageType::decline,   "....."},
    {MessageType::update,    "....."},
    {MessageType::welcome,   "x...."},
    {MessageType::blob,      ".xxx."},
    {MessageType::waiting,   "..x.."},
    {MessageType::manifest,  "..x.."},
    {MessageType::result,    "...xx"},
    {MessageType::published, ".xxxx"},
    {MessageType::finished,  ".xxxx"},
    {MessageType::refusal,   "xxxxx"},
}};
// clang-format on

template <typename Phase>
void expect_table(const std::array<Row, kMessageTypes>& table) {
  std::set<MessageType> seen;
  for (const Row& row : table) {
    ASSERT_EQ(row.accepted.size(), 5U);
    seen.insert(row.type);
    for (std::size_t phase = 0; phase < row.accepted.size(); ++phase) {
      EXPECT_EQ(accepts(static_cast<Phase>(phase), row.type), row.accepted[phase] == 'x')
          << to_string(row.type) << " in phase " << phase;
    }
  }
  EXPECT_EQ(seen.size(), kMessageTypes);
}

TEST(Phases, TheCoordinatorAcceptsExactlyTheTable) {
  expect_table<CoordinatorPhase>(kCoordinatorTable);
}

TEST(Phases, TheDeviceAcceptsExactlyTheTable) {
  expect_table<DevicePhase>(kDeviceTable);
}

TEST(Phases, EverySideHasFive) {
  EXPECT_EQ(static_cast<std::size_t>(CoordinatorPhase::delivered) + 1, kCoordinatorAccepts.size());
  EXPECT_EQ(static_cast<std::size_t>(DevicePhase::awaiting) + 1, kDeviceAccepts.size());
}

TEST(Phases, NoMessageIsAcceptedByBothSides) {
  std::uint32_t coordinator = 0;
  std::uint32_t device = 0;
  for (const std::uint32_t bits : kCoordinatorAccepts) coordinator |= bits;
  for (const std::uint32_t bits : kDeviceAccepts) device |= bits;
  EXPECT_EQ(coordinator & device, 0U);
  // And every message has a receiver.
  EXPECT_EQ(coordinator | device, (std::uint32_t{1} << (kMessageTypes + 1)) - 2);
}

}  // namespace
}  // namespace chorus::protocol
