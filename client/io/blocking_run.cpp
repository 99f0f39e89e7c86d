#include "client/io/blocking_run.hpp"

#include <exception>
#include <utility>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <sys/eventfd.h>
#include <unistd.h>

namespace chorus::client {

Result<std::unique_ptr<Cancellation>> Cancellation::create() {
  const int descriptor = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (descriptor < 0) return fail(ErrorCode::io, "this process has no file descriptors left");
  return std::unique_ptr<Cancellation>(new Cancellation(descriptor));
}

Cancellation::~Cancellation() {
  ::close(descriptor_);
}

void Cancellation::request() noexcept {
  const std::uint64_t one = 1;
  // It fails only where the counter is full, and then the request stands already.
  [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof one);
}

void Cancellation::clear() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read = ::read(descriptor_, &count, sizeof count);
}

namespace {

// From stop() to the agent's end, at most.
constexpr std::chrono::seconds kGrace{1};

// What may end the run before the agent does.
struct Interrupts {
  explicit Interrupts(asio::io_context& context, int descriptor)
      : limit(context), grace(context), cancelled(context, descriptor) {}
  ~Interrupts() { end(); }
  void end() {
    limit.cancel();
    grace.cancel();
    if (cancelled.is_open()) cancelled.release();  // the descriptor is the Cancellation's
  }
  asio::steady_timer limit;
  asio::steady_timer grace;
  asio::posix::stream_descriptor cancelled;
};

asio::awaitable<void> live(Agent* agent, Interrupts* interrupts, std::optional<Result<AgentSummary>>* out) {
  out->emplace(co_await agent->run());
  interrupts->end();
}

}  // namespace

Result<BlockingOutcome> run_agent(AgentOptions options, Credentials credentials, Store& store,
                                  crypto::RandomSource& random, Agent::Observer observer,
                                  const Cancellation& cancellation, std::optional<std::chrono::milliseconds> limit) {
  asio::io_context context(1);
  Agent agent(context.get_executor(), std::move(options), std::move(credentials), store, random, std::move(observer));
  Interrupts interrupts(context, cancellation.descriptor());
  BlockingOutcome outcome;
  const auto stop = [&] {
    agent.stop();
    // An attempt to connect is not interrupted by that, and nobody waits for its end.
    interrupts.grace.expires_after(kGrace);
    interrupts.grace.async_wait([&](const std::error_code& error) {
      if (!error) context.stop();
    });
  };
  interrupts.cancelled.async_wait(asio::posix::stream_descriptor::wait_read, [&](const std::error_code& error) {
    if (!error) stop();
  });
  if (limit) {
    interrupts.limit.expires_after(*limit);
    interrupts.limit.async_wait([&](const std::error_code& error) {
      if (error) return;
      outcome.timed_out = true;
      stop();
    });
  }
  std::optional<Result<AgentSummary>> summary;
  asio::co_spawn(context, live(&agent, &interrupts, &summary), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
  context.run();
  if (!summary) {
    store.end_session();
    outcome.summary = agent.summary();
    outcome.summary.stopped = true;
  } else if (*summary) {
    outcome.summary = **summary;
  } else {
    return fail(std::move(*summary).error());
  }
  return outcome;
}

}  // namespace chorus::client
