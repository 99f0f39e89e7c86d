// One cohort's round in virtual time.
#include "coordinator/round/round.hpp"

#include <gtest/gtest.h>

namespace chorus::coordinator {
namespace {

constexpr plan::Floors kTestFloors{.least_survivors = 2};
constexpr Duration kDeadline = 30s;
const Moment kStart{Duration(1'000'000'000)};
constexpr ByteArray<32> kSession{7};
constexpr ByteArray<32> kOtherSession{8};

// d = 4 coordinates of 32 bits: an update is 16 bytes.
plan::RoundPlan make_plan(std::uint32_t least, std::uint32_t most, plan::Ratio dropout = {1, 5}) {
  auto layout = plan::UpdateLayout::create(
      {{.name = "x", .rows = 1, .columns = 4, .per_item = false, .limbs = 1, .scale_log2 = 0, .clip = 1000}}, 32, 512);
  plan::RoundPlanFields fields;
  fields.session = kSession;
  fields.round = RoundId(1);
  fields.least_members = least;
  fields.most_members = most;
  fields.dropout = dropout;
  fields.upload_deadline = kDeadline;
  auto plan = plan::RoundPlan::create(fields, std::move(layout).value(), kTestFloors);
  return std::move(plan).value();
}

// Member m contributes [m + 1, 2(m + 1), 3(m + 1), 4(m + 1)].
Bytes update_of(Member member) {
  ByteWriter out;
  for (std::uint32_t k = 1; k <= 4; ++k) out.u32(k * (member + 1));
  return std::move(out).take();
}

protocol::Update piece(Member member, std::size_t offset, std::size_t size) {
  const Bytes whole = update_of(member);
  const auto begin = whole.begin() + static_cast<std::ptrdiff_t>(offset);
  return {.session = kSession,
          .offset = offset,
          .total = whole.size(),
          .data = Bytes(begin, begin + static_cast<std::ptrdiff_t>(size))};
}

protocol::Update whole(Member member) {
  return piece(member, 0, 16);
}
protocol::Decline decline() {
  return {.session = kSession, .code = ErrorCode::cost_above_policy, .sentence = "no"};
}

template <typename T>
std::size_t count(const RoundActions& actions) {
  std::size_t found = 0;
  for (const auto& action : actions) found += std::holds_alternative<T>(action) ? 1 : 0;
  return found;
}

ErrorCode refused(Round& round, Member member, const protocol::Message& message, Moment now) {
  const auto result = round.on_message(member, message, now);
  EXPECT_FALSE(result.has_value());
  return result ? ErrorCode::io : result.error().code();
}

void expect_sum_of(const Round& round, const std::vector<Member>& survivors) {
  ASSERT_NE(round.summed(), nullptr);
  EXPECT_EQ(round.summed()->survivors, survivors);
  EXPECT_EQ(round.summed()->sum.contributors(), survivors.size());
  for (std::uint32_t k = 1; k <= 4; ++k) {
    std::uint32_t expected = 0;
    for (const Member member : survivors) expected += k * (member + 1);
    EXPECT_EQ(round.summed()->sum.coordinates()[k - 1], expected);
  }
}

TEST(Round, ClosesAtOnceWhenAllHaveDelivered) {
  Round round(make_plan(3, 5), 3, kStart);
  for (Member member = 0; member < 3; ++member) {
    const auto actions = round.on_message(member, whole(member), kStart + 1s).value();
    EXPECT_EQ(count<MemberDelivered>(actions), 1U);
    EXPECT_EQ(count<RoundEnded>(actions), member == 2 ? 1U : 0U);
  }
  expect_sum_of(round, {0, 1, 2});
  EXPECT_FALSE(round.next_deadline().has_value());
}

TEST(Round, TakesAnUpdateInPiecesAndAddsItOnlyWhenItIsComplete) {
  Round round(make_plan(3, 5), 3, kStart);
  EXPECT_TRUE(round.on_message(0, piece(0, 0, 5), kStart).value().empty());
  EXPECT_TRUE(round.on_message(0, piece(0, 5, 10), kStart).value().empty());
  EXPECT_EQ(round.delivered(), 0U);
  EXPECT_EQ(count<MemberDelivered>(round.on_message(0, piece(0, 15, 1), kStart).value()), 1U);
  EXPECT_EQ(round.delivered(), 1U);
  for (const Member member : {1U, 2U}) ASSERT_TRUE(round.on_message(member, whole(member), kStart).has_value());
  expect_sum_of(round, {0, 1, 2});
}

// Each of five members delivers, delivers half, declines, leaves, or leaves after half: all 5^5 ways. δ = 1/5: four
// of five updates are enough.
TEST(Round, EveryWayOfFiveMembersEndsInTheExactSumOrAnAbort) {
  for (int ways = 0; ways < 3125; ++ways) {
    Round round(make_plan(4, 5), 5, kStart);
    std::vector<Member> delivered;
    int rest = ways;
    for (Member member = 0; member < 5; ++member, rest /= 5) {
      const int way = rest % 5;
      if (!round.collecting()) {
        EXPECT_EQ(refused(round, member, whole(member), kStart), ErrorCode::late);
        continue;
      }
      if (way == 0) {
        ASSERT_TRUE(round.on_message(member, whole(member), kStart).has_value());
        delivered.push_back(member);
      }
      if (way == 1 || way == 4) {
        ASSERT_TRUE(round.on_message(member, piece(member, 0, 8), kStart).has_value());
      }
      if (way == 2) {
        ASSERT_TRUE(round.on_message(member, decline(), kStart).has_value());
      }
      if (way == 3 || way == 4) static_cast<void>(round.on_disconnect(member, kStart));
    }
    const bool was_open = round.collecting();
    EXPECT_EQ(count<RoundEnded>(round.on_time(kStart + kDeadline)), was_open ? 1U : 0U);
    if (delivered.size() >= 4) {
      expect_sum_of(round, delivered);
    } else {
      ASSERT_NE(round.aborted(), nullptr) << ways;
      EXPECT_EQ(round.aborted()->reason.code(), ErrorCode::below_threshold);
    }
  }
}

TEST(Round, AbortsAsSoonAsTooFewCanDeliver) {
  Round round(make_plan(4, 5), 5, kStart);
  EXPECT_TRUE(round.on_disconnect(0, kStart).empty());
  const auto actions = round.on_message(1, decline(), kStart).value();
  EXPECT_EQ(count<MemberDeclined>(actions), 1U);
  EXPECT_EQ(count<RoundEnded>(actions), 1U);
  ASSERT_NE(round.aborted(), nullptr);
}

TEST(Round, TheDeadlineIsExactToTheNanosecond) {
  Round round(make_plan(4, 5), 5, kStart);
  for (Member member = 0; member < 4; ++member) {
    ASSERT_TRUE(round.on_message(member, whole(member), kStart).has_value());
  }
  ASSERT_EQ(round.next_deadline(), kStart + kDeadline);
  EXPECT_TRUE(round.on_time(kStart + kDeadline - 1ns).empty());
  ASSERT_TRUE(round.on_message(4, piece(4, 0, 8), kStart + kDeadline - 1ns).has_value());
  EXPECT_EQ(refused(round, 4, piece(4, 8, 8), kStart + kDeadline), ErrorCode::late);
  EXPECT_TRUE(round.collecting());
  EXPECT_EQ(count<RoundEnded>(round.on_time(kStart + kDeadline)), 1U);
  expect_sum_of(round, {0, 1, 2, 3});
}

TEST(Round, TheThresholdIsNMinusTheFloorOfDeltaN) {
  for (std::uint32_t n = 4; n <= 20; ++n) {
    for (const bool enough : {true, false}) {
      Round round(make_plan(4, 20, {1, 5}), n, kStart);
      const std::uint32_t needed = n - n / 5;
      EXPECT_EQ(round.needed(), needed);
      for (Member member = 0; member < needed - (enough ? 0 : 1); ++member) {
        ASSERT_TRUE(round.on_message(member, whole(member), kStart).has_value());
      }
      static_cast<void>(round.on_time(kStart + kDeadline));
      EXPECT_EQ(round.summed() != nullptr, enough) << n;
      EXPECT_EQ(round.aborted() != nullptr, !enough) << n;
    }
  }
}

TEST(Round, ADeliveredUpdateStaysWhenItsMemberLeaves) {
  Round round(make_plan(3, 5), 3, kStart);
  ASSERT_TRUE(round.on_message(0, whole(0), kStart).has_value());
  EXPECT_TRUE(round.on_disconnect(0, kStart).empty());
  for (const Member member : {1U, 2U}) ASSERT_TRUE(round.on_message(member, whole(member), kStart).has_value());
  expect_sum_of(round, {0, 1, 2});
}

struct BadPiece {
  std::string name;
  protocol::Message message;
  ErrorCode code;
};

TEST(Round, ABadPieceIsAnErrorAndChangesNothing) {
  auto foreign = piece(0, 5, 11);
  foreign.session = kOtherSession;
  auto foreign_decline = decline();
  foreign_decline.session = kOtherSession;
  auto other_total = piece(0, 5, 11);
  other_total.total = 17;
  auto oversized = piece(0, 5, 11);
  oversized.data.push_back(0);
  auto empty = piece(0, 5, 11);
  empty.data.clear();
  auto far = piece(0, 5, 11);
  far.offset = ~std::uint64_t{0};
  const std::vector<BadPiece> bad = {
      {"another session", foreign, ErrorCode::stale_round},
      {"another session's decline", foreign_decline, ErrorCode::stale_round},
      {"another total", other_total, ErrorCode::malformed},
      {"beyond the end", oversized, ErrorCode::too_large},
      {"empty", empty, ErrorCode::malformed},
      {"a gap", piece(0, 6, 10), ErrorCode::malformed},
      {"an offset near 2^64", far, ErrorCode::malformed},
      {"again", piece(0, 0, 5), ErrorCode::duplicate},
      {"overlapping", piece(0, 4, 12), ErrorCode::duplicate},
      {"another message", protocol::Ready{}, ErrorCode::out_of_phase},
      {"a coordinator's message", protocol::Finished{}, ErrorCode::out_of_phase},
  };
  for (const auto& [name, message, code] : bad) {
    Round round(make_plan(3, 5), 3, kStart);
    ASSERT_TRUE(round.on_message(0, piece(0, 0, 5), kStart).has_value());
    EXPECT_EQ(refused(round, 0, message, kStart), code) << name;
    // It goes on as if nothing had been said.
    ASSERT_TRUE(round.on_message(0, piece(0, 5, 11), kStart).has_value()) << name;
    for (const Member member : {1U, 2U}) ASSERT_TRUE(round.on_message(member, whole(member), kStart).has_value());
    expect_sum_of(round, {0, 1, 2});
  }
}

TEST(Round, ASecondUpdateFromOneMemberIsRefused) {
  Round round(make_plan(3, 5), 3, kStart);
  ASSERT_TRUE(round.on_message(0, whole(0), kStart).has_value());
  EXPECT_EQ(refused(round, 0, whole(0), kStart), ErrorCode::duplicate);
  EXPECT_EQ(refused(round, 0, decline(), kStart), ErrorCode::duplicate);
  for (const Member member : {1U, 2U}) ASSERT_TRUE(round.on_message(member, whole(member), kStart).has_value());
  expect_sum_of(round, {0, 1, 2});
}

TEST(Round, WhoDeclinedOrLeftIsNotHeard) {
  Round round(make_plan(8, 10), 10, kStart);
  ASSERT_TRUE(round.on_message(0, decline(), kStart).has_value());
  EXPECT_EQ(refused(round, 0, whole(0), kStart), ErrorCode::duplicate);
  static_cast<void>(round.on_disconnect(1, kStart));
  EXPECT_EQ(refused(round, 1, whole(1), kStart), ErrorCode::out_of_phase);
  EXPECT_TRUE(round.on_disconnect(1, kStart).empty());
}

// Every message type in every phase: an ended round takes none, an open one takes Update and Decline.
TEST(Round, TakesInEachPhaseWhatItShould) {
  const std::vector<protocol::Message> messages = {protocol::Hello{},
                                                   protocol::Fetch{},
                                                   protocol::Ready{},
                                                   decline(),
                                                   whole(0),
                                                   protocol::Welcome{},
                                                   protocol::Blob{},
                                                   protocol::Waiting{},
                                                   protocol::Manifest{},
                                                   protocol::Result{},
                                                   protocol::Published{},
                                                   protocol::Finished{},
                                                   protocol::Refusal{}};
  ASSERT_EQ(messages.size(), protocol::kMessageTypes);
  for (const auto& message : messages) {
    const auto type = protocol::type_of(message);
    const bool of_a_round = type == protocol::MessageType::update || type == protocol::MessageType::decline;
    Round open(make_plan(4, 5), 5, kStart);
    EXPECT_EQ(open.on_message(0, message, kStart).has_value(), of_a_round) << protocol::to_string(type);

    Round aborted(make_plan(4, 5), 5, kStart);
    EXPECT_EQ(count<RoundEnded>(aborted.abort(Error(ErrorCode::aborted, "stop"))), 1U);
    EXPECT_EQ(refused(aborted, 0, message, kStart), of_a_round ? ErrorCode::late : ErrorCode::out_of_phase);
    EXPECT_TRUE(aborted.abort(Error(ErrorCode::aborted, "again")).empty());
    EXPECT_EQ(aborted.aborted()->reason.sentence(), "stop");

    Round summed(make_plan(4, 5), 4, kStart);
    for (Member member = 0; member < 4; ++member) {
      ASSERT_TRUE(summed.on_message(member, whole(member), kStart).has_value());
    }
    EXPECT_EQ(refused(summed, 0, message, kStart), of_a_round ? ErrorCode::late : ErrorCode::out_of_phase);
    expect_sum_of(summed, {0, 1, 2, 3});
    EXPECT_EQ(summed.take_sum().survivors.size(), 4U);
    EXPECT_EQ(summed.summed(), nullptr);
    EXPECT_EQ(refused(summed, 0, message, kStart), of_a_round ? ErrorCode::late : ErrorCode::out_of_phase);
  }
}

}  // namespace
}  // namespace chorus::coordinator
