// The lying coordinator: it has a cast of devices that follow the protocol, tells each of them what it likes, and keeps
// all that they answer. What it says by default is the truth, so a test reads as its lie alone.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "common/secagg/transcript.hpp"
#include "simulations/world/secure_cohort.hpp"
#include "tests/attacks/knowledge.hpp"
#include "tests/attacks/member.hpp"

namespace chorus::attacks {

inline constexpr WallTime kEnrolled{std::chrono::seconds{1'700'000'000}};
inline constexpr WallTime kToday{std::chrono::seconds{1'710'000'000}};
inline constexpr WallTime kExpiry{std::chrono::seconds{1'720'000'000}};

// A small layout; the first tensor has a row an item.
[[nodiscard]] plan::UpdateLayout small_layout(int bits = 24, std::uint32_t items = 4);

struct Scene {
  std::uint32_t members = 8;
  plan::Ratio corrupt{1, 8};  // A = 1, so t = Q = 5 of 8
  plan::Ratio dropout{2, 8};  // D = 2, so N = 5
  std::uint32_t least_members = 6;
  plan::UpdateLayout layout = small_layout();
  Digest h0{1, 2, 3};
  std::uint64_t seed = 1;
  // Devices that were enrolled before, and the statements that everybody knows already: a device's thousandth round.
  // REQUIRES: as many devices as members; both outlive the play.
  const sim::EnrolledDevices* devices = nullptr;
  secagg::VerifiedStatements* verified = nullptr;
};

class Play {
 public:
  // A device's part: the device, and what it was told.
  struct Part {
    std::uint32_t position = 0;
    std::unique_ptr<Member> member;
    std::shared_ptr<const secagg::Roster> roster;
    Bytes roster_bytes;
    Bytes delivery_bytes;
    Digest h2{};
    secagg::MemberSet u2;
    secagg::MemberSet u3;
  };

  explicit Play(const Scene& scene, MemberMaker maker = &make_member<client::FullChecks>);

  [[nodiscard]] const Scene& scene() const noexcept { return scene_; }
  [[nodiscard]] std::uint32_t size() const noexcept { return scene_.members; }
  [[nodiscard]] Part& part(std::uint32_t position) { return parts_[position]; }
  [[nodiscard]] const Released& released(std::uint32_t position) const { return parts_[position].member->released(); }
  // Position p's device; its id is the p-th smallest.
  [[nodiscard]] const sim::EnrolledDevices::Device& device(std::uint32_t position) const;
  [[nodiscard]] const sim::EnrolledDevices& devices() const noexcept {
    return scene_.devices != nullptr ? *scene_.devices : *own_devices_;
  }
  [[nodiscard]] secagg::VerifiedStatements& verified() noexcept {
    return scene_.verified != nullptr ? *scene_.verified : own_verified_;
  }
  [[nodiscard]] std::uint64_t seed_of(std::uint32_t position) const noexcept { return scene_.seed * 1000 + position; }
  // Another machine of the same device, as it was before the session: a snapshot brought back. With `promises` the
  // device's own store, or one that was brought back too.
  Part& restore(std::uint32_t position, MemberMaker maker, client::SumPromises* promises = nullptr);
  // The same, and told again what the device was told up to its upload.
  Part& restore_to_upload(std::uint32_t position, MemberMaker maker, client::SumPromises* promises = nullptr);
  // The device at this position with other checks, another update or other promises; before advertise().
  void recast(std::uint32_t position, MemberMaker maker, const Bytes* update = nullptr,
              client::SumPromises* promises = nullptr);
  // All devices anew, with these rules.
  void recast_all(MemberMaker maker, const secagg::AdmissionRules& rules);
  // The device at this position anew, shown another plan.
  void recast_under(std::uint32_t position, MemberMaker maker, const Digest& h0);

  // --- messages
  [[nodiscard]] secagg::Leaf leaf(std::uint32_t position) const;
  [[nodiscard]] std::vector<secagg::Leaf> leaves() const;
  // The bytes of a roster, whatever the leaves are.
  [[nodiscard]] static Bytes roster_bytes(const std::vector<secagg::Leaf>& leaves);
  // A leaf with these keys, signed by the device as a corrupt one would.
  [[nodiscard]] secagg::Leaf signed_leaf(std::uint32_t position, const crypto::ExchangeKey& share_key,
                                         const crypto::ExchangeKey& mask_key) const;
  [[nodiscard]] secagg::MemberSet everybody() const { return except({}); }
  [[nodiscard]] secagg::MemberSet except(std::initializer_list<std::uint32_t> positions) const;
  [[nodiscard]] secagg::MemberSet only(std::initializer_list<std::uint32_t> positions) const;
  [[nodiscard]] secagg::Shares dealing(std::uint32_t dealer) const;
  [[nodiscard]] secagg::Delivery delivery(std::uint32_t holder, const secagg::MemberSet& u2) const;
  // Votes on these survivors: of every part that was told them and voted, and of the corrupt.
  [[nodiscard]] secagg::Certificate certificate(const Part& to) const;

  // --- telling; each to one part, and the truth to all
  Status tell_roster(Part& part, const std::vector<secagg::Leaf>& leaves);
  Status tell_delivery(Part& part, const secagg::Delivery& delivery);
  Status tell_survivors(Part& part, const secagg::MemberSet& u3);
  Status tell_certificate(Part& part, const secagg::Certificate& certificate);
  void play_to_shares();                     // all have dealt
  void play_to_upload();                     // all have uploaded, U2 = everybody
  void play_to_votes(secagg::MemberSet u3);  // its members have voted
  void play_to_openings(const secagg::MemberSet& u3);

  // --- the attacker
  // These members follow the protocol and tell all they know; they vote for whatever is asked.
  void corrupt(std::uint32_t position) { corrupt_.push_back(position); }
  [[nodiscard]] Knowledge knowledge() const;
  // The shares that `part` sealed for this holder, read with the holder's secret.
  void read_sealed(Knowledge& knowledge, const Part& part, std::uint32_t holder,
                   const crypto::ExchangeSecret& secret) const;
  [[nodiscard]] const Bytes& update(std::uint32_t position) const { return updates_[position]; }
  [[nodiscard]] Lanes x(std::uint32_t position) const { return lanes_of(scene_.layout, updates_[position]); }
  [[nodiscard]] Lanes sum_of(const secagg::MemberSet& members) const;
  // The fewest honest members in any sum that decodes; 0 if none decodes. Every one that does is held against the true
  // sum.
  [[nodiscard]] std::uint32_t fewest_honest_in_a_sum() const;
  [[nodiscard]] bool is_corrupt(std::uint32_t position) const;

 private:
  [[nodiscard]] MemberSetting setting(std::uint32_t position, client::SumPromises* promises);

  Scene scene_;
  sim::SeededRandom random_;
  std::optional<sim::EnrolledDevices> own_devices_;
  secagg::AdmissionRules rules_;
  secagg::VerifiedStatements own_verified_;
  std::vector<std::uint32_t> order_;  // position → device
  std::vector<Bytes> updates_;
  std::deque<sim::MemoryPromises> promises_;
  std::deque<Part> parts_;  // [n], then restored ones
  std::vector<std::uint32_t> corrupt_;
};

// The code of an error, or nothing.
[[nodiscard]] inline std::optional<ErrorCode> code_of(const Status& status) {
  return status.has_value() ? std::nullopt : std::optional(status.error().code());
}

// That nothing in the attacker's hands makes a sum with this member's update in it, alone or with others.
void expect_hidden(const Play& play, std::uint32_t victim);
// That the attacker can make exactly this member's update.
void expect_exposed(const Play& play, std::uint32_t victim);

}  // namespace chorus::attacks
