// The enrolment authority on the network: a small TLS service, run apart from the coordinator. It holds the authority's
// key, so that little else should run beside it. One thread: decisions, signatures and the folder's files are done on
// the event loop, a few milliseconds each. certs/README.md says how to run it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "certs/io/enrolment_office.hpp"
#include "common/crypto/random_source.hpp"

namespace chorus::certs {

struct ServiceSettings {
  std::string listen = "127.0.0.1";  // an address literal
  std::uint16_t port = 7444;         // 0: any that is free
  std::vector<std::string> hosts;    // under which devices reach it
  OfficeSettings office;

  // A conversation is two questions and answers. Raise these for a launch, when everybody enrols on one day.
  std::size_t most_connections = 64;
  std::size_t most_per_address = 4;            // at a time; an IPv6 /64 network counts as one; loopback is exempt
  std::size_t most_requests = 4;               // of one connection
  std::chrono::milliseconds patience{10'000};  // for the handshake, for each message and for each answer
};

// Not thread-safe but for stop() and reload().
class EnrolmentService {
 public:
  // Listens, and certifies itself; both authorities and `random` outlive it. `successor` may be null.
  // Errors: address_in_use, io, invalid_argument (address, hosts); those of Authority::certify_service.
  [[nodiscard]] static Result<std::unique_ptr<EnrolmentService>> create(ServiceSettings settings, Authority& authority,
                                                                        Authority* successor,
                                                                        crypto::RandomSource& random);
  ~EnrolmentService();
  EnrolmentService(const EnrolmentService&) = delete;
  EnrolmentService& operator=(const EnrolmentService&) = delete;

  // Where it listens: "127.0.0.1:7444".
  [[nodiscard]] const std::string& address() const noexcept;
  // Until stop(), SIGTERM or SIGINT; conversations under way are given a moment.
  void run();
  // From any thread.
  void stop();

  class Impl;

 private:
  explicit EnrolmentService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace chorus::certs
