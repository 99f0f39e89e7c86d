// A fleet's worker process: drives its slice of the devices in one thread, each with its own store, certificate, key,
// TLS connection and randomness, and tells the parent what happens (simulations/fleet/worker_event.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/result.hpp"

namespace chorus::sim {

struct WorkerOptions {
  std::string host;
  std::uint16_t port = 0;
  std::string job;           // empty: the coordinator's only one
  std::uint64_t rounds = 0;  // a device leaves after so many completed rounds; 0: when the job is finished
  // <out>/devices/<device id>.db are the stores.
  std::filesystem::path out;
};

// Where a device of a fleet keeps its store.
[[nodiscard]] std::filesystem::path device_store(const std::filesystem::path& out, const std::string& device_id);

// Reads the slice from standard input, imports it, runs the devices until each has finished its job, and writes events
// to standard output. SIGTERM, SIGINT or the end of standard input stop the devices in order.
// Errors: those of read_slice and of the stores; a single device's trouble is an event.
[[nodiscard]] Status run_fleet_worker(const WorkerOptions& options);

}  // namespace chorus::sim
