// A process full of devices that do nothing but connect: the client half of the bench `connections`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/result.hpp"

namespace chorus::bench {

struct ConnectingOptions {
  std::filesystem::path fleet;  // what Authority::issue_fleet made
  std::string job;
  std::size_t first = 0;  // the devices [first, last) of it
  std::size_t last = 0;
  std::uint16_t coordinator = 0;  // ports on 127.0.0.1
  std::uint16_t acceptor = 0;
  std::size_t at_once = 16;  // handshakes in progress
};

// Prints "ready" when every device's credentials are in memory; then obeys lines of standard input and answers each on
// standard output, until the input ends:
//   coordinator N   the next N devices connect, greet, are welcomed and stay      "done WELCOMED"
//   acceptor N      the next N devices connect there, read its greeting and stay  "done GREETED"
// Errors: those of the credentials. A connection that fails is told on standard error and not counted.
[[nodiscard]] Status run_connecting_devices(const ConnectingOptions& options);

}  // namespace chorus::bench
