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
    // greeting, enrolled, ready, in_round
    {MessageType::hello,       "x..."},
    {MessageType::fetch,       ".xxx"},
    {MessageType::ready,       ".x.."},
    {MessageType::decline,     "...x"},
    {MessageType::update,      "...x"},
    {MessageType::welcome,     "...."},
    {MessageType::blob,        "...."},
    {MessageType::waiting,     "...."},
    {MessageType::manifest,    "...."},
    {MessageType::result,      "...."},
    {MessageType::published,   "...."},
    {MessageType::finished,    "...."},
    {MessageType::refusal,     "...."},
    {MessageType::advertise,   "...x"},
    {MessageType::shares,      "...x"},
    {MessageType::masked,      "...x"},
    {MessageType::vote,        "...x"},
    {MessageType::openings,    "...x"},
    {MessageType::roster,      "...."},
    {MessageType::delivery,    "...."},
    {MessageType::survivors,   "...."},
    {MessageType::certificate, "...."},
    {MessageType::resume,      ".x.."},
    {MessageType::resumed,     "...."},
}};

constexpr std::array<Row, kMessageTypes> kDeviceTable = {{
    // greeting, synchronizing, ready, preparing, advertised, shared, uploaded, voted, unmasked, resuming
    {MessageType::hello,       ".........."},
    {MessageType::fetch,       ".........."},
    {MessageType::ready,       ".........."},
    {MessageType::decline,     ".........."},
    {MessageType::update,      ".........."},
    {MessageType::welcome,     "x........."},
    {MessageType::blob,        ".xxx......"},
    {MessageType::waiting,     "..x......."},
    {MessageType::manifest,    "..x......."},
    {MessageType::result,      "...xxxxxxx"},
    {MessageType::published,   ".xxxxxxxxx"},
    {MessageType::finished,    ".xxxxxxxxx"},
    {MessageType::refusal,     "xxxxxxxxxx"},
    {MessageType::advertise,   ".........."},
    {MessageType::shares,      ".........."},
    {MessageType::masked,      ".........."},
    {MessageType::vote,        ".........."},
    {MessageType::openings,    ".........."},
    {MessageType::roster,      "....xx...."},
    {MessageType::delivery,    ".....xx..."},
    {MessageType::survivors,   "......xx.."},
    {MessageType::certificate, ".......xx."},
    {MessageType::resume,      ".........."},
    {MessageType::resumed,     ".........x"},
}};
// clang-format on

template <typename Phase>
void expect_table(const std::array<Row, kMessageTypes>& table, std::size_t phases) {
  std::set<MessageType> seen;
  for (const Row& row : table) {
    ASSERT_EQ(row.accepted.size(), phases);
    seen.insert(row.type);
    for (std::size_t phase = 0; phase < row.accepted.size(); ++phase) {
      EXPECT_EQ(accepts(static_cast<Phase>(phase), row.type), row.accepted[phase] == 'x')
          << to_string(row.type) << " in phase " << phase;
    }
  }
  EXPECT_EQ(seen.size(), kMessageTypes);
}

TEST(Phases, TheCoordinatorAcceptsExactlyTheTable) {
  expect_table<CoordinatorPhase>(kCoordinatorTable, kCoordinatorAccepts.size());
}

TEST(Phases, TheDeviceAcceptsExactlyTheTable) {
  expect_table<DevicePhase>(kDeviceTable, kDeviceAccepts.size());
}

TEST(Phases, EveryPhaseHasItsRow) {
  EXPECT_EQ(static_cast<std::size_t>(CoordinatorPhase::in_round) + 1, kCoordinatorAccepts.size());
  EXPECT_EQ(static_cast<std::size_t>(DevicePhase::resuming) + 1, kDeviceAccepts.size());
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
