// What a device keeps: its user's ratings, the job it takes part in, the key that it trusts, the latest catalogue and
// model, and which rounds it has promised or given an update to. Everything here is personal or decides about
// personal data, so a promise is durable before the byte that it allows is sent.
//
// Not thread-safe; several processes may open one file, and one of them at a time may take part in rounds
// (begin_session).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/id.hpp"
#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/crypto/secret_bytes.hpp"
#include "common/crypto/signature.hpp"
#include "common/plan/round_plan.hpp"
#include "common/privacy/device_ledger.hpp"
#include "common/protocol/documents.hpp"

namespace chorus::client {

// Text that says something about the user: wiped when it goes.
using SecretText = std::basic_string<char, std::char_traits<char>, crypto::ZeroizingAllocator<char>>;

struct StoredRating {
  SecretText item;        // the catalogue's id, or one that the catalogue does not know (yet)
  double value = 0;       // on the scale of the data contract
  std::int64_t when = 0;  // seconds since 1970, or a rank; 0 if unknown
  bool held_out = false;  // measured, never trained on
  friend bool operator==(const StoredRating&, const StoredRating&) = default;
};
using StoredRatings = crypto::ZeroizingVector<StoredRating>;

struct PutCounts {
  std::size_t added = 0;     // items rated for the first time
  std::size_t replaced = 0;  // ratings that a later row of the call, or the call, replaced
};

struct StoredCatalogue {
  protocol::Signed header;  // protocol::CatalogueHeader
  Bytes bytes;              // dataset::Catalogue::encode()
};

struct StoredModel {
  protocol::Signed header;  // protocol::ModelHeader
  std::uint32_t items = 0;  // rows, the size of its catalogue (today's may be longer)
  Bytes tensors;            // model::TensorSet::encode()
};

// How a round ended for this device.
enum class Ending : std::uint8_t {
  lost = 1,   // the update may have left, masked, and no result came: counts as released
  published,  // the sum became a model version
  measured,
  aborted,
  withheld,  // promised, and never sent
};
[[nodiscard]] std::string_view to_string(Ending ending) noexcept;

// One line of the device's own history.
struct Participation {
  RoundId round;
  CohortId cohort;
  plan::Purpose purpose = plan::Purpose::train;
  ModelVersion model_version;  // that the update started from
  Digest model_id{};
  WallTime when{};
  std::uint32_t members = 0;  // of the cohort, 0 if no result came
  std::uint32_t survivors = 0;
  std::uint64_t bytes_up = 0;    // update bytes
  std::uint64_t bytes_down = 0;  // catalogue and model bytes since the round before
  Ending ending = Ending::lost;
  std::string reason{};  // of an abort
  friend bool operator==(const Participation&, const Participation&) = default;
};

// What the last sync saw, for `status`.
struct LastContact {
  WallTime when{};
  std::string outcome;  // a short sentence
  std::uint32_t devices_ready = 0;
  std::uint32_t devices_needed = 0;
  friend bool operator==(const LastContact&, const LastContact&) = default;
};

// What a round's update is charged with in the privacy ledger.
struct RoundCharge {
  privacy::Cost cost = privacy::Cost::unbounded();
  std::uint32_t honest = 0;  // N, the honest contributors that hide this one
  privacy::LedgerLimits limits{};
  WallTime now{};
};
// A round without noise, agreed to by name.
inline const RoundCharge kWithoutNoise{.limits = {.without_noise = true}};

struct RatingCounts {
  std::size_t training = 0;
  std::size_t held_out = 0;
};

// Errors of every function: disk_full, unwritable, corrupt (with what to do), io (also: another process holds the file
// for longer than the busy timeout). After an error nothing has changed.
class Store {
 public:
  virtual ~Store() = default;

  // --- ratings
  // All rows or none; of several rows for one item the last one wins, also over what was stored.
  [[nodiscard]] virtual Result<PutCounts> put_ratings(std::span<const StoredRating> rows) = 0;
  // Whether there was one.
  [[nodiscard]] virtual Result<bool> remove_rating(std::string_view item) = 0;
  // In the byte order of the items.
  [[nodiscard]] virtual Result<StoredRatings> ratings() = 0;
  [[nodiscard]] virtual Result<RatingCounts> count_ratings() = 0;

