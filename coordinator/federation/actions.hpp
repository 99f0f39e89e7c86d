// What Federation asks its driver to do: the daemon (coordinator/io) with sockets and a thread pool, a simulation in
// virtual time. In the order given; results come back as events of Federation.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/protocol/messages.hpp"
#include "coordinator/federation/job_start.hpp"
#include "coordinator/publish/publisher.hpp"
#include "coordinator/roster/roster.hpp"
#include "coordinator/round/secure_sum.hpp"
#include "coordinator/store/store.hpp"

namespace chorus::coordinator {

// One message, encoded once, to many.
struct Send {
  std::vector<SessionId> to;
  protocol::Message message;
};

// The bytes as Blob messages of at most kChunkSize, in order; other messages may go in between.
struct SendBlob {
  SessionId to;
  protocol::BlobKind kind = protocol::BlobKind::model;
  std::uint64_t version = 0;
  std::shared_ptr<const Bytes> bytes;
};

// After what was sent to it before. Federation has forgotten the session.
struct Close {
  SessionId session;
  Error reason;
};

// Makes the round's number and its charge durable before a device sees it. Back: on_round_reserved().
struct ReserveRound {
  Reservation reservation;
};

// A round that gave nothing, for the record. Nothing comes back.
struct RecordRound {
  RoundRecord round;
};

// Heavy: work->run() on a pool, on as many threads as there are, or inline. Back: on_sum_recovered() with the three of
// them.
struct RecoverSum {
  RoundId round;
  std::size_t cohort = 0;
  std::shared_ptr<SumRecovery> work;
};

// Heavy: run() on a pool, or inline. Back: on_step_built() with what it returned.
struct BuildStep {
  struct FromSum {  // a round's server step
    plan::Purpose purpose = plan::Purpose::train;
    RoundId round;
    std::shared_ptr<const CollectedSums> sums;
    privacy::PrivacyReport report;  // that the version will carry
  };
  struct Grow {  // the model gains rows for new items
    std::shared_ptr<const std::vector<dataset::CatalogueItem>> items;
  };
  std::shared_ptr<const Publisher> publisher;
  Version from;
  std::variant<FromSum, Grow> work;

  // Nothing, if the catalogue has no new items.
  using Outcome = std::variant<std::monostate, StepOutcome, Growth>;
  [[nodiscard]] Result<Outcome> run() const;
};

// Durable before anybody hears of it. Back: on_stored().
struct StoreVersion {
  std::shared_ptr<const Commit> commit;
};

// The end: with an error if it failed. No action follows.
struct Stop {
  Status outcome;
};

// --- for people and reports; no device is named but one that a proof convicts
struct WaitingForDevices {
  std::uint32_t ready = 0;
  std::uint32_t needed = 0;
};
struct RoundOpened {
  RoundId round;
  plan::Purpose purpose = plan::Purpose::train;
  std::uint32_t cohorts = 0;
  std::uint32_t members = 0;
};
struct CohortAborted {
  RoundId round;
  CohortId cohort;
  Error reason;
};
// Devices that would not, or could not, take part, and said why.
struct MembersDeclined {
  RoundId round;
  CohortId cohort;
  ErrorCode reason = ErrorCode::aborted;
  std::uint32_t members = 0;
};
// A member whose own signed or sealed words prove a lie, or a fault of its program.
struct MemberConvicted {
  RoundId round;
  identity::DeviceId device;
  Error reason;
};
struct RoundClosed {
  RoundId round;
  plan::Purpose purpose = plan::Purpose::train;
  std::uint32_t cohorts = 0;
  std::uint32_t cohorts_aborted = 0;
  std::uint32_t cohorts_left_out = 0;  // whole, by the rule that combines their sums
  std::uint32_t members = 0;
  SecureSum::Funnel funnel{};  // of all cohorts
  std::uint32_t survivors = 0;
  Duration took{};
  std::optional<model::Quality> quality;
};
struct RoundAborted {
  RoundId round;
  plan::Purpose purpose = plan::Purpose::train;
  std::uint32_t members = 0;
  SecureSum::Funnel funnel{};
  Duration took{};
  Error reason;
};
struct VersionPublished {
  ModelVersion version;
  std::uint64_t training_rounds = 0;
  std::uint32_t items = 0;
  std::uint64_t bytes = 0;
  std::optional<privacy::PrivacyReport> privacy;
};
struct JobFinished {
  std::uint64_t training_rounds = 0;
};
// No device that keeps to the job's budget could join another round.
struct BudgetSpent {
  Error reason;
};
struct CatalogueRefused {
  Error reason;
};
using Log = std::variant<WaitingForDevices, RoundOpened, CohortAborted, MembersDeclined, MemberConvicted, RoundClosed,
                         RoundAborted, VersionPublished, JobFinished, BudgetSpent, CatalogueRefused>;

using Action =
    std::variant<Send, SendBlob, Close, ReserveRound, RecordRound, RecoverSum, BuildStep, StoreVersion, Stop, Log>;
using Actions = std::vector<Action>;

// Writes one line through common/log.
void write_log(const Log& event, std::string_view job);

}  // namespace chorus::coordinator
