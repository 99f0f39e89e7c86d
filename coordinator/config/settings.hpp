// What an operator configures, as plain values: the coordinator file says how this coordinator runs, the job file what
// it trains. packaging/coordinator.toml and job.toml explain every option.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.hpp"
#include "common/dataset/data_contract.hpp"
#include "common/log/log.hpp"
#include "common/model/model.hpp"
#include "coordinator/federation/settings.hpp"

namespace chorus::coordinator {

// Where to listen. Port 0: any free one.
struct ListenAddress {
  std::string host;  // an IPv4 or IPv6 address, without brackets
  std::uint16_t port = 0;

  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

// What one coordinator spends on its peers.
struct Limits {
  std::uint32_t connections = 12'000;
  std::uint32_t handshakes = 256;                 // at the same time
  std::uint32_t handshakes_per_address = 50;      // a second
  std::uint32_t connections_per_address = 2'000;  // open at the same time
  bool limit_loopback = false;  // whether those two hold for loopback: not where fleets or a proxy connect from there
  // A second at most while half of `handshakes` are in progress.
  Duration handshake_timeout = 10s;
  Duration hello_timeout = 10s;
  Duration idle_timeout = 1h;  // of a device that has not asked to be invited
  Duration frame_timeout = 30s;
  Duration write_timeout = 60s;
  std::uint32_t queue = 64;  // messages that wait for one device
};

struct CoordinatorSettings {
  std::vector<ListenAddress> listen;
  std::filesystem::path state;
  std::filesystem::path certificates;
  log::Level log_level = log::Level::info;
  log::Format log_format = log::Format::text;
  std::optional<ListenAddress> admin;  // absent: no admin server
  Limits limits;
  Duration shutdown_grace = 5s;
};

struct JobSettings {
  std::string name;
  std::optional<std::uint64_t> rounds;  // absent: the family's preset
  std::filesystem::path catalogue;
  dataset::DataContract contract;
  std::string family;
  model::Settings model;          // only those that the file has
  FederationSettings federation;  // all but shutdown_grace, which is the coordinator's
};

}  // namespace chorus::coordinator
