// An agent for callers that have no event loop: runs it on the calling thread, to its end, to a time limit, or until
// somebody else says stop.
#pragma once

#include <chrono>
#include <optional>

#include "client/io/agent.hpp"

namespace chorus::client {

// Asks a blocking run to end. Not copyable; outlives the run.
class Cancellation {
 public:
  // Errors: io (no file descriptors left).
  [[nodiscard]] static Result<std::unique_ptr<Cancellation>> create();
  ~Cancellation();
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  // From any thread and from a signal's handler. Holds until clear().
  void request() noexcept;
  void clear() noexcept;
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }  // readable while requested

 private:
  explicit Cancellation(int descriptor) noexcept : descriptor_(descriptor) {}
  int descriptor_;
};

struct BlockingOutcome {
  AgentSummary summary;
  bool timed_out = false;  // summary.stopped tells also of a cancellation
};

// Errors: those of Agent::run. The observer is called on this thread.
[[nodiscard]] Result<BlockingOutcome> run_agent(AgentOptions options, Credentials credentials, Store& store,
                                                crypto::RandomSource& random, Agent::Observer observer,
                                                const Cancellation& cancellation,
                                                std::optional<std::chrono::milliseconds> limit);

}  // namespace chorus::client
