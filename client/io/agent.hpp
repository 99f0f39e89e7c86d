// The Asio driver of a device: connects, shakes hands, drives client/round's Participant over TLS, and comes back after
// errors. One agent is one device; hundreds may share one io_context.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include "client/io/credentials.hpp"
#include "client/io/endpoint.hpp"
#include "client/policy/policy.hpp"
#include "client/round/event.hpp"
#include "client/store/store.hpp"
#include "common/base/result.hpp"
#include "common/crypto/random_source.hpp"

namespace chorus::client {

// When an agent is done.
struct StopCondition {
  enum class Kind {
    synced,    // the latest model is there; takes part in nothing
    rounds,    // `rounds` rounds ended with its update delivered and their outcome published or measured
    finished,  // the job reached its goal
    never,
  };
  Kind kind = Kind::never;
  std::uint64_t rounds = 1;

  [[nodiscard]] static StopCondition synced() { return {.kind = Kind::synced}; }
  [[nodiscard]] static StopCondition one_round() { return {.kind = Kind::rounds, .rounds = 1}; }
  [[nodiscard]] static StopCondition after_rounds(std::uint64_t n) { return {.kind = Kind::rounds, .rounds = n}; }
  [[nodiscard]] static StopCondition finished() { return {.kind = Kind::finished}; }
  [[nodiscard]] static StopCondition never() { return {.kind = Kind::never}; }
};

struct AgentOptions {
  // Tried in turn; the next one after each failed attempt.
  std::vector<Endpoint> coordinators;
  // The job's name; empty: the coordinator's only one.
  std::string job;
  StopCondition stop;
  plan::Floors floors = plan::kProductionFloors;
  Consent consent;
  // The statements of the authority that have been verified, so that a member met again costs less; several agents on
  // one thread may share them. Null: the agent's own.
  std::shared_ptr<secagg::VerifiedStatements> verified;
  // Full jitter: uniform in [0, min(cap, base · 2^attempts)]; reset by a completed round. Raise the cap for large
  // populations, lower both where a simulation must not wait.
  std::chrono::milliseconds backoff_base{500};
  std::chrono::milliseconds backoff_cap{30'000};
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds handshake_timeout{10'000};
  // For the rest of a frame that has begun, and for the writing of one.
  std::chrono::milliseconds frame_timeout{30'000};
};

// What an agent did until it stopped.
struct AgentSummary {
  std::uint64_t rounds = 0;  // completed: delivered, and published or measured
  std::uint64_t aborted = 0;
  bool finished = false;       // the job reached its goal
  bool stopped = false;        // by stop(), before its condition was met
  std::uint64_t bytes_up = 0;  // on all its connections, payload of TLS records
  std::uint64_t bytes_down = 0;
  std::uint64_t connections = 0;  // handshakes that succeeded
};

// A round outlives a connection that breaks: the agent connects again and goes on in the phase that it was in.
// Everything runs on `executor`, which must be one thread or a strand; nothing here locks. The store, the random source
// and whatever the observer touches must outlive the agent; the agent must outlive run().
class Agent {
 public:
  using Observer = std::function<void(const Event&)>;

  // REQUIRES: options.coordinators is not empty.
  Agent(asio::any_io_executor executor, AgentOptions options, Credentials credentials, Store& store,
        crypto::RandomSource& random, Observer observer = {});
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Until the stop condition holds, stop() is called, or an error that a retry cannot mend (is_permanent): revoked,
  // wrong_host, bad_certificate, expired, unsupported_version, wrong_job, bad_key (the coordinator's key is not the
  // pinned one), a store that cannot be written … Everything else is reported as event::Retrying and tried again, also a
  // coordinator that finds a date wrong which is right by this device's clock.
  // To be called once.
  [[nodiscard]] asio::awaitable<Result<AgentSummary>> run();

  // Ends run() soon, with `stopped` set: closes the connection and gives up what was under way. On the executor.
  void stop();

  // So far, with the connection that is open now; also after an error. On the executor.
  [[nodiscard]] AgentSummary summary() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace chorus::client
