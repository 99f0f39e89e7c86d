#include "common/net/enrolment_call.hpp"

#include <charconv>
#include <optional>
#include <utility>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <fmt/core.h>

#include "common/identity/chain.hpp"
#include "common/net/enrolment_channel.hpp"
#include "common/net/tls_channel.hpp"

namespace chorus::net {

namespace enrolment = protocol::enrolment;

namespace {

constexpr std::size_t kMostChallenge = 256;

asio::awaitable<Result<enrolment::Answer>> exchange(EnrolmentChannel* channel, enrolment::Request request,
                                                    std::chrono::milliseconds limit) {
  if (Status sent = co_await channel->send(enrolment::encode(request), limit); !sent) co_return fail(sent.error());
  auto bytes = co_await channel->receive(enrolment::kMostAnswer, limit);
  if (!bytes) co_return fail(bytes.error());
  auto answer = enrolment::decode_answer(*bytes);
  if (!answer) co_return fail(answer.error().at(channel->peer_address()));
  if (const auto* refused = std::get_if<enrolment::Refused>(&*answer)) {
    co_return fail(refused->code, "the enrolment authority refused: " + refused->sentence, channel->peer_address());
  }
  co_return answer;
}

// TLS has checked the service's certificate against its authority; the list says whether that still holds.
Status check_service(const EnrolmentChannel& channel, const identity::RevocationList& list, WallTime now) {
  CHORUS_TRY_DO(identity::check(list, channel.authority(), now));
  return identity::verify(channel.peer(), channel.authority(), list, now, identity::SubjectKind::coordinator);
}

asio::awaitable<Result<EnrolmentAnswer>> converse(EnrolmentPlace place, const Ask* ask, WallTime now,
                                                  std::chrono::milliseconds limit) {
  auto socket = co_await connect(place.host, place.port, limit);
  if (!socket) co_return fail(socket.error());
  const EnrolmentTls tls = EnrolmentTls::device(place.authority);
  EnrolmentChannel channel(*std::move(socket), tls, place.host);
  if (Status shaken = co_await channel.handshake(limit); !shaken) co_return fail(shaken.error());
  const auto hello = co_await channel.receive(kMostChallenge, limit);
  if (!hello) co_return fail(hello.error());
  const auto challenge = enrolment::decode_challenge(*hello);
  if (!challenge) co_return fail(challenge.error().at(channel.peer_address()));

  auto listed = co_await exchange(&channel, enrolment::FetchList{}, limit);
  if (!listed) co_return fail(listed.error());
  const auto* list_bytes = std::get_if<enrolment::List>(&*listed);
  if (list_bytes == nullptr) {
    co_return fail(ErrorCode::malformed, "the enrolment authority answered something else than was asked",
                   channel.peer_address());
  }
  auto list = identity::RevocationList::from_der(list_bytes->list);
  if (!list) co_return fail(list.error().at(channel.peer_address()));
  if (Status trusted = check_service(channel, *list, now); !trusted) co_return fail(trusted.error());

  auto request = (*ask)(*challenge);
  if (!request) co_return fail(request.error());
  if (std::holds_alternative<enrolment::FetchList>(*request)) {
    co_return EnrolmentAnswer{*std::move(listed), channel.authority(), *std::move(list)};
  }
  auto answer = co_await exchange(&channel, *std::move(request), limit);
  if (!answer) co_return fail(answer.error());
  co_return EnrolmentAnswer{*std::move(answer), channel.authority(), *std::move(list)};
}

asio::awaitable<void> run(EnrolmentPlace place, const Ask* ask, WallTime now, std::chrono::milliseconds limit,
                          std::optional<Result<EnrolmentAnswer>>* out) {
  out->emplace(co_await converse(std::move(place), ask, now, limit));
}

}  // namespace

Result<EnrolmentPlace> parse_enrolment_place(std::string_view address, const Digest& authority) {
  const auto wrong = [&] {
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}' is not HOST:PORT (an IPv6 address goes in brackets: [::1]:7444)", address));
  };
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return wrong();
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return wrong();
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong();
  }
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number == 0) return wrong();
  return EnrolmentPlace{.host = std::string(host), .port = number, .authority = authority};
}

Result<EnrolmentAnswer> ask_authority(const EnrolmentPlace& place, const Ask& ask, WallTime now,
                                      std::chrono::milliseconds limit) {
  asio::io_context context(1);
  std::optional<Result<EnrolmentAnswer>> out;
  asio::co_spawn(context, run(place, &ask, now, limit, &out), asio::detached);
  context.run_for(limit);
  if (!out) return fail(ErrorCode::timeout, "the enrolment authority took too long", place.host);
  return *std::move(out);
}

}  // namespace chorus::net
