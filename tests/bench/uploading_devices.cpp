#include "tests/bench/uploading_devices.hpp"

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <fmt/format.h>

#include "client/io/credentials.hpp"
#include "client/round/sum_member.hpp"
#include "common/crypto/hash.hpp"
#include "common/net/tls_channel.hpp"
#include "common/plan/round_plan.hpp"
#include "common/protocol/phases.hpp"
#include "simulations/fleet/members.hpp"
#include "simulations/world/secure_cohort.hpp"

namespace chorus::bench {
namespace {

using Channel = std::unique_ptr<net::TlsChannel>;
using protocol::MessageType;

constexpr std::chrono::nanoseconds kTimeout = std::chrono::minutes(5);
// Failures that are told one by one.
constexpr std::size_t kTold = 5;

// A device's round, from its invitation to its result.
struct Part {
  ByteArray<32> session{};
  std::shared_ptr<const identity::RevocationList> revoked;
  sim::MemoryPromises promises;
  std::optional<client::SumMember> member;
};

struct Device {
  client::Credentials credentials;
  Channel coordinator;
  Channel sink;
  std::unique_ptr<Part> part;
  std::vector<wire::Frame> upload;
  std::size_t upload_bytes = 0;
  Bytes vote = {};
};

class Devices {
 public:
  explicit Devices(const UploadingOptions& options) : options_(options), random_(crypto::make_system_random()) {}

  Status connect() {
    CHORUS_TRY(const auto fleet, sim::read_fleet(options_.fleet));
    if (options_.last > fleet.size()) return fail(ErrorCode::invalid_argument, "the fleet has fewer devices");
    for (std::size_t i = options_.first; i < options_.last; ++i) {
      CHORUS_TRY(auto credentials, client::read_credentials(fleet[i].folder, now()));
      devices_.push_back(std::make_unique<Device>(Device{.credentials = std::move(credentials),
                                                         .coordinator = {},
                                                         .sink = {},
                                                         .part = {},
                                                         .upload = {},
                                                         .upload_bytes = 0,
                                                         .vote = {}}));
    }
    if (all(&open) != devices_.size()) return fail(ErrorCode::aborted, "not every device is connected");
    return {};
  }

  std::size_t obey(std::string_view command) {
    if (command == "coordinator") return all(&upload);
    if (command == "finish") return all(&finish);
    if (command == "sink") return all(&drown);
    if (all(&prepare) != devices_.size()) return 0;
    std::size_t bytes = 0;
    for (const auto& device : devices_) bytes += device->upload_bytes;
    return bytes;
  }

 private:
  using Step = asio::awaitable<Status> (*)(Devices* self, Device* device);

