#include "certs/io/enrolment_service.hpp"

#include <csignal>
#include <map>
#include <optional>
#include <utility>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "certs/io/clock.hpp"
#include "common/log/log.hpp"
#include "common/net/enrolment_channel.hpp"

namespace chorus::certs {

namespace enrolment = protocol::enrolment;
using asio::ip::tcp;
using namespace std::chrono_literals;

namespace {

constexpr auto kAwait = asio::experimental::as_tuple(asio::use_awaitable);
// Certified anew long before the certificate ends.
constexpr auto kCertifyEvery = std::chrono::hours(24);
// After a failure to accept (no descriptors), before the next try.
constexpr auto kRest = 100ms;

// An IPv6 host has a /64 network to itself.
asio::ip::address network_of(const asio::ip::address& address) {
  if (!address.is_v6()) return address;
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return asio::ip::address_v6(bytes);
}

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return fmt::format(fmt::runtime(endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}"), address, endpoint.port());
}

crypto::ZeroizingBytes wiped(const Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}

}  // namespace

class EnrolmentService::Impl {
 public:
  Impl(ServiceSettings settings, Authority& authority, Authority* successor, crypto::RandomSource& random)
      : settings_(std::move(settings)),
        authority_(authority),
        successor_(successor),
        office_(authority, successor, settings_.office),
        random_(random),
        acceptor_(context_),
        signals_(context_),
        certify_timer_(context_),
        ended_(context_) {}

  Status listen() {
    std::error_code error;
    const asio::ip::address address = asio::ip::make_address(settings_.listen, error);
    if (error) {
      return fail(ErrorCode::invalid_argument, "expected an IPv4 or IPv6 address to listen on", settings_.listen);
    }
    const tcp::endpoint wanted(address, settings_.port);
    acceptor_.open(wanted.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && address.is_v6()) acceptor_.set_option(asio::ip::v6_only(true), error);
    if (!error) acceptor_.bind(wanted, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return fail(error == asio::error::address_in_use ? ErrorCode::address_in_use : ErrorCode::io,
                  fmt::format("cannot listen: {}", error.message()), text_of(wanted));
    }
    where_ = text_of(acceptor_.local_endpoint());
    return certify();
  }

  void run() {
    std::signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error of write(), not the end
    for (const int number : {SIGTERM, SIGINT}) signals_.add(number);
    signals_.async_wait([this](std::error_code error, int) {
      if (!error) begin_stop();
    });
    asio::co_spawn(context_, certify_daily(), asio::detached);
    asio::co_spawn(context_, accept(), asio::detached);
    log::info("listening", {{"address", where_}});
    context_.run();
    log::info("stopped");
  }

  void stop() {
    asio::post(context_, [this] { begin_stop(); });
  }
  [[nodiscard]] const std::string& where() const noexcept { return where_; }

 private:
  Status certify() {
    CHORUS_TRY(const Coordinator own, authority_.certify_service(settings_.hosts, wall_clock()));
    CHORUS_TRY(auto tls, net::EnrolmentTls::service(own.certificate, own.key, authority_.certificate()));
    tls_ = std::move(tls);
    CHORUS_TRY_DO(keep_list_in_force(authority_));
    return successor_ == nullptr ? Status{} : keep_list_in_force(*successor_);
  }

  // A list that ended would shut everybody out.
  static Status keep_list_in_force(Authority& authority) {
    CHORUS_TRY(const identity::RevocationList list, authority.revocation_list());
    if (wall_clock() < list.next_update() - kRevocationListLifetime / 2) return {};
    CHORUS_TRY(const identity::RevocationList made, authority.sign_list(wall_clock()));
    log::info("signed the revocation list anew", {{"number", made.number()}});
    return {};
  }

  asio::awaitable<void> certify_daily() {
    while (!stopping_) {
      certify_timer_.expires_after(kCertifyEvery);
      const auto [cancelled] = co_await certify_timer_.async_wait(kAwait);
      if (cancelled) co_return;
      // The certificate holds for a month: tomorrow is another day.
      if (const Status made = certify(); !made) log::error("cannot certify", {{"reason", made.error().to_string()}});
    }
  }

