// One job, sans-IO: welcomes devices, schedules rounds, routes their messages, publishes versions. Takes events and
// the time, returns actions (actions.hpp). Owned by one thread; the daemon and the simulation drive the same class.
//
//   Gathering ──▶ Reserving ──▶ Collecting ──▶ Building ──▶ Storing ──▶ Gathering …
//       │ the job reached its goal       │ every cohort aborted             │
//       ▼                                ▼                                  ▼
//   Finished                         Gathering                          Finished
//
// Growing comes between two rounds, after Finished too, when the catalogue has new items.
//
// In Collecting each cohort runs a secure sum (coordinator/round/secure_sum); a member whose connection breaks may come
// back to its place.
//
// The schedule: a survey if the model asks for one, training rounds up to the goal, one measuring round. A round has
// one or more cohorts; those that abort are left out of its sum. A version is stored before anybody hears of it, and a
// round's number before it is used, so a killed coordinator costs the round in progress and nothing else.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <variant>
#include <vector>

#include "common/plan/floors.hpp"
#include "common/protocol/phases.hpp"
#include "coordinator/federation/actions.hpp"
#include "coordinator/federation/job_start.hpp"
#include "coordinator/federation/pace.hpp"
#include "coordinator/federation/settings.hpp"
#include "coordinator/publish/trace.hpp"
#include "coordinator/round/secure_sum.hpp"

namespace chorus::coordinator {

// Whose devices take part.
struct Admission {
  crypto::PublicKey authority{};
  std::shared_ptr<const identity::RevocationList> revoked;
};

// What devices are told that have come with an authority's certificate when another has taken over.
[[nodiscard]] Error another_authority();

// Not thread-safe.
class Federation {
 public:
  // `random` draws cohorts and session ids, and must outlive the federation. Errors: those of RoundPlan::create: a
  // coordinator whose plans no device would accept does not start.
  // REQUIRES: a revocation list.
  [[nodiscard]] static Result<Federation> create(const FederationSettings& settings, JobStart start,
                                                 Admission admission, crypto::RandomSource& random,
                                                 const plan::Floors& floors);

  // Who was drawn before this process began, and when on the wall's clock. A time to come counts as now.
  void remember(std::span<const Participation> participation, Moment now, WallTime today);

  // --- events. A session that Federation has closed is unknown: its events have no effect.
  // A TLS connection whose certificate names `device`; an older connection of the same device is closed.
  [[nodiscard]] Actions on_connected(SessionId session, const identity::DeviceId& device, Moment now);
  // `today` is what certificates and statements are held against.
  [[nodiscard]] Actions on_message(SessionId session, protocol::Message message, Moment now, WallTime today);
  [[nodiscard]] Actions on_disconnected(SessionId session, Moment now);
  // To be called at next_deadline() or later.
  [[nodiscard]] Actions on_time(Moment now);
  // The results of ReserveRound, RecoverSum, BuildStep and StoreVersion.
  [[nodiscard]] Actions on_round_reserved(Status reserved, Moment now);
  [[nodiscard]] Actions on_sum_recovered(const RecoverSum& asked, Result<ring::CohortSum> sum, Moment now);
  [[nodiscard]] Actions on_step_built(Result<BuildStep::Outcome> built, Moment now);
  [[nodiscard]] Actions on_stored(Status stored, Moment now);
  // The catalogue as it is now. What it has gained takes effect between two rounds; one that has lost or changed items
  // is refused by a Log.
  [[nodiscard]] Actions on_catalogue(std::vector<dataset::CatalogueItem> items, Moment now);
  // A newer list of revoked devices, or another authority that has taken over, from the next round on. Devices of the
  // authority before are sent away when their round has ended, to come back with the identity that the new one gave
  // them. REQUIRES: a revocation list.
  [[nodiscard]] Actions on_admission(Admission admission, Moment now);
  // No round opens while it is paused; one that is open goes on.
  [[nodiscard]] Actions on_pause(bool paused, Moment now);
  // A round in progress gets settings.shutdown_grace to complete. Stop follows.
  [[nodiscard]] Actions on_stop(Moment now);

  [[nodiscard]] std::optional<Moment> next_deadline() const;