  static WallTime now() { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

  // Every device at the same time; how many got through.
  std::size_t all(Step step) {
    through_ = 0;
    for (const auto& device : devices_) asio::co_spawn(io_, one(this, device.get(), step), asio::detached);
    io_.restart();
    io_.run();
    return through_;
  }
  static asio::awaitable<void> one(Devices* self, Device* device, Step step) {
    const Status status = co_await step(self, device);
    if (status) {
      ++self->through_;
    } else if (self->failures_++ < kTold) {
      fmt::print(stderr, "a device: {}\n", status.error().to_string());
    }
  }

  // The next message of this type; others that the coordinator tells everybody are passed over.
  template <typename T>
  static asio::awaitable<Result<T>> next(net::TlsChannel* channel) {
    while (true) {
      auto message = co_await channel->receive(0xffffffff, kTimeout, kTimeout);
      if (!message) co_return fail(message.error());
      if (auto* wanted = std::get_if<T>(&*message)) co_return std::move(*wanted);
      if (const auto* refusal = std::get_if<protocol::Refusal>(&*message)) {
        co_return fail(refusal->code, refusal->sentence);
      }
    }
  }

  static asio::awaitable<Status> open_one(Device* device, std::uint16_t port, Channel* channel) {
    std::string host = "127.0.0.1";
    auto socket = co_await net::connect(host, port, kTimeout);
    if (!socket) co_return fail(socket.error());
    *channel = std::make_unique<net::TlsChannel>(std::move(*socket), device->credentials.tls, host);
    const auto peer = co_await (*channel)->handshake(kTimeout);
    if (!peer) co_return fail(peer.error());
    co_return Status{};
  }
  static asio::awaitable<Status> open(Devices* self, Device* device) {
    Status opened = co_await open_one(device, self->options_.sink, &device->sink);
    if (!opened) co_return opened;
    const auto greeting = co_await next<protocol::Finished>(device->sink.get());
    if (!greeting) co_return fail(greeting.error());
    opened = co_await open_one(device, self->options_.coordinator, &device->coordinator);
    if (!opened) co_return opened;
    protocol::Hello hello;
    hello.job = self->options_.job;
    const wire::Frame frame = wire::encode(hello);
    opened = co_await device->coordinator->send(frame, kTimeout);
    if (!opened) co_return opened;
    const auto welcome = co_await next<protocol::Welcome>(device->coordinator.get());
    if (!welcome) co_return fail(welcome.error());
    co_return Status{};
  }

  static Result<Bytes> join(Devices* self, Device* device, const protocol::Manifest& manifest) {
    CHORUS_TRY(const auto plan, plan::RoundPlan::decode(manifest.plan.document, plan::kProductionFloors));
    const plan::RoundPlanFields& fields = plan.fields();
    device->part = std::make_unique<Part>();
    Part& part = *device->part;
    part.session = fields.session;
    const client::Membership& membership = *device->credentials.membership;
    CHORUS_TRY(auto revoked, membership.accept_revocations(manifest.revocations, now()));
    part.revoked = std::make_shared<const identity::RevocationList>(std::move(revoked));
    client::SumTerms terms{.h0 = crypto::sha256(manifest.plan.document),
                           .layout = plan.layout(),
                           .bounds = {.least_members = fields.least_members,
                                      .most_members = fields.most_members,
                                      .corrupt = fields.corrupt,
                                      .dropout = fields.dropout}};
    const secagg::AdmissionRules rules{.authority = membership.authority().info().key,
                                       .now = now(),
                                       .least_age = std::chrono::seconds(0),
                                       .revoked = part.revoked.get()};
    // All zero: masked, it is as random as any other.
    crypto::ZeroizingBytes update(plan.layout().packed_size());
    part.member.emplace(std::move(terms), client::SumIdentity{&membership.statement(), &membership.key()}, rules,
                        self->verified_, std::move(update), *self->random_, part.promises);
    return part.member->advertise();
  }

  static asio::awaitable<Status> prepare(Devices* self, Device* device) {
    net::TlsChannel* const channel = device->coordinator.get();
    wire::Frame frame = wire::encode(protocol::Ready{});
    Status sent = co_await channel->send(frame, kTimeout);
    if (!sent) co_return sent;
    const auto manifest = co_await next<protocol::Manifest>(channel);
    if (!manifest) co_return fail(manifest.error());
    auto leaf = join(self, device, *manifest);
    if (!leaf) co_return fail(leaf.error());
    const ByteArray<32> session = device->part->session;
    frame = wire::encode(protocol::Advertise{session, std::move(*leaf)});
    sent = co_await channel->send(frame, kTimeout);
    if (!sent) co_return sent;
    const auto roster = co_await next<protocol::Roster>(channel);
    if (!roster) co_return fail(roster.error());
    auto shares = device->part->member->on_roster(roster->body);
    if (!shares || !*shares) co_return fail(shares ? Error(ErrorCode::aborted, "no shares") : shares.error());
    frame = wire::encode(protocol::Shares{session, std::move(**shares)});
    sent = co_await channel->send(frame, kTimeout);
    if (!sent) co_return sent;
    const auto delivery = co_await next<protocol::Delivery>(channel);
    if (!delivery) co_return fail(delivery.error());
    auto masked = device->part->member->on_delivery(delivery->body);
    if (!masked || !*masked) co_return fail(masked ? Error(ErrorCode::aborted, "no update") : masked.error());
    device->upload.clear();
    device->upload_bytes = 0;
    const Bytes& vector = (*masked)->vector;
    for (std::size_t offset = 0; offset < vector.size(); offset += protocol::kChunkSize) {
      const auto begin = vector.begin() + static_cast<std::ptrdiff_t>(offset);
      const std::size_t size = std::min(protocol::kChunkSize, vector.size() - offset);
      device->upload.push_back(
          wire::encode(protocol::Update{.session = session,
                                        .offset = offset,
                                        .total = vector.size(),
                                        .data = Bytes(begin, begin + static_cast<std::ptrdiff_t>(size))}));
    }
    device->upload.push_back(wire::encode(protocol::Masked{session, std::move((*masked)->end)}));
    for (const auto& piece : device->upload) device->upload_bytes += piece->size();
    co_return Status{};
  }

  static asio::awaitable<Status> upload(Devices* /*self*/, Device* device) {
    for (const auto& frame : device->upload) {
      const Status sent = co_await device->coordinator->send(frame, kTimeout);
      if (!sent) co_return sent;
    }
    const auto survivors = co_await next<protocol::Survivors>(device->coordinator.get());
    if (!survivors) co_return fail(survivors.error());
    auto vote = device->part->member->on_survivors(survivors->body);
    if (!vote || !*vote) co_return fail(vote ? Error(ErrorCode::aborted, "no vote") : vote.error());
    device->vote = std::move(**vote);
    co_return Status{};
  }

  static asio::awaitable<Status> finish(Devices* /*self*/, Device* device) {
    net::TlsChannel* const channel = device->coordinator.get();
    const ByteArray<32> session = device->part->session;
    wire::Frame frame = wire::encode(protocol::Vote{session, std::move(device->vote)});
    Status sent = co_await channel->send(frame, kTimeout);
    if (!sent) co_return sent;
    const auto certificate = co_await next<protocol::Certificate>(channel);
    if (!certificate) co_return fail(certificate.error());
    auto openings = device->part->member->on_certificate(certificate->body);
    if (!openings || !*openings) co_return fail(openings ? Error(ErrorCode::aborted, "no openings") : openings.error());
    frame = wire::encode(protocol::Openings{session, std::move(**openings)});
    sent = co_await channel->send(frame, kTimeout);
    if (!sent) co_return sent;
    const auto result = co_await next<protocol::Result>(channel);
    if (!result) co_return fail(result.error());
    device->part.reset();
    co_return Status{};
  }

  // Its length, then the same frames.
  static asio::awaitable<Status> drown(Devices* /*self*/, Device* device) {
    Bytes length(8);
    for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<std::uint8_t>(device->upload_bytes >> (8 * i));
    const auto announced = std::make_shared<const Bytes>(std::move(length));
    Status sent = co_await device->sink->send(announced, kTimeout);
    if (!sent) co_return sent;
    for (const auto& frame : device->upload) {
      sent = co_await device->sink->send(frame, kTimeout);
      if (!sent) co_return sent;
    }
    const auto answer = co_await next<protocol::Finished>(device->sink.get());
    if (!answer) co_return fail(answer.error());
    co_return Status{};
  }

  const UploadingOptions& options_;
  std::unique_ptr<crypto::RandomSource> random_;
  secagg::VerifiedStatements verified_;
  asio::io_context io_{1};
  std::vector<std::unique_ptr<Device>> devices_;
  std::size_t through_ = 0;  // of all()
  std::size_t failures_ = 0;
};

}  // namespace

Status run_uploading_devices(const UploadingOptions& options) {
  Devices devices(options);
  CHORUS_TRY_DO(devices.connect());
  std::cout << "ready" << std::endl;
  for (std::string command; std::cin >> command;) std::cout << "done " << devices.obey(command) << std::endl;
  return {};
}

}  // namespace chorus::bench
