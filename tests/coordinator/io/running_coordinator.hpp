// A coordinator on loopback with an authority of its own, and devices that speak to it over real TLS.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <asio/io_context.hpp>

#include "certs/io/authority.hpp"
#include "common/net/tls_channel.hpp"
#include "coordinator/io/daemon.hpp"
#include "simulations/support/seeded_random.hpp"
#include "tests/coordinator/town.hpp"

namespace chorus::coordinator::test {

// Far beyond what anything here takes: who waits for it has failed.
inline constexpr Duration kLong = 20s;

// One blocking connection of a device. Used by one thread.
class Peer {
 public:
  // Connects and shakes hands. Errors: those of net::connect, TlsContext and the handshake.
  [[nodiscard]] static Result<std::unique_ptr<Peer>> connect(const net::TlsCredentials& credentials, std::uint16_t port,
                                                             const std::string& host = "127.0.0.1");
  [[nodiscard]] Status send(const protocol::Message& message);
  // Whatever bytes.
  [[nodiscard]] Status send_raw(Bytes bytes);
  [[nodiscard]] Result<protocol::Message> receive();
  // Reads until the coordinator closes; the last Refusal, if there was one.
  [[nodiscard]] std::optional<protocol::Refusal> last_words();

 private:
  asio::io_context context_;
  std::unique_ptr<net::TlsChannel> channel_;
};

// A TCP connection without TLS that sends `bytes` and reads until the other end closes.
void send_plain(std::uint16_t port, std::string_view bytes);

// A job of the command line.
[[nodiscard]] PreparedJob prepared(const FederationSettings& federation, protocol::JobDescription description,
                                   std::vector<dataset::CatalogueItem> items);

class RunningCoordinator {
 public:
  struct Options {
    std::uint64_t rounds = 2;
    std::size_t items = 20;
    Limits limits;
    FederationSettings federation = make_settings();
    std::vector<ListenAddress> listen = {{"127.0.0.1", 0}};
    std::optional<ListenAddress> admin = {};
    std::function<Reloaded(const std::map<std::string, std::filesystem::path>&)> reload;
    PrepareJob prepare;
    std::vector<std::string> jobs = {"town"};
  };
  // Different seeds give different authorities.
  explicit RunningCoordinator(std::uint64_t seed = 7);
  ~RunningCoordinator();

  // REQUIRES: not running.
  void start(Options options);
  // Of the first address.
  [[nodiscard]] std::uint16_t port() const;
  // Asks it to stop and gives what run() returned.
  Status stop();
  // Waits for run() to return by itself.
  Status wait();
  // Lets go of the state folder. REQUIRES: it has stopped.
  void release() { daemon_.reset(); }

  // A new device's certificate.
  [[nodiscard]] net::TlsCredentials enrol();
  [[nodiscard]] certs::Authority& authority() { return authority_; }
  [[nodiscard]] std::filesystem::path folder() const { return folder_; }
  [[nodiscard]] std::filesystem::path coordinator_folder() const { return folder_ / "coordinator"; }
  [[nodiscard]] Daemon& daemon() { return *daemon_; }

 private:
  std::filesystem::path folder_;
  sim::SeededRandom random_;
  sim::SeededRandom daemon_random_{8};
  certs::Authority authority_;
  std::size_t enrolled_ = 0;
  std::unique_ptr<Daemon> daemon_;
  std::thread thread_;
  Status outcome_;
};

// A well-behaved device's whole life: it takes part until the job is finished, `rounds` results came, or an error.
struct Life {
  std::uint32_t results = 0;
  std::optional<ModelVersion> version;  // fetched last
  std::size_t items = 0;
  bool finished = false;
  std::optional<Error> error;
};
[[nodiscard]] Life live(const net::TlsCredentials& credentials, std::uint16_t port, std::uint32_t number,
                        const std::string& host = "127.0.0.1", const std::string& job = {});

}  // namespace chorus::coordinator::test
