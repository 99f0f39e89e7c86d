#include "tests/coordinator/io/running_coordinator.hpp"

#include <cstdlib>

#include <asio/co_spawn.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>

#include "certs/io/clock.hpp"
#include "client/io/blocking_run.hpp"
#include "client/io/credentials.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/private_key_pem.hpp"
#include "common/protocol/documents.hpp"

namespace chorus::coordinator::test {

namespace {

std::filesystem::path temporary_folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "chorus-io-XXXXXX").string();
  return ::mkdtemp(pattern.data());
}

// Runs one coroutine to its end on an io_context of the calling thread.
template <typename T>
T await(asio::io_context& context, asio::awaitable<T> work) {
  std::optional<T> result;
  asio::co_spawn(context, std::move(work), [&](std::exception_ptr, T value) { result.emplace(std::move(value)); });
  context.restart();
  while (!result && context.run_one() > 0) continue;
  return std::move(result).value();
}

asio::awaitable<Result<std::unique_ptr<net::TlsChannel>>> open(net::TlsContext tls, std::uint16_t port,
                                                               std::string host) {
  auto socket = co_await net::connect(host, port, kLong);
  if (!socket) co_return fail(socket.error());
  auto channel = std::make_unique<net::TlsChannel>(std::move(*socket), tls, host);
  const auto peer = co_await channel->handshake(kLong);
  if (!peer) co_return fail(peer.error());
  co_return std::move(channel);
}

}  // namespace

Result<std::unique_ptr<Peer>> Peer::connect(const net::TlsCredentials& credentials, std::uint16_t port,
                                            const std::string& host) {
  CHORUS_TRY(auto tls, net::TlsContext::client(credentials, certs::wall_clock()));
  auto peer = std::make_unique<Peer>();
  CHORUS_TRY(peer->channel_, await(peer->context_, open(std::move(tls), port, host)));
  return peer;
}

Status Peer::send(const protocol::Message& message) {
  return await(context_, channel_->send(wire::encode(message), kLong));
}
Status Peer::send_raw(Bytes bytes) {
  return await(context_, channel_->send(std::make_shared<const Bytes>(std::move(bytes)), kLong));
}
Result<protocol::Message> Peer::receive() {
  return await(context_, channel_->receive(0xffffffff, kLong, kLong));
}

std::optional<protocol::Refusal> Peer::last_words() {
  std::optional<protocol::Refusal> last;
  for (;;) {
    const auto message = receive();
    if (!message) {
      EXPECT_NE(message.error().code(), ErrorCode::timeout) << "the coordinator did not close the connection";
      return last;
    }
    if (const auto* refusal = std::get_if<protocol::Refusal>(&*message)) last = *refusal;
  }
}

void send_plain(std::uint16_t port, std::string_view bytes) {
  asio::io_context context;
  asio::ip::tcp::socket socket(context);
  socket.connect({asio::ip::make_address("127.0.0.1"), port});
  std::error_code error;
  asio::write(socket, asio::buffer(bytes), error);
  std::vector<char> rest(1 << 16);
  while (!error) socket.read_some(asio::buffer(rest), error);
}

namespace {

Admission admission(const net::TlsCredentials& credentials) {
  return {.authority = identity::Certificate::from_pem(credentials.authority).value().info().key,
          .revoked = std::make_shared<const identity::RevocationList>(
              identity::RevocationList::from_pem(credentials.crl).value())};
}

}  // namespace

PreparedJob prepared(const FederationSettings& federation, protocol::JobDescription description,
                     std::vector<dataset::CatalogueItem> items) {
  return {.federation = federation,
          .description = std::move(description),
          .items = std::move(items),
          .catalogue = {},
          .file = {},
          .folder = {}};
}

RunningCoordinator::RunningCoordinator(std::uint64_t seed)
    : folder_(temporary_folder()),
      random_(seed),
      authority_(certs::Authority::create(folder_ / "authority", certs::wall_clock(), random_).value()) {
  const std::vector<std::string> hosts = {"127.0.0.1", "::1"};
  EXPECT_TRUE(authority_.issue_coordinator(hosts, coordinator_folder(), certs::wall_clock()).has_value());
}

