#include "tests/coordinator/io/running_coordinator.hpp"

#include <cstdlib>

#include <asio/co_spawn.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>

#include "certs/io/clock.hpp"
#include "common/identity/private_key_pem.hpp"
#include "common/protocol/job_description.hpp"

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
  auto job = make_job(options.rounds);
  const auto credentials = net::read_credentials(coordinator_folder(), "coordinator").value();
  // Devices expect documents signed with the key that they met in the handshake.
  const auto key = std::make_shared<const crypto::SigningKey>(identity::parse_private_key_pem(credentials.key).value());
  auto start = start_job(*store, job, make_items(options.items), key).value();
  CoordinatorSettings settings;
  settings.listen = options.listen;
  settings.state = folder_ / "state";
  settings.limits = options.limits;
  settings.shutdown_grace = options.federation.shutdown_grace;
  auto daemon = Daemon::create({.settings = settings,
                                .federation = options.federation,
                                .tls = net::TlsContext::server(credentials, certs::wall_clock()).value(),
                                .start = std::move(start),
                                .store = std::move(store),
                                .random = daemon_random_,
                                .floors = kTestFloors,
                                .reload = options.reload});
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

namespace {

// What a device of `live` knows.
struct Knowledge {
  std::unique_ptr<model::Model> model;
  std::optional<protocol::ModelHeader> header;
  Bytes tensors;
  std::vector<model::Observation> training;
};

Status fetch_model(Peer& peer, Knowledge& known) {
  known.tensors.clear();
  return peer.send(protocol::Fetch{.kind = protocol::BlobKind::model, .version = known.header->version.value()});
}

Status contribute(Peer& peer, const Knowledge& known, const protocol::Manifest& manifest) {
  CHORUS_TRY(const auto plan, plan::RoundPlan::decode(manifest.plan.document, kTestFloors));
  CHORUS_TRY(const auto shared, model::TensorSet::decode(known.tensors));
  if (plan.fields().model_id != known.header->model_id) return fail(ErrorCode::wrong_model, "another model");
  ring::Contribution contribution;
  known.model->contribute(plan.fields().purpose, shared, {.training = known.training, .held_out = {}}, contribution);
  ring::EncodeCounts counts;
  CHORUS_TRY(const auto update, ring::encode(plan.layout(), contribution, counts));
  for (std::size_t offset = 0; offset < update.size(); offset += protocol::kChunkSize) {
    const std::size_t size = std::min(protocol::kChunkSize, update.size() - offset);
    const auto begin = update.begin() + static_cast<std::ptrdiff_t>(offset);
    CHORUS_TRY_DO(peer.send(protocol::Update{.session = plan.fields().session,
                                             .offset = offset,
                                             .total = update.size(),
                                             .data = Bytes(begin, begin + static_cast<std::ptrdiff_t>(size))}));
  }
  return {};
}

// Fetches what is new, asks for an invitation when the model is there, contributes when invited.
Status take_part(Peer& peer, Knowledge& known, Life& life) {
  std::optional<protocol::Manifest> invited;
  bool asked = false;
  CHORUS_TRY_DO(peer.send(protocol::Hello{}));
  for (;;) {
    CHORUS_TRY(const auto message, peer.receive());
    if (const auto* welcome = std::get_if<protocol::Welcome>(&message)) {
      CHORUS_TRY(const auto job, protocol::JobDescription::decode(welcome->job.document));
      CHORUS_TRY(const auto catalogue, protocol::CatalogueHeader::decode(welcome->catalogue.document));
      CHORUS_TRY(known.model, job.make_model(catalogue.items));
      CHORUS_TRY(known.header, protocol::ModelHeader::decode(welcome->model->document));
      life.items = catalogue.items;
      CHORUS_TRY_DO(fetch_model(peer, known));
    } else if (const auto* published = std::get_if<protocol::Published>(&message)) {
      CHORUS_TRY(known.header, protocol::ModelHeader::decode(published->model.document));
      CHORUS_TRY_DO(fetch_model(peer, known));
    } else if (const auto* blob = std::get_if<protocol::Blob>(&message)) {
      if (blob->version != known.header->version.value()) continue;  // of the version before
      known.tensors.insert(known.tensors.end(), blob->data.begin(), blob->data.end());
    } else if (const auto* manifest = std::get_if<protocol::Manifest>(&message)) {
      invited = *manifest;
    } else if (std::holds_alternative<protocol::Result>(message)) {
      ++life.results;
      asked = false;
    } else if (std::holds_alternative<protocol::Finished>(message)) {
      life.finished = true;
    } else if (const auto* refusal = std::get_if<protocol::Refusal>(&message)) {
      return fail(refusal->code, refusal->sentence);
    }
    if (!known.header || known.tensors.size() != known.header->size) continue;
    life.version = known.header->version;
    if (life.finished) return {};
    if (invited) {
      CHORUS_TRY_DO(contribute(peer, known, *std::exchange(invited, std::nullopt)));
    } else if (!asked) {
      CHORUS_TRY_DO(peer.send(protocol::Ready{.model_version = known.header->version, .has_model = true}));
      asked = true;
    }
  }
}

}  // namespace

Life live(const net::TlsCredentials& credentials, std::uint16_t port, std::uint32_t number, const std::string& host) {
  Life life;
  Knowledge known;
  for (std::uint32_t item = number % 3; item < 20; item += 2 + number % 3) {
    known.training.push_back({.item = item, .value = static_cast<float>(1 + (item + number) % 5), .when = 0});
  }
  auto peer = Peer::connect(credentials, port, host);
  if (!peer) {
    life.error = peer.error();
    return life;
  }
  if (const Status ended = take_part(**peer, known, life); !ended) life.error = ended.error();
  return life;
}

}  // namespace chorus::coordinator::test
