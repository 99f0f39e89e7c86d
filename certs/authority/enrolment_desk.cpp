#include "certs/authority/enrolment_desk.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "certs/authority/date_text.hpp"
#include "common/base/bytes.hpp"
#include "common/crypto/secret_bytes.hpp"

namespace chorus::certs {
namespace {

constexpr std::string_view kHeaderOfAnyVersion = "# chorus-certs enrolments ";
constexpr std::string_view kHeader = "# chorus-certs enrolments 1";
constexpr auto kKeepAfterItsEnd = std::chrono::days(30);

using State = RequestRecord::State;
using identity::DeviceId;

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const std::size_t end = line.find('\t');
    fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end + 1);
  }
}

Result<InvitationRecord> parse_invitation_line(const std::vector<std::string_view>& fields) {
  if (fields.size() != 8) return fail(ErrorCode::malformed, "an invitation has 8 fields separated by tabs");
  InvitationRecord record;
  CHORUS_TRY_DO(from_hex_into(fields[1], record.number));
  CHORUS_TRY_DO(from_hex_into(fields[2], record.hash));
  CHORUS_TRY(record.made, parse_date(fields[3]));
  CHORUS_TRY(record.ends, parse_date(fields[4]));
  const std::string_view state = fields[5];
  if (state == "used") {
    Admitted& used = record.used.emplace();
    CHORUS_TRY_DO(from_hex_into(fields[6], used.key));
    CHORUS_TRY(used.device, identity::parse_device_id(fields[7]));
    return record;
  }
  if ((state != "open" && state != "withdrawn") || fields[6] != "-" || fields[7] != "-") {
    return fail(ErrorCode::malformed, "expected 'open', 'withdrawn', or 'used' with a key and a device");
  }
  record.withdrawn = state == "withdrawn";
  return record;
}

Result<RequestRecord> parse_request_line(const std::vector<std::string_view>& fields) {
  if (fields.size() != 6) return fail(ErrorCode::malformed, "a request has 6 fields separated by tabs");
  RequestRecord record;
  CHORUS_TRY_DO(from_hex_into(fields[1], record.key));
  CHORUS_TRY(record.asked, parse_date(fields[2]));
  CHORUS_TRY(record.ends, parse_date(fields[3]));
  for (const State state : {State::waiting, State::approved, State::declined}) {
    if (fields[4] != to_string(state)) continue;
    record.state = state;
    if ((fields[5] == "-") == (state == State::approved)) break;
    if (state != State::approved) return record;
    CHORUS_TRY(record.device, identity::parse_device_id(fields[5]));
    return record;
  }
  return fail(ErrorCode::malformed, "expected 'waiting', 'declined', or 'approved' with a device");
}

}  // namespace

std::string_view to_string(RequestRecord::State state) noexcept {
  switch (state) {
    case State::waiting:
      return "waiting";
    case State::approved:
      return "approved";
    case State::declined:
      return "declined";
  }
  return "unknown";
}

Result<EnrolmentDesk> EnrolmentDesk::parse(std::string_view text) {
  const auto next_line = [&] {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    return line;
  };
  if (const std::string_view header = next_line(); header != kHeader) {
    if (header.starts_with(kHeaderOfAnyVersion)) {
      return fail(ErrorCode::unsupported_version, "enrolments of another version of chorus-certs", "line 1");
    }
    return fail(ErrorCode::malformed, fmt::format("expected '{}'", kHeader), "line 1");
  }
  EnrolmentDesk desk;
  for (int number = 2; !text.empty(); ++number) {
    const std::string_view line = next_line();
    if (line.empty() || line.front() == '#') continue;
    const auto fields = fields_of(line);
    const auto place = [&](const Error& error) { return fail(error.at(fmt::format("line {}", number))); };
    if (fields[0] == "invitation") {
      auto record = parse_invitation_line(fields);
      if (!record) return place(record.error());
      desk.invitations_.push_back(*std::move(record));
    } else if (fields[0] == "request") {
      auto record = parse_request_line(fields);
      if (!record) return place(record.error());
      desk.requests_.push_back(*std::move(record));
    } else {
      return place(Error(ErrorCode::malformed, "expected 'invitation' or 'request'"));
    }
  }
  return desk;
}

