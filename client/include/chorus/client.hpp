// Chorus on a device, for apps: keeps a user's ratings in a file of the device, trains a shared model together with
// other devices, and recommends from it, locally. Ratings never leave the device; what does leave are the sums'
// summands that `sync` contributes to a round, under limits that no coordinator can lower.
//
// C++23, standard types only. The same in C: <chorus/client.h>.
//
//   auto client = chorus::Client::open({.store = "me.db", .credentials = "device"});
//   if (!client) return complain(client.error().sentence);
//   auto rated = client->rate("The Third Man", 5);
//   auto synced = client->sync({.coordinators = {"example.org:7443"}});
//   auto best = client->recommend(10);
//
// Errors are values (ClientResult); no function throws, except std::bad_alloc.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#if defined(__GNUC__)
#define CHORUS_API __attribute__((visibility("default")))
#else
#define CHORUS_API
#endif

namespace chorus {

// What a caller can do about an error.
enum class ClientErrorKind {
  usage = 1,    // the call itself is wrong: an argument, an option
  input = 2,    // what was to be imported or rated is no rating
  storage = 3,  // the store or another file: missing, not writable, full, damaged
  busy = 4,     // another process is syncing with this store
  trust = 5,    // certificate, revocation list or the coordinator's identity: a person must look
  network = 6,  // unreachable, or the time is up: later may work
  refused = 7,  // the coordinator or this device's own policy said no
  unsynced = 8  // asked for what only a sync brings
};
// "usage", "input" ...
[[nodiscard]] CHORUS_API std::string_view to_string(ClientErrorKind kind) noexcept;

struct ClientError {
  ClientErrorKind kind = ClientErrorKind::usage;
  std::string code;      // one word that stays the same: "malformed", "unreachable", "expired" ...
  std::string sentence;  // for a person
  std::string where;     // the place in the input ("ratings.csv:17"), or empty
};

template <typename T>
using ClientResult = std::expected<T, ClientError>;

// What the user agrees to give away, whatever a coordinator asks. sync() refuses what does not fit, before anything is
// sent; ledger() says what is left.
struct PrivacyLimits {
  // All that this device gives away, ever: by at most e^epsilon its part changes the odds of anything that the
  // coordinator sees, but for a chance of delta. Lower epsilon to give away less; above 10 it promises little.
  double epsilon = 8;
  double delta = 1e-5;  // below 1 in the number of people
  // Of a single round, at the same delta. Lower it to spread the budget over more rounds.
  double most_round_epsilon = 8;
  // Between two updates, at least. Raise it where a coordinator asks too often.
  std::chrono::seconds least_interval{0};
  // Devices that a round's plan must insist on; 64 of them must survive in any case.
  std::uint32_t least_cohort = 0;
};

struct ClientOptions {
  // The file with everything that this device knows. Made if it is not there, readable by its owner alone. Several
  // processes may use one store; one of them at a time may sync.
  std::filesystem::path store;
  // The folder that enrol() makes, or `chorus-certs device` did: device.crt, device.key, identity.statement,
  // authority.crt, crl.pem. sync() reads it, and renews it in time if enrol() made it; forget() wipes the device's own
  // of these.
  std::filesystem::path credentials;
  PrivacyLimits privacy = {};
};

struct ImportOptions {
  // "ml-100k", "ml-latest", "csv" ...; empty: recognised by content.
  std::string format;
  // Whose ratings, if the file holds those of several people. Empty: the file holds one person's.
  std::string user;
  // Leave bad lines out and count them, instead of importing nothing.
  bool skip_bad_lines = false;
  // Keep these for measuring the model; never train on them.
  bool held_out = false;
};

struct ImportReport {
  std::string format;                    // that was recognised
  std::size_t ratings = 0;               // imported: distinct items
  std::size_t added = 0;                 // items that had no rating before
  std::size_t replaced = 0;              // items whose earlier rating was replaced
  std::size_t duplicates = 0;            // lines that a later one of the file replaced
  std::size_t bad_lines = 0;             // left out
  std::vector<ClientError> problems;     // the first few of these
  std::optional<std::size_t> unknown;    // items that the catalogue lacks: kept, not sent. Absent: no catalogue yet
  std::optional<std::size_t> off_scale;  // ratings between two steps of the job's scale: kept, not sent
};

// What became of one rating.
struct RatingReport {
  bool replaced = false;             // an earlier one
  std::string title;                 // of the item, if the catalogue is here and has it
  std::optional<bool> in_catalogue;  // absent: no catalogue yet
};

struct SyncProgress {
  enum class Kind {
    connected,
    joined,  // the coordinator's welcome was accepted
    downloading,
    synced,   // catalogue and model are the latest
    waiting,  // for more devices: `done` of `total` are ready
    round_started,
    uploading,
    round_ended,
    declined,  // this device refused a round, because it would break its own limits
    finished,  // the job reached its goal
    retrying,  // the connection ended; the next attempt comes by itself
    identity   // the certificate was renewed, or could not be, or the one of the next authority is in use
  };
  Kind kind = Kind::connected;
  std::string sentence;     // for a person: "3 of 76 devices ready"
  std::uint64_t done = 0;   // of what `kind` says: bytes or devices
  std::uint64_t total = 0;  // 0: not a matter of amounts
};

struct SyncOptions {
  // Each "host:port" or "[v6 address]:port"; tried in turn.
  std::vector<std::string> coordinators;
  // The job's name; empty: the coordinator's only one.
  std::string job;
  // Take part until so many rounds have ended with this device's update in them; 0: only fetch the latest model.
  std::uint64_t rounds = 1;
  // Take part for as long as the job runs, whatever `rounds` says.
  bool until_finished = false;
  // Give up after this time, with what was achieved; 0: never.
  std::chrono::milliseconds patience{0};
  // The user agrees to rounds without noise: then only the secure sum protects an update, and whoever sees two sums
  // that differ by one device sees that device's update. Without it, such rounds are declined.
  bool without_noise = false;
  // How long ago the other devices of a sum were enrolled, at least. Lower it for demonstrations alone.
  std::chrono::seconds least_identity_age = std::chrono::days(30);
};

struct SyncReport {
  // Why it returned.
  enum class Ending {
    complete,   // as asked for
    finished,   // the job has reached its goal: there are no more rounds
    cancelled,  // by cancel()
    impatient   // options.patience was over
  };
  Ending ending = Ending::complete;
  std::uint64_t rounds = 0;   // ended with this device's update in them
  std::uint64_t aborted = 0;  // ended without a result
  std::optional<std::uint64_t> model_version;
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  // Of the coordinator's last word on waiting; 0 of 0 if it said none.
  std::uint32_t devices_ready = 0;
  std::uint32_t devices_needed = 0;
  // Why the last attempt failed or the last round was declined, if nothing went well since; else empty.
  std::string trouble;
};

// One summand of a score.
struct ScoreReason {
  std::string item;   // the id of the item that the user rated
  std::string title;  // what it is called
  double rating = 0;  // the user's
  double amount = 0;  // by how much that raised the score
};

struct RecommendedItem {
  std::string item;  // its id in the catalogue
  std::string title;
  // On the job's scale, not clipped: base + own + history + prior, to 1e-6. 0 with all of them, if nothing was learned.
  double score = 0;
  double base = 0;                   // the mean of all ratings
  double own = 0;                    // the item's: how widely it is liked
  double history = 0;                // of the user's ratings together
  double prior = 0;                  // what people like this user like
  std::uint64_t rated_by = 0;        // devices of the last round that rated it
  std::vector<ScoreReason> reasons;  // the most telling parts of `history`, at most two
  std::string why;                   // "because you rated A 5 (+0.41) and B 4 (+0.22)"
};

struct Recommendations {
  // "personal": the model's scores for this user. "popularity": how many devices rated an item, because no rating of
  // this user can be used. "catalogue": the catalogue's order, because no round has ended yet.
  std::string basis;
  std::vector<RecommendedItem> items;  // best first
};

struct PastRound {
  std::uint64_t round = 0;
  std::string purpose;              // "survey", "train", "measure"
  std::string ending;               // "published", "measured", "aborted", "lost"
  std::string reason;               // of an abort
  std::int64_t when = 0;            // seconds since 1970
  std::uint64_t model_version = 0;  // that the update started from
  std::uint32_t members = 0;        // of the cohort
  std::uint32_t survivors = 0;      // whose updates are in the sum
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
};

// What the coordinator signed with the model: what the job has cost each of its users so far, as it accounts for it.
// Your own ledger says what you paid.
struct ModelPrivacy {
  double delta = 0;
  double epsilon_coordinator = 0;  // against whoever runs the coordinator; infinite: some rounds were without noise
  double epsilon_readers = 0;      // against readers of the model
  std::uint64_t rounds = 0;        // that were charged
  std::uint64_t rounds_left = 0;   // like the last one, within the job's budget
  double noise_multiplier = 0;     // of the last round; 0: no noise
  std::uint32_t honest = 0;        // devices that its noise was counted on
  std::string words;               // the same for a person, a sentence a line
};

struct ClientStatus {
  std::size_t ratings = 0;   // that are trained on
  std::size_t held_out = 0;  // that are measured only
  // Ratings that are kept and not sent; absent before the first sync.
  std::optional<std::size_t> unknown;    // of items that the catalogue lacks
  std::optional<std::size_t> off_scale;  // with values that the job does not accept
  std::string job;                       // empty before the first sync, as all that follows
  double minimum = 0;                    // the job's scale
  double maximum = 0;
  double step = 0;              // 0: any value between
  std::string coordinator_key;  // that this device trusts since its first contact; hexadecimal
  std::size_t catalogue_items = 0;
  std::optional<std::uint64_t> model_version;
  std::uint64_t training_rounds = 0;         // behind this version
  std::optional<ModelPrivacy> privacy;       // absent before the first round
  std::optional<std::int64_t> last_contact;  // seconds since 1970
  std::string last_outcome;
  std::uint32_t devices_ready = 0;  // of that contact
  std::uint32_t devices_needed = 0;
  std::vector<PastRound> history;  // newest first
};

// One update that left this device, or may have.
struct SharedUpdate {
  std::int64_t when = 0;  // seconds since 1970
  std::uint64_t round = 0;
  // Of the job that this device is in; empty, as the three below, for an earlier one that was left.
  std::string job;
  std::string purpose;
  std::string ending;                          // as in PastRound
  std::optional<std::uint64_t> model_version;  // that the update started from
  std::optional<std::uint32_t> others;         // whose updates are in the same sum; absent: no result came
  std::uint32_t honest = 0;                    // N: devices whose noise hid it, itself included
  // Of this update alone, at the limits' delta. Absent: it left without noise, NO DIFFERENCING PROTECTION.
  std::optional<double> epsilon;
};

// What this device gave away, whatever became of the rounds, as its own ledger has it.
struct SharedLedger {
  PrivacyLimits limits;
  std::uint64_t updates = 0;      // in all
  std::uint64_t unprotected = 0;  // of them without noise: no epsilon holds them
  double spent = 0;               // epsilon of all the others together; less than their sum
  double left = 0;                // of the budget
  // At the cost of the last update with noise; absent before the first.
  std::optional<std::uint64_t> rounds_left;
  std::vector<SharedUpdate> shared;  // newest first
};

struct EnrolOptions {
  std::string authority;   // where the enrolment authority's service listens, "host:port"
  std::string invitation;  // as its operator gave it: the authority's fingerprint and, if it has one, a token
};

struct EnrolReport {
  // An operator has not decided yet: call again later, with the same folder. Tell them `key`, for them to compare.
  bool waiting = false;
  std::string key;           // the public one, in hexadecimal; the private one never leaves the folder
  std::string device;        // the id that the authority gave; "" while waiting
  std::int64_t expires = 0;  // seconds since 1970
};

struct ForgetOptions {
  // Ask the enrolment authority to revoke this device, so that a copy of its key is worth nothing. Only where enrol()
  // made the folder; it takes up to half a minute where the authority cannot be reached.
  bool tell_authority = true;
};

struct ForgetReport {
  std::size_t ratings = 0;                     // deleted
  std::vector<std::filesystem::path> deleted;  // files of the device's identity: overwritten, and deleted
  std::uint64_t updates = 0;                   // whose charges stay in the ledger
  bool revoked = false;                        // by the enrolment authority, at this device's wish
  std::string trouble;                         // why not, if it was asked; else empty
};

// Not thread-safe, except for cancel(): one thread at a time. While one Client syncs, another one on the same store may
// be used by another thread.
class CHORUS_API Client {
 public:
  using Progress = std::function<void(const SyncProgress&)>;

