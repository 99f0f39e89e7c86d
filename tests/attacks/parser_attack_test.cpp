// Bytes that are no message: row 16. Every message of the sum, cut, lengthened and changed at every place, against the
// decoders and against the machines that read them.
#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "tests/attacks/honest_coordinator.hpp"
#include "tests/common/wire/allocation_probe.hpp"

namespace chorus::attacks {
namespace {

using client::FullChecks;
using coordinator::SecureSum;

struct Sample {
  std::string name;
  Bytes bytes;
  // The code of the decoder's error, if it has one.
  std::function<std::optional<ErrorCode>(ByteView)> decode;
  ErrorCode code = ErrorCode::malformed;
};

template <typename T>
std::optional<ErrorCode> code_of_result(const Result<T>& result) {
  return result.has_value() ? std::nullopt : std::optional(result.error().code());
}

std::vector<Sample> samples() {
  Play play({.members = 7, .corrupt = {1, 7}, .dropout = {1, 7}});  // bitmaps with a padding bit
  play.play_to_openings(play.everybody());
  const plan::UpdateLayout layout = play.scene().layout;
  ByteWriter layout_bytes;
  layout.encode(layout_bytes);
  const std::uint32_t held = secagg::decode_masked(play.released(0).masked->end, 7)->held.size();
  return {
      {"leaf", play.released(0).leaf, [](ByteView in) { return code_of_result(secagg::decode_leaf(in)); }},
      {"roster", play.part(0).roster_bytes,
       [](ByteView in) {
         return code_of_result(secagg::Roster::decode(in, Digest{1, 2, 3}, {6, 64, {1, 7}, {1, 7}}));
       }},
      {"shares", *play.released(0).shares, [](ByteView in) { return code_of_result(secagg::decode_shares(in, 7, 0)); }},
      {"delivery", play.part(0).delivery_bytes,
       [](ByteView in) { return code_of_result(secagg::decode_delivery(in, 7, 0)); }},
      {"masked", play.released(0).masked->end,
       [](ByteView in) { return code_of_result(secagg::decode_masked(in, 7)); }},
      {"survivors", secagg::encode(secagg::Survivors{play.everybody()}),
       [](ByteView in) { return code_of_result(secagg::decode_survivors(in, 7)); }, ErrorCode::bad_survivors},
      {"certificate", secagg::encode(play.certificate(play.part(0))),
       [](ByteView in) { return code_of_result(secagg::decode_certificate(in, 7)); }},
      {"openings", *play.released(0).openings,
       [held](ByteView in) { return code_of_result(secagg::decode_openings(in, held)); }},
      {"layout", layout_bytes.view(),
       [](ByteView in) {
         ByteReader reader(in);
         const auto read = plan::UpdateLayout::decode(reader);
         if (!read.has_value()) return code_of_result(read);
         const Status end = reader.finish("layout");
         return code_of(end);
       }},
  };
}

TEST(Attack, Row16EveryTruncationAndEveryExtraByteIsAParserError) {
  for (const Sample& sample : samples()) {
    ASSERT_EQ(sample.decode(sample.bytes), std::nullopt) << sample.name;
    for (std::size_t size = 0; size < sample.bytes.size(); ++size) {
      ASSERT_EQ(sample.decode(ByteView(sample.bytes).first(size)), sample.code) << sample.name << " cut to " << size;
    }
    for (const int extra : {0, 1, 0xff}) {
      Bytes longer = sample.bytes;
      longer.push_back(static_cast<std::uint8_t>(extra));
      EXPECT_EQ(sample.decode(longer), sample.code) << sample.name;
    }
  }
}

// A length is held against what is there before anything is made room for.
TEST(Attack, Row16NoCountMakesADecoderAllocateMoreThanItsInput) {
  for (const Sample& sample : samples()) {
    for (std::size_t at = 0; at + 4 <= std::min<std::size_t>(sample.bytes.size(), 64); ++at) {
      Bytes huge = sample.bytes;
      std::fill_n(huge.begin() + static_cast<std::ptrdiff_t>(at), 4, std::uint8_t{0xff});
      const wire::AllocationProbe probe;
      static_cast<void>(sample.decode(huge));
      // Decoded structures are a little larger than their bytes; vectors double.
      EXPECT_LT(probe.largest(), 4 * sample.bytes.size() + 4096) << sample.name << " at " << at;
    }
  }
}

TEST(Attack, Row16BitsBeyondTheMembersAreRefused) {
  for (const Sample& sample : samples()) {
    if (sample.name != "masked" && sample.name != "survivors" && sample.name != "delivery") continue;
    Bytes padded = sample.bytes;
    padded[0] |= 0x80;  // position 7 of seven
    EXPECT_EQ(sample.decode(padded), sample.code) << sample.name;
  }
}

TEST(Attack, Row16ANumberThatIsNoneIsRefusedInALayout) {
  for (const double clip : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1.0,
                            0.0, std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::max()}) {
    std::vector<plan::TensorLayout> tensors = small_layout().tensors();
    tensors[1].clip = clip;
    EXPECT_FALSE(plan::UpdateLayout::create(tensors, 24, 64).has_value()) << clip;
  }
  for (const std::uint32_t items : {0U, 0xffffffffU, 1U << 28}) {
    std::vector<plan::TensorLayout> tensors = small_layout().tensors();
    tensors[0].rows = items;
    EXPECT_FALSE(plan::UpdateLayout::create(tensors, 24, 64).has_value()) << items;
  }
}

// One machine that reads a message with a bit changed somewhere ends in an error, gives nothing away, and stays ended.
void expect_step_refuses_changes(const char* name, const std::function<void(Play&)>& before,
                                 const std::function<Bytes(Play&)>& message,
                                 const std::function<Status(Member&, ByteView)>& hear,
                                 const std::function<bool(const Released&)>& released) {
  Play sample({}, &make_member<FullChecks>);
  before(sample);
  const Bytes truth = message(sample);
  sim::SeededRandom random(16);
  for (int trial = 0; trial < 24; ++trial) {
    Play play({}, &make_member<FullChecks>);
    before(play);
    Bytes changed = truth;
    if (trial == 0) {
      changed.clear();
    } else if (trial == 1) {
      changed.pop_back();
    } else if (trial == 2) {
      changed.push_back(0);
    } else {
      changed[random.below(changed.size())] ^= static_cast<std::uint8_t>(1U << random.below(8));
    }
    Member& member = *play.part(0).member;
    const Status said = hear(member, changed);
    // In a delivery a changed ciphertext is a share that does not open: told in `held`, and no error.
    if (std::string_view(name) == "delivery" && said.has_value()) continue;
    ASSERT_FALSE(said.has_value()) << name << ' ' << trial;
    EXPECT_FALSE(released(member.released())) << name << ' ' << trial;
    EXPECT_EQ(member.state(), client::SumMember::State::aborted);
    EXPECT_EQ(code_of(hear(member, truth)), ErrorCode::out_of_phase);
    EXPECT_FALSE(released(member.released())) << name << ' ' << trial;
  }
}

TEST(Attack, Row16AMemberGivesNothingForAChangedMessage) {
  expect_step_refuses_changes(
      "roster",
      [](Play& play) {
        for (std::uint32_t p = 0; p < play.size(); ++p) play.part(p).member->advertise();
      },
      [](Play& play) { return Play::roster_bytes(play.leaves()); },
      [](Member& member, ByteView bytes) { return member.hear_roster(bytes); },
      [](const Released& said) { return said.shares.has_value(); });
  expect_step_refuses_changes(
      "delivery", [](Play& play) { play.play_to_shares(); },
      [](Play& play) { return secagg::encode(play.delivery(0, play.everybody()), 0); },
      [](Member& member, ByteView bytes) { return member.hear_delivery(bytes); },
      [](const Released& said) { return said.masked.has_value(); });
  expect_step_refuses_changes(
      "certificate", [](Play& play) { play.play_to_votes(play.everybody()); },
      [](Play& play) { return secagg::encode(play.certificate(play.part(0))); },
      [](Member& member, ByteView bytes) { return member.hear_certificate(bytes); },
      [](const Released& said) { return said.openings.has_value(); });
}

// The table of states: any message in any state but its own ends the member, and wipes it.
TEST(Attack, Row16AMessageOutOfOrderEndsAMember) {
  const auto advance = [](Play& play, int states) {
    if (states >= 1) play.part(0).member->advertise();
    for (std::uint32_t p = 1; p < play.size(); ++p) play.part(p).member->advertise();
  };
  Play whole({});
  whole.play_to_openings(whole.everybody());
  const std::array<Bytes, 4> messages{whole.part(0).roster_bytes, whole.part(0).delivery_bytes,
                                      secagg::encode(secagg::Survivors{whole.everybody()}),
                                      secagg::encode(whole.certificate(whole.part(0)))};
  const auto hear = [&](Member& member, int which) {
    switch (which) {
      case 0:
        return member.hear_roster(messages[0]);
      case 1:
        return member.hear_delivery(messages[1]);
      case 2:
        return member.hear_survivors(messages[2]);
      default:
        return member.hear_certificate(messages[3]);
    }
  };
  for (int state = 0; state <= 5; ++state) {  // idle, advertised, shared, uploaded, voted, unmasked
    for (int which = 0; which < 4; ++which) {
      Play play({});
      advance(play, state);
      Member& member = *play.part(0).member;
      for (int step = 0; step + 1 < state; ++step) ASSERT_EQ(code_of(hear(member, step)), std::nullopt);
      const Status said = hear(member, which);
      if (which == state - 1) {
        EXPECT_EQ(code_of(said), std::nullopt) << state << ' ' << which;  // its turn
      } else if (which == state - 2) {
        EXPECT_EQ(code_of(said), std::nullopt) << state << ' ' << which;  // the same again: ignored
      } else {
        EXPECT_EQ(code_of(said), ErrorCode::out_of_phase) << state << ' ' << which;
        EXPECT_EQ(member.state(), client::SumMember::State::aborted);
      }
    }
  }
}

// The coordinator's half: what one member sends costs the others nothing, and whatever it was, no state has changed.
TEST(Attack, Row16TheCoordinatorRefusesPiecesThatDoNotFit) {
  Play play({});
  std::vector<identity::DeviceId> invited;
  for (std::uint32_t p = 0; p < play.size(); ++p) {
    play.part(p).member->advertise();
    invited.push_back(play.device(p).statement.id);
  }
  SecureSum sum({play.scene().h0, play.scene().layout, {6, 8, {1, 8}, {2, 8}}}, invited,
                {play.devices().authority(), kToday, std::chrono::seconds{0}, nullptr}, play.verified(), Moment{});
  const auto code = [](const auto& result) {
    return result.has_value() ? std::nullopt : std::optional(result.error().code());
  };
  // Messages of later steps, and changed ones.
  const Moment now{};
  EXPECT_EQ(code(sum.on_shares(0, {}, now)), ErrorCode::out_of_phase);
  EXPECT_EQ(code(sum.on_leaf(0, {}, kToday, now)), ErrorCode::malformed);
  EXPECT_EQ(code(sum.on_leaf(0, play.released(1).leaf, kToday, now)), ErrorCode::bad_identity);
  for (std::uint32_t p = 0; p < 8; ++p) {
    EXPECT_EQ(code(sum.on_leaf(p, play.released(p).leaf, kToday, now)), std::nullopt);
  }
  for (std::uint32_t p = 0; p < 8; ++p) {
    EXPECT_EQ(code_of(play.tell_roster(play.part(p), play.leaves())), std::nullopt);
    Bytes changed = *play.released(p).shares;
    changed[200] ^= 4;  // a commitment
    EXPECT_EQ(code(sum.on_shares(p, changed, now)), ErrorCode::bad_signature);
    EXPECT_EQ(code(sum.on_shares(p, ByteView(changed).first(300), now)), ErrorCode::malformed);
    EXPECT_EQ(code(sum.on_shares(p, *play.released(p).shares, now)), std::nullopt);
  }
  for (std::uint32_t p = 0; p < 8; ++p) {
    EXPECT_EQ(code_of(play.tell_delivery(play.part(p), play.delivery(p, play.everybody()))), std::nullopt);
  }
  const Bytes& vector = play.released(0).masked->vector;
  const Bytes& end = play.released(0).masked->end;
  const std::size_t total = vector.size();
  const ByteView all(vector);
  EXPECT_EQ(code(sum.on_piece(0, 0, total + 3, all, now)), ErrorCode::malformed);       // another total
  EXPECT_EQ(code(sum.on_piece(0, 1, total, all.first(5), now)), ErrorCode::malformed);  // a gap
  EXPECT_EQ(code(sum.on_piece(0, 0, total, {}, now)), ErrorCode::malformed);
  EXPECT_EQ(code(sum.on_piece(0, ~std::uint64_t{0}, total, all, now)), ErrorCode::malformed);
  EXPECT_EQ(code(sum.on_piece(0, 0, total, all.first(7), now)), std::nullopt);
  EXPECT_EQ(code(sum.on_masked(0, end, now)), ErrorCode::malformed);  // too early
  EXPECT_EQ(code(sum.on_piece(0, 0, total, all.first(7), now)), ErrorCode::duplicate);
  EXPECT_EQ(code(sum.on_piece(0, 7, total, all, now)), ErrorCode::too_large);
  EXPECT_EQ(code(sum.on_piece(0, 7, total, all.subspan(7), now)), std::nullopt);
  EXPECT_EQ(code(sum.on_piece(0, total, total, all.first(1), now)), ErrorCode::too_large);
  Bytes forged = end;
  forged[0] ^= 2;  // other shares held than were signed
  EXPECT_EQ(code(sum.on_masked(0, forged, now)), ErrorCode::bad_signature);
  EXPECT_EQ(code(sum.on_masked(1, end, now)), ErrorCode::malformed);
  EXPECT_EQ(code(sum.on_masked(0, end, now)), std::nullopt);
  EXPECT_EQ(sum.phase(), SecureSum::Phase::masking);
}

TEST(Attack, Row16RandomBytesEndNoProcess) {
  sim::SeededRandom random(1616);
  const std::vector<Sample> all = samples();
  for (int trial = 0; trial < 20'000; ++trial) {
    const Sample& sample = all[random.below(all.size())];
    Bytes bytes = sample.bytes;
    const std::uint64_t changes = 1 + random.below(4);
    for (std::uint64_t k = 0; k < changes; ++k) {
      bytes[random.below(bytes.size())] = static_cast<std::uint8_t>(random.below(256));
    }
    if (random.below(4) == 0) bytes.resize(random.below(bytes.size() + 8));
    static_cast<void>(sample.decode(bytes));  // the sanitizers watch
  }
}

}  // namespace
}  // namespace chorus::attacks