std::string EnrolmentDesk::text() const {
  std::string text = fmt::format("{}\n", kHeader);
  for (const InvitationRecord& record : invitations_) {
    fmt::format_to(std::back_inserter(text), "invitation\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", to_hex(record.number),
                   to_hex(record.hash), date_text(record.made), date_text(record.ends),
                   record.used        ? "used"
                   : record.withdrawn ? "withdrawn"
                                      : "open",
                   record.used ? to_hex(record.used->key) : "-",
                   record.used ? identity::to_string(record.used->device) : "-");
  }
  for (const RequestRecord& record : requests_) {
    fmt::format_to(std::back_inserter(text), "request\t{}\t{}\t{}\t{}\t{}\n", to_hex(record.key),
                   date_text(record.asked), date_text(record.ends), to_string(record.state),
                   record.device ? identity::to_string(*record.device) : "-");
  }
  return text;
}

void EnrolmentDesk::tidy(WallTime now) {
  std::erase_if(invitations_, [&](const InvitationRecord& record) { return now >= record.ends + kKeepAfterItsEnd; });
  std::erase_if(requests_, [&](const RequestRecord& record) { return now >= record.ends; });
}

protocol::enrolment::Token EnrolmentDesk::invite(WallTime now, std::chrono::seconds lifetime,
                                                 crypto::RandomSource& random) {
  tidy(now);
  protocol::enrolment::Token token;
  token.number = random.array<8>();
  token.secret = random.secret<16>();
  invitations_.push_back(
      {.number = token.number, .hash = hash_of(token), .made = now, .ends = now + lifetime, .used = {}});
  return token;
}

Status EnrolmentDesk::withdraw(const ByteArray<8>& number) {
  const auto found = std::ranges::find(invitations_, number, &InvitationRecord::number);
  if (found == invitations_.end()) return fail(ErrorCode::not_found, "no invitation has this number");
  if (found->used) {
    return fail(ErrorCode::already_exists, fmt::format("the invitation was used by device {}: revoke that",
                                                       identity::to_string(found->used->device)));
  }
  found->withdrawn = true;
  return {};
}

Result<DeviceId> EnrolmentDesk::redeem(const protocol::enrolment::Token& token, const crypto::PublicKey& key,
                                       WallTime now, crypto::RandomSource& random) {
  const Digest hash = hash_of(token);
  const auto found = std::ranges::find(invitations_, token.number, &InvitationRecord::number);
  const bool known = found != invitations_.end() && crypto::equal_constant_time(found->hash, hash);
  const bool holds = known && !found->withdrawn && now < found->ends && now >= found->made - std::chrono::minutes(5) &&
                     (!found->used || found->used->key == key);
  if (!holds) {
    return fail(ErrorCode::bad_identity,
                "the invitation does not hold: it is not one of this authority's, or was used, withdrawn or has ended; "
                "ask for another",
                "invitation");
  }
  if (!found->used) found->used = Admitted{.key = key, .device = DeviceId{random.array<16>()}};
  return found->used->device;
}

Result<std::optional<DeviceId>> EnrolmentDesk::ask(const crypto::PublicKey& key, WallTime now) {
  tidy(now);
  const auto found = std::ranges::find(requests_, key, &RequestRecord::key);
  if (found != requests_.end()) {
    if (found->state == State::declined) {
      return fail(ErrorCode::bad_identity, "the authority's operator declined this device");
    }
    return found->device;
  }
  if (std::ranges::count(requests_, State::waiting, &RequestRecord::state) >=
      static_cast<std::ptrdiff_t>(kMostWaiting)) {
    return fail(ErrorCode::overloaded, "too many devices wait for an operator already; try later");
  }
  requests_.push_back(
      {.key = key, .asked = now, .ends = now + kRequestLifetime, .state = State::waiting, .device = {}});
  return std::nullopt;
}

Result<RequestRecord*> EnrolmentDesk::waiting(const crypto::PublicKey& key, WallTime now) {
  tidy(now);
  const auto found = std::ranges::find(requests_, key, &RequestRecord::key);
  if (found == requests_.end() || found->state != State::waiting) {
    return fail(ErrorCode::not_found, "no device with this key waits");
  }
  return &*found;
}

Status EnrolmentDesk::approve(const crypto::PublicKey& key, WallTime now, crypto::RandomSource& random) {
  CHORUS_TRY(RequestRecord* const request, waiting(key, now));
  request->state = State::approved;
  request->device = DeviceId{random.array<16>()};
  request->ends = now + kRequestLifetime;
  return {};
}

Status EnrolmentDesk::decline(const crypto::PublicKey& key, WallTime now) {
  CHORUS_TRY(RequestRecord* const request, waiting(key, now));
  request->state = State::declined;
  request->ends = now + kRequestLifetime;
  return {};
}

}  // namespace chorus::certs