  // --- the federation
  [[nodiscard]] virtual Result<std::optional<crypto::PublicKey>> coordinator_key() = 0;
  // Pins the coordinator's key and the job that it signed, at the first contact. Errors: already_exists.
  [[nodiscard]] virtual Status join(const crypto::PublicKey& coordinator, const protocol::Signed& job) = 0;
  [[nodiscard]] virtual Result<std::optional<protocol::Signed>> job() = 0;
  [[nodiscard]] virtual Result<std::optional<protocol::Signed>> catalogue_header() = 0;
  [[nodiscard]] virtual Result<std::optional<StoredCatalogue>> catalogue() = 0;
  // One transaction; readers see the old or the new one.
  [[nodiscard]] virtual Status put_catalogue(const StoredCatalogue& catalogue) = 0;
  [[nodiscard]] virtual Result<std::optional<protocol::Signed>> model_header() = 0;
  [[nodiscard]] virtual Result<std::optional<StoredModel>> model() = 0;
  [[nodiscard]] virtual Status put_model(const StoredModel& model) = 0;
  // Drops coordinator, job, catalogue, model, reservations and history; keeps the ratings, and the privacy ledger: what
  // was given away stays given.
  [[nodiscard]] virtual Status leave() = 0;
  // Drops the ratings and all that leave() drops, overwrites where they stood, and stops this store for good: no
  // session begins any more. Only the privacy ledger stays. May be repeated. Errors: io also if another process still
  // reads the store (all is dropped and stopped then, and its write-ahead log keeps old pages until it is repeated);
  // round_in_use, while another process has a session.
  [[nodiscard]] virtual Status forget() = 0;
  [[nodiscard]] virtual Result<bool> is_stopped() = 0;

  // --- rounds
  // The highest round ever reserved; 0 before.
  [[nodiscard]] virtual Result<RoundId> highest_round() = 0;
  // How often an update of this kind was charged for this model.
  [[nodiscard]] virtual Result<std::uint32_t> attempts(const Digest& model_id, plan::Purpose purpose) = 0;
  // Durable when it returns: raises highest_round and writes `started` into the history as withheld. Errors:
  // stale_round, unless started.round is above highest_round.
  [[nodiscard]] virtual Status reserve(const Participation& started) = 0;
  // Durable when it returns, before the first byte of the masked update leaves: enters the charge into the ledger,
  // counts the attempt, and the round becomes a lost one, until finish() knows better. Once a round. Errors: duplicate
  // (also for a round that was never reserved); those of afford(). If the seal cannot be written the charge may stay,
  // unused.
  [[nodiscard]] virtual Status charge(RoundId round, const RoundCharge& charge) = 0;
  // Whether charge() would be granted now. Writes nothing. Errors: those of privacy::DeviceLedger::afford; corrupt (the
  // ledger was damaged or rolled back).
  [[nodiscard]] virtual Status afford(const RoundCharge& charge) = 0;
  // Errors: corrupt.
  [[nodiscard]] virtual Result<privacy::DeviceLedger> ledger() = 0;
  // The latest charges, newest first.
  [[nodiscard]] virtual Result<std::vector<privacy::LedgerEntry>> charges(std::size_t most) = 0;
  // Durable when it returns, before a vote for this set of survivors (secagg's h3) leaves; the same one may be voted
  // for again. Errors: already_signed; not_found (never reserved).
  [[nodiscard]] virtual Status vote(RoundId round, const Digest& survivors) = 0;
  // Replaces the history's line of this round. Errors: not_found.
  [[nodiscard]] virtual Status finish(const Participation& ended) = 0;
  // Newest first.
  [[nodiscard]] virtual Result<std::vector<Participation>> history(std::size_t most) = 0;
  [[nodiscard]] virtual Status put_last_contact(const LastContact& contact) = 0;
  [[nodiscard]] virtual Result<std::optional<LastContact>> last_contact() = 0;

  // One session an identity: held until end_session or the store is closed. Errors: round_in_use, if another process
  // (or another Store on this file) has one; aborted, after forget().
  [[nodiscard]] virtual Status begin_session() = 0;
  virtual void end_session() noexcept = 0;
};

struct StoreOptions {
  std::chrono::milliseconds busy_timeout{5'000};     // how long to wait for another process's write
  std::size_t page_cache = std::size_t{128} * 1024;  // bytes; a thousand stores may be open in one process
  // Off: what was written survives the process, not a power cut. For a simulated fleet in a temporary folder alone,
  // whose thousand devices would wait for one disk.
  bool survives_power_loss = true;
};

// SQLite at `file`, created with mode 0600 (and its folders with 0700) if it is not there; WAL, fsync before every
// promise. Errors: unwritable, disk_full, corrupt (not a store), unsupported_version (written by a newer Chorus), io.
[[nodiscard]] Result<std::unique_ptr<Store>> open_store(const std::filesystem::path& file,
                                                        const StoreOptions& options = {});
// The same without a file, gone when it is closed: for simulations and tests.
[[nodiscard]] Result<std::unique_ptr<Store>> open_memory_store();

}  // namespace chorus::client