RunningCoordinator::~RunningCoordinator() {
  if (thread_.joinable()) static_cast<void>(stop());
  daemon_.reset();
  std::filesystem::remove_all(folder_);
}

void RunningCoordinator::start(Options options) {
  daemon_.reset();
  auto store = open_sqlite_store(folder_ / "state").value();
  const auto credentials = net::read_credentials(coordinator_folder(), "coordinator").value();
  // Devices expect documents signed with the key that they met in the handshake.
  const auto key = std::make_shared<const crypto::SigningKey>(identity::parse_private_key_pem(credentials.key).value());
  CoordinatorSettings settings;
  settings.listen = options.listen;
  settings.admin = options.admin;
  settings.state = folder_ / "state";
  settings.limits = options.limits;
  settings.shutdown_grace = options.federation.shutdown_grace;
  DaemonSetup setup{.settings = settings,
                    .jobs = {},
                    .tls = net::TlsContext::server(credentials, certs::wall_clock()).value(),
                    .admission = admission(credentials),
                    .key = key,
                    .store = std::move(store),
                    .random = daemon_random_,
                    .floors = kTestFloors,
                    .reload = options.reload,
                    .prepare = options.prepare};
  for (const std::string& name : options.jobs) {
    auto job = make_job(options.rounds);
    job.name = name;
    setup.jobs.push_back(prepared(options.federation, std::move(job), make_items(options.items)));
  }
  auto daemon = Daemon::create(std::move(setup));
  ASSERT_TRUE(daemon.has_value()) << daemon.error().to_string();
  daemon_ = std::move(*daemon);
  thread_ = std::thread([this] { outcome_ = daemon_->run(); });
}

std::uint16_t RunningCoordinator::port() const {
  const std::string& endpoint = daemon_->endpoints().front();
  return static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
}

Status RunningCoordinator::stop() {
  daemon_->stop();
  return wait();
}

Status RunningCoordinator::wait() {
  thread_.join();
  return outcome_;
}

net::TlsCredentials RunningCoordinator::enrol() {
  const auto folder = folder_ / ("device-" + std::to_string(++enrolled_));
  EXPECT_TRUE(authority_.issue_device(folder, certs::wall_clock()).has_value());
  return net::read_credentials(folder, "device").value();
}

Life live(const net::TlsCredentials& credentials, std::uint16_t port, std::uint32_t number, const std::string& host,
          const std::string& job) {
  Life life;
  const auto store = client::open_memory_store().value();
  std::vector<client::StoredRating> rows;
  for (std::uint32_t item = number % 3; item < 20; item += 2) {
    rows.push_back({.item = client::SecretText("i" + std::to_string(item)),
                    .value = static_cast<double>(1 + (item + number) % 5),
                    .when = 0,
                    .held_out = false});
  }
  EXPECT_TRUE(store->put_ratings(rows).has_value());
  sim::SeededRandom random(1000 + number);
  client::AgentOptions options;
  options.coordinators = {{.host = host, .port = port}};
  options.job = job;
  options.stop = client::StopCondition::finished();
  options.floors = kTestFloors;
  options.consent = {.without_noise = true, .least_identity_age = {}};
  const auto cancellation = client::Cancellation::create().value();
  const auto ran = client::run_agent(
      std::move(options), client::make_credentials(credentials, certs::wall_clock()).value(), *store, random,
      [&](const client::Event& event) {
        if (std::holds_alternative<client::event::RoundEnded>(event)) ++life.results;
        if (const auto* accepted = std::get_if<client::event::ModelAccepted>(&event)) life.version = accepted->version;
        // This device does not try again.
        if (const auto* retrying = std::get_if<client::event::Retrying>(&event)) {
          life.error = retrying->error;
          cancellation->request();
        }
      },
      *cancellation, std::nullopt);
  if (!ran) life.error = ran.error();
  life.finished = ran.has_value() && ran->summary.finished;
  if (const auto header = store->catalogue_header().value()) {
    life.items = protocol::CatalogueHeader::decode(header->document)->items;
  }
  return life;
}

}  // namespace chorus::coordinator::test