  // --- for drivers, reports and tests
  [[nodiscard]] const Publisher& publisher() const noexcept { return *publisher_; }
  [[nodiscard]] const Version& version() const noexcept { return version_; }
  [[nodiscard]] const Progress& progress() const noexcept { return progress_; }
  [[nodiscard]] const Roster& roster() const noexcept { return roster_; }
  [[nodiscard]] bool finished() const noexcept { return std::holds_alternative<Finished>(phase_); }
  [[nodiscard]] bool paused() const noexcept { return paused_; }
  // "gathering", "reserving", …: as in the diagram above.
  [[nodiscard]] std::string_view phase_name() const noexcept;
  [[nodiscard]] bool collecting() const noexcept { return std::holds_alternative<Collecting>(phase_); }
  // Absent for a session that is unknown.
  [[nodiscard]] std::optional<protocol::CoordinatorPhase> phase_of(SessionId session) const;

 private:
  struct Place {
    std::size_t cohort = 0;
    std::uint32_t member = 0;
  };
  struct Session {
    crypto::PublicKey authority{};  // under which it connected
    protocol::CoordinatorPhase phase = protocol::CoordinatorPhase::greeting;
    std::optional<Place> place;                       // in the round in progress
    std::optional<ByteArray<32>> last_round_session;  // whose late messages are dropped without a word
  };
  struct Member {
    identity::DeviceId device;
    std::optional<SessionId> session;    // absent: its connection broke
    std::optional<Moment> absent_since;  // and it is still waited for
    bool left = false;                   // declined, or was refused: it has no place to come back to
  };
  struct Cohort {
    plan::RoundPlan plan;
    std::shared_ptr<const identity::RevocationList> revoked;  // that the sum refers to
    SecureSum sum;
    std::vector<Member> members;                  // by the order of the invitation
    std::vector<identity::DeviceId> survivors;    // known when it has closed
    std::map<ErrorCode, std::uint32_t> declined;  // members, by what they said
    std::optional<Error> refused;                 // why it gave no sum
    bool closed = false;
    bool answered = false;  // its members have their Result

    [[nodiscard]] std::vector<SessionId> present() const;
    // Of the roster, or, before there is one, of the invitation.
    [[nodiscard]] std::uint32_t size() const;
  };
  // A round from its opening to its result.
  struct RoundInProgress {
    RoundId number;
    plan::Purpose purpose = plan::Purpose::train;
    Moment opened;
    std::vector<Cohort> cohorts;
  };

  // Waits for devices.
  struct Gathering {
    std::optional<Moment> enough_since;  // when the minimum was reached
    bool warned = false;                 // the log knows that there are too few
  };
  struct Drawn {
    SessionId session;
    identity::DeviceId device;
  };
  using DrawnCohorts = std::vector<std::vector<Drawn>>;
  // The next round's number and its charge are being made durable.
  struct Reserving {
    RoundId number;
    DrawnCohorts cohorts;
  };
  // Updates arrive.
  struct Collecting {
    RoundInProgress round;
  };
  // A server step is computed.
  struct Building {
    RoundInProgress round;
    std::shared_ptr<const CollectedSums> sums;
  };
  // Its outcome is being made durable.
  struct Storing {
    RoundInProgress round;
    StepOutcome outcome;
    std::shared_ptr<const Commit> commit;
  };
  // The model's rows for new items are computed; then made durable.
  struct Growing {
    std::optional<Growth> growth;  // known when it is being stored
  };
  // No more rounds.
  struct Finished {};
  // Stop was returned.
  struct Stopped {};
  using Phase = std::variant<Gathering, Reserving, Collecting, Building, Storing, Growing, Finished, Stopped>;

  Federation(const FederationSettings& settings, JobStart start, Admission admission, crypto::RandomSource& random,
             const plan::Floors& floors);