  void begin_stop() {
    if (std::exchange(stopping_, true)) return;
    std::error_code ignored;
    acceptor_.close(ignored);
    signals_.cancel(ignored);
    certify_timer_.cancel();
    ended_.cancel();
  }

  asio::awaitable<void> accept() {
    while (!stopping_) {
      // More wait in the kernel's queue, where they cost next to nothing.
      if (connections_ >= settings_.most_connections) {
        ended_.expires_at(asio::steady_timer::time_point::max());
        co_await ended_.async_wait(kAwait);
        continue;
      }
      auto [error, socket] = co_await acceptor_.async_accept(kAwait);
      if (stopping_) co_return;
      if (error) {
        log::warning("cannot accept a connection", {{"reason", error.message()}});
        asio::steady_timer rest(context_, kRest);
        co_await rest.async_wait(kAwait);
        continue;
      }
      std::error_code gone;
      const tcp::endpoint peer = socket.remote_endpoint(gone);
      if (gone) continue;
      const asio::ip::address network = network_of(peer.address());
      std::size_t& at_once = per_network_[network];
      if (!peer.address().is_loopback() && at_once >= settings_.most_per_address) continue;  // closed
      ++at_once;
      ++connections_;
      socket.set_option(tcp::no_delay(true), gone);
      asio::co_spawn(context_, serve(std::make_unique<net::EnrolmentChannel>(std::move(socket), *tls_), network),
                     asio::detached);
    }
  }

  asio::awaitable<void> serve(std::unique_ptr<net::EnrolmentChannel> channel, asio::ip::address network) {
    co_await converse(channel.get());
    channel.reset();
    if (const auto found = per_network_.find(network); --found->second == 0) per_network_.erase(found);
    --connections_;
    ended_.cancel();
  }

  asio::awaitable<void> converse(net::EnrolmentChannel* channel) {
    if (const Status shaken = co_await channel->handshake(settings_.patience); !shaken) co_return;
    const enrolment::Challenge challenge{.nonce = random_.array<32>()};
    if (!co_await channel->send(wiped(enrolment::encode(challenge)), settings_.patience)) co_return;
    for (std::size_t asked = 0; asked < settings_.most_requests && !stopping_; ++asked) {
      const auto bytes = co_await channel->receive(enrolment::kMostRequest, settings_.patience);
      if (!bytes) break;  // also an orderly end
      const auto request = enrolment::decode_request(*bytes);
      // Before it is answered: whoever speaks another language is not talked to.
      if (!request) break;
      const enrolment::Answer answer = office_.answer(*request, challenge, wall_clock());
      if (!co_await channel->send(wiped(enrolment::encode(answer)), settings_.patience)) co_return;
    }
    co_await channel->finish(settings_.patience);
  }

  asio::io_context context_{1};
  ServiceSettings settings_;
  Authority& authority_;
  Authority* successor_;
  EnrolmentOffice office_;
  crypto::RandomSource& random_;
  tcp::acceptor acceptor_;
  asio::signal_set signals_;
  asio::steady_timer certify_timer_;
  asio::steady_timer ended_;  // never fires: its cancellation wakes who waits
  std::optional<net::EnrolmentTls> tls_;
  std::string where_;
  std::map<asio::ip::address, std::size_t> per_network_;
  std::size_t connections_ = 0;
  bool stopping_ = false;
};

EnrolmentService::EnrolmentService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EnrolmentService::~EnrolmentService() = default;

Result<std::unique_ptr<EnrolmentService>> EnrolmentService::create(ServiceSettings settings, Authority& authority,
                                                                   Authority* successor, crypto::RandomSource& random) {
  auto impl = std::make_unique<Impl>(std::move(settings), authority, successor, random);
  CHORUS_TRY_DO(impl->listen());
  return std::unique_ptr<EnrolmentService>(new EnrolmentService(std::move(impl)));
}

const std::string& EnrolmentService::address() const noexcept {
  return impl_->where();
}

void EnrolmentService::run() {
  impl_->run();
}

void EnrolmentService::stop() {
  impl_->stop();
}

}  // namespace chorus::certs
