// The roster of a secure sum: who is in it and with which keys, checked by the same code on both sides (design: secure
// aggregation, section 2, steps 1 and 2).
#pragma once

#include <chrono>
#include <optional>
#include <unordered_set>
#include <vector>

#include "common/base/bytes.hpp"
#include "common/base/time.hpp"
#include "common/crypto/key_exchange.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/identity_statement.hpp"
#include "common/identity/revocation_list.hpp"
#include "common/plan/floors.hpp"
#include "common/secagg/parameters.hpp"

namespace chorus::secagg {

// What one member advertises. Canonical encoding, 296 bytes: identity statement[168] ‖ share_key[32] ‖ mask_key[32] ‖
// signature[64] over h0 ‖ share_key ‖ mask_key, label "CSA/1/advertise", by the statement's key.
struct Leaf {
  static constexpr std::size_t kSize = 296;

  identity::IdentityStatement statement;
  crypto::ExchangeKey share_key{};  // agrees on the keys that encrypt shares
  crypto::ExchangeKey mask_key{};   // agrees on the pairwise masks; its secret is κ
  crypto::Signature signature{};

  friend bool operator==(const Leaf&, const Leaf&) = default;
};

[[nodiscard]] Bytes encode(const Leaf& leaf);
// Errors: malformed, unsupported_version. Checks no signature.
[[nodiscard]] Result<Leaf> decode_leaf(ByteView bytes);
[[nodiscard]] Leaf advertise(const Digest& h0, const identity::IdentityStatement& statement,
                             const crypto::ExchangeKey& share_key, const crypto::ExchangeKey& mask_key,
                             const crypto::SigningKey& key);

// Whose members a side accepts, and when.
struct AdmissionRules {
  crypto::PublicKey authority{};  // the enrolment authority that this side pins
  WallTime now{};
  std::chrono::seconds least_age{0};                  // of an identity, since its enrolment
  const identity::RevocationList* revoked = nullptr;  // may be absent; outlives the call
};

// Statements whose authority signature has been verified, so that a member met again costs one verification less. Holds
// at most kMost; not thread-safe.
class VerifiedStatements {
 public:
  static constexpr std::size_t kMost = 100'000;
  [[nodiscard]] bool contains(const Digest& statement) const { return digests_.contains(statement); }
  void insert(const Digest& statement);

 private:
  struct Hash {
    std::size_t operator()(const Digest& digest) const noexcept;
  };
  std::unordered_set<Digest, Hash> digests_;
};

// One leaf against h0 and the rules: the coordinator asks when it arrives, a member for each leaf of the roster.
// Errors: bad_identity, not_yet_valid, expired, revoked, identity_too_young, bad_signature, bad_key (of low order:
// whoever signed it means to end the sum); `where` is the device's id.
[[nodiscard]] Status check_leaf(const Leaf& leaf, const Digest& h0, const AdmissionRules& rules,
                                VerifiedStatements& verified);

// A checked roster. Immutable, thread-safe. Encoding: n (u32) ‖ n leaves.
class Roster {
 public:
  struct Bounds {
    std::uint32_t least_members = 0;
    std::uint32_t most_members = 0;
    plan::Ratio corrupt;
    plan::Ratio dropout;
  };
  // Sorts nothing: `leaves` must be strictly increasing in their device ids. The coordinator's case: it called
  // check_leaf for each leaf when it arrived. Errors: malformed (order); duplicate_identity (an id, or any key, twice);
  // cohort_too_small, too_large (n outside [least, most]).
  [[nodiscard]] static Result<Roster> create(const Digest& h0, std::vector<Leaf> leaves, const Bounds& bounds);
  // create() from the encoding. Errors: besides, malformed. Checks no leaf.
  [[nodiscard]] static Result<Roster> decode(ByteView bytes, const Digest& h0, const Bounds& bounds);
  // decode(), then check_leaf for each leaf: a member's case. Errors: besides, those of check_leaf.
  [[nodiscard]] static Result<Roster> decode_and_check(ByteView bytes, const Digest& h0, const Bounds& bounds,
                                                       const AdmissionRules& rules, VerifiedStatements& verified);
  [[nodiscard]] Bytes encode() const;

  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(leaves_.size()); }
  [[nodiscard]] const Leaf& leaf(std::uint32_t position) const { return leaves_[position]; }
  [[nodiscard]] const Digest& h1() const noexcept { return h1_; }
  [[nodiscard]] const Parameters& parameters() const noexcept { return parameters_; }
  [[nodiscard]] std::optional<std::uint32_t> position_of(const identity::DeviceId& id) const;

 private:
  Roster() = default;
  std::vector<Leaf> leaves_;
  Digest h1_{};
  Parameters parameters_;
};

}  // namespace chorus::secagg
