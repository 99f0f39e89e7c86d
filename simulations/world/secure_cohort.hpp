// A cohort that runs CSA/1 in one process: the real members and the real coordinator's half, passing messages in
// memory. `chorus-sim train --aggregation masked`, the benchmarks and the tests use it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "client/round/sum_member.hpp"
#include "common/base/result.hpp"
#include "common/crypto/random_source.hpp"
#include "common/identity/identity_statement.hpp"
#include "common/ring/fixed_point.hpp"
#include "coordinator/round/secure_sum.hpp"

namespace chorus::sim {

// Promises in memory, for devices that live no longer than the process.
class MemoryPromises final : public client::SumPromises {
 public:
  [[nodiscard]] Status afford(std::uint32_t /*honest*/) override { return {}; }
  [[nodiscard]] Status charge(std::uint32_t honest) override;
  [[nodiscard]] Status vote(const Digest& h3) override;
  // A new session begins.
  void begin() { voted_.reset(); }
  [[nodiscard]] std::uint64_t charged() const noexcept { return charged_; }

 private:
  std::optional<Digest> voted_;
  std::uint64_t charged_ = 0;
};

// Devices that an authority of the simulation enrolled. Immutable after creation.
class EnrolledDevices {
 public:
  EnrolledDevices(std::uint32_t count, WallTime enrolled_at, WallTime expires_at, crypto::RandomSource& random);
  struct Device {
    identity::IdentityStatement statement;
    crypto::SigningKey key;
  };
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(devices_.size()); }
  [[nodiscard]] const Device& operator[](std::uint32_t i) const { return devices_[i]; }
  [[nodiscard]] const crypto::PublicKey& authority() const noexcept { return authority_.public_key(); }
  [[nodiscard]] const crypto::SigningKey& authority_key() const noexcept { return authority_; }

 private:
  crypto::SigningKey authority_;
  std::vector<Device> devices_;
};

// When a member falls silent.
enum class Silence : std::uint8_t {
  never,
  before_advertising,
  before_shares,
  before_masked,
  before_vote,
  before_openings
};

// What a member sends in a session, in this order.
enum class Sent : std::uint8_t { leaf, shares, masked, vote, openings };
inline constexpr std::size_t kSentKinds = 5;
// Bytes of each; 0: it was not sent, because the member is silent, or because enough had answered.
using SentBytes = std::array<std::uint64_t, kSentKinds>;

struct CohortOutcome {
  ring::CohortSum sum;
  std::vector<std::uint32_t> survivors = {};  // indices into `updates`
  std::vector<std::uint64_t> bytes_up = {};   // a member
  std::vector<SentBytes> sent = {};           // the same, message by message
  std::vector<std::uint64_t> bytes_down = {};
};

// Watches what a session costs; the benchmarks implement it.
class CohortMeter {
 public:
  virtual ~CohortMeter() = default;
  virtual void begin_member(std::uint32_t member) = 0;
  virtual void end_member(std::uint32_t member) = 0;
  virtual void begin_coordinator(bool recovery) = 0;
  virtual void end_coordinator(bool recovery) = 0;
};

struct CohortRun {
  coordinator::SecureSumTerms terms;
  std::vector<std::uint32_t> devices;           // of EnrolledDevices; one a member
  std::vector<crypto::ZeroizingBytes> updates;  // packed; one a member, consumed
  std::vector<Silence> silence;                 // empty: never
  WallTime today{};
  unsigned threads = 1;  // for recovery
  CohortMeter* meter = nullptr;
  // Statements that the members know already: shared by all of them, as they would be after some rounds.
  secagg::VerifiedStatements* members_know = nullptr;
  secagg::VerifiedStatements* coordinator_knows = nullptr;
};

// One session from the first leaf to the sum. Errors: the reason of the abort.
[[nodiscard]] Result<CohortOutcome> run_cohort(const EnrolledDevices& devices, CohortRun run,
                                               crypto::RandomSource& random);

}  // namespace chorus::sim
