// A process full of devices that upload masked updates: the client half of the bench `ingest`. What a device uploads is
// made by the client library's own half of a secure sum, before the clock runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/result.hpp"

namespace chorus::bench {

struct UploadingOptions {
  std::filesystem::path fleet;  // what Authority::issue_fleet made
  std::string job;
  std::size_t first = 0;  // the devices [first, last) of it
  std::size_t last = 0;
  std::uint16_t coordinator = 0;  // ports on 127.0.0.1
  std::uint16_t sink = 0;
};

// Connects every device to both servers, prints "ready", then obeys lines of standard input and answers each on
// standard output, until the input ends:
//   prepare      every device is invited, goes through the sum's first steps and holds its update    "done BYTES" to
//   upload coordinator  every device uploads, and reads the survivors that the coordinator names            "done
//   DEVICES" finish       every device takes part to the end of the round                                     "done
//   DEVICES" sink         every device uploads the same bytes there, and reads the answer                     "done
//   DEVICES"
// Errors: those of the credentials. A device that fails is told on standard error and not counted.
[[nodiscard]] Status run_uploading_devices(const UploadingOptions& options);

}  // namespace chorus::bench