  // Errors: usage (no store named), storage.
  [[nodiscard]] static ClientResult<Client> open(const ClientOptions& options);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // Reads a file of ratings: all of it, or after an error nothing. Later lines win over earlier ones and over what was
  // rated before. Once the job is known its scale is required of every line.
  // Errors: input (where: "file:line"), usage (format, user), storage (the file or the store).
  [[nodiscard]] ClientResult<ImportReport> import_ratings(const std::filesystem::path& file,
                                                          const ImportOptions& options = {});
  // `item`: an id of the catalogue, or one that it may get. Errors: input (an id or a value that is none), storage.
  [[nodiscard]] ClientResult<RatingReport> rate(std::string_view item, double value);
  // Whether there was a rating. Errors: storage.
  [[nodiscard]] ClientResult<bool> remove(std::string_view item);

  // Makes a key in the credentials folder and has it certified. Errors: usage, input (the invitation), storage (also:
  // the folder holds an identity already), busy, trust, network, refused.
  [[nodiscard]] ClientResult<EnrolReport> enrol(const EnrolOptions& options);
  // Certifies the same key for another while. sync() does so by itself, when a third of the time is left. Errors: as
  // enrol(), and storage where enrol() did not make the folder.
  [[nodiscard]] ClientResult<EnrolReport> renew();