  [[nodiscard]] std::optional<plan::Purpose> next_purpose() const;
  [[nodiscard]] Result<plan::RoundPlan> make_plan(plan::Purpose purpose, RoundId round, CohortId cohort,
                                                  const ByteArray<32>& session, std::uint32_t members,
                                                  std::uint32_t all_members) const;
  // --- what rounds cost (charges.cpp)
  // How the model hides what it asks for in the next round for this purpose; nothing without privacy.
  struct Hidden {
    model::PrivateQuestion question;
    std::uint64_t squared_sensitivity = 0;  // Δ²
  };
  [[nodiscard]] std::optional<Hidden> hidden(plan::Purpose purpose) const;
  // σ of each device's noise in a round of `members` a cohort and `all_members` in all.
  [[nodiscard]] double local_noise(const Hidden& hidden, std::uint32_t members, std::uint32_t all_members) const;
  // n_min of a cohort of `members`: noise is sized for those invited, and far fewer would pay more than was announced.
  [[nodiscard]] std::uint32_t least_members(const std::optional<Hidden>& hidden, std::uint32_t members) const;
  // What a round of cohorts of these sizes costs a member at worst.
  [[nodiscard]] privacy::PublishedRound worst_charge(plan::Purpose purpose, RoundId round,
                                                     const DrawnCohorts& cohorts) const;
  // What it did cost: the rosters are known.
  void settle_charge(const RoundInProgress& round);
  [[nodiscard]] Result<privacy::PrivacyReport> report_of(const RoundInProgress& round, std::uint64_t survivors) const;
  // --- messages (federation.cpp)
  void on_hello(SessionId id, Session& session, const protocol::Hello& hello, Moment now);
  void on_fetch(SessionId id, const protocol::Fetch& fetch, Moment now);
  void on_ready(SessionId id, Session& session, Moment now);
  void on_resume(SessionId id, Session& session, const protocol::Resume& resume);
  void on_round_message(SessionId id, const protocol::Message& message, Moment now, WallTime today);
  [[nodiscard]] bool is_late(const Session& session, const protocol::Message& message) const;
  void refuse(SessionId id, Error reason, Moment now);
  // Not a fault of the device's: it is told when to come back, `least` from now or later.
  void send_away(SessionId id, std::string sentence, Duration least, Moment now);
  void forget(SessionId id, Moment now);
  void announce_waiting(Moment now);
  [[nodiscard]] std::vector<SessionId> greeted() const;
  // --- rounds (rounds.cpp)
  void consider_round(Moment now);
  // How many a round invites at most; 0: all.
  [[nodiscard]] std::uint32_t most_invited() const noexcept;
  [[nodiscard]] std::optional<Moment> opening_time(const Gathering& gathering, Moment now) const;
  void open_round(const Reserving& reserved, Moment now);
  void invite(RoundInProgress& round, const std::vector<Drawn>& drawn, std::uint32_t all_members, Moment now);
  void finish_without_budget(Error reason);
  void on_sum_actions(std::size_t cohort, SecureSum::Actions actions, Moment now);
  void on_absences(std::size_t cohort, Moment now);
  void send_step(const Cohort& cohort, std::uint32_t member);
  void convict(Cohort& cohort, const SecureSum::Named& named);
  [[nodiscard]] RoundInProgress* round_in_progress();
  void close_cohort(std::size_t index);
  void close_round_if_over(Moment now);
  void step_stored(Storing storing, Moment now);
  void growth_stored(Growth growth);
  void announce_version();
  void tell_finished();
  void abort_round(RoundInProgress round, const Error& reason, Moment now);
  [[nodiscard]] RoundRecord record_of(const RoundInProgress& round, std::string outcome, std::string reason,
                                      Moment now) const;
  void send_results(RoundInProgress& round, protocol::Outcome outcome, const std::string& reason);
  void send_cohort_result(const RoundInProgress& round, Cohort& cohort, protocol::Outcome outcome,
                          const std::string& reason);
  void go_on();  // between two rounds: to Gathering, Finished, the model's growth, or the end
  void stop(Status outcome);
  [[nodiscard]] Actions take() { return std::exchange(actions_, {}); }

  FederationSettings settings_;
  Admission admission_;
  secagg::VerifiedStatements verified_;
  std::set<identity::DeviceId> evicted_;  // convicted of a lie that cost a cohort its round
  plan::Floors floors_;
  crypto::RandomSource* random_;
  std::shared_ptr<const Publisher> publisher_;
  std::shared_ptr<const std::vector<dataset::CatalogueItem>> new_catalogue_;  // to be considered between two rounds
  Version version_;
  Progress progress_;
  // The version and catalogue before, for devices that asked in the moment of a change.
  std::optional<Version> version_before_;
  std::shared_ptr<const Publisher> publisher_before_;

  Roster roster_;
  Pace pace_;
  std::map<SessionId, Session> sessions_;
  Phase phase_;
  bool paused_ = false;
  std::optional<Moment> stop_deadline_;  // set: stopping
  struct Announcement {
    Moment at;
    std::uint32_t ready = 0;
  };
  std::optional<Announcement> announced_;  // the last Waiting
  Actions actions_;
};

}  // namespace chorus::coordinator