  // Fetches the latest catalogue and model, and takes part in rounds as asked. Blocks; waits for other devices as long
  // as it must; reconnects by itself. `progress` is called on this thread, and may call cancel().
  // Errors: usage, busy, trust, refused, storage; network never: what a retry can mend is retried.
  [[nodiscard]] ClientResult<SyncReport> sync(const SyncOptions& options, const Progress& progress = {});
  // Ends the sync that runs now, or the next one, soon. From any thread, also from a signal's handler.
  void cancel() noexcept;

  // At most `count` items that the user has not rated. Errors: unsynced, storage.
  [[nodiscard]] ClientResult<Recommendations> recommend(std::size_t count);
  // `rounds`: how much of the history. Errors: storage.
  [[nodiscard]] ClientResult<ClientStatus> status(std::size_t rounds = 10);
  // Forgets the job, its coordinator and its model, and keeps the ratings: to join another, or the same one after its
  // coordinator was replaced. Errors: storage, busy.
  [[nodiscard]] ClientResult<void> leave();
  // What was shared: the newest `updates`. Errors: usage (limits), storage (also: a ledger that was damaged or rolled
  // back).
  [[nodiscard]] ClientResult<SharedLedger> ledger(std::size_t updates = 10);
  // Stops for good: deletes the ratings, the job, the model and the history, and the private files of the credentials
  // folder; every later sync() is refused. What was summed into a model stays in it, and the ledger stays in the store,
  // so that a spent budget stays spent. May be repeated. Errors: busy, storage (whatever is left, repeating deletes).
  [[nodiscard]] ClientResult<ForgetReport> forget(const ForgetOptions& options = {});

 private:
  struct State;
  explicit Client(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

// "0.1.0"
[[nodiscard]] CHORUS_API std::string_view client_version() noexcept;

}  // namespace chorus
