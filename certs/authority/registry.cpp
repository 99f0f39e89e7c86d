#include "certs/authority/registry.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "certs/authority/date_text.hpp"
#include "common/base/check.hpp"

namespace chorus::certs {

namespace {

constexpr std::string_view kHeader = "# chorus-certs index 1";
constexpr std::string_view kHeaderOfAnyVersion = "# chorus-certs index ";
constexpr std::string_view kColumns = "# serial\tkind\tsubject\tkey\tenrolled\tbegins\tends\trevoked";
constexpr std::size_t kFields = 8;
constexpr auto kKeepAfterItsEnd = std::chrono::days(60);

std::string subject_text(const identity::CertificateInfo& info) {
  if (info.device) return identity::to_string(*info.device);
  std::string hosts;
  for (const identity::HostName& host : info.hosts) {
    if (!hosts.empty()) hosts.push_back(',');
    hosts.append(host.text);
  }
  return hosts;
}

// Takes the text up to `separator`, and the separator, off the front of `rest`.
std::string_view take(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view taken = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return taken;
}

Status read_subject(std::string_view kind, std::string_view subject, identity::CertificateInfo& info) {
  if (kind == identity::to_string(identity::SubjectKind::device)) {
    info.kind = identity::SubjectKind::device;
    CHORUS_TRY(info.device, identity::parse_device_id(subject));
    return {};
  }
  if (kind == identity::to_string(identity::SubjectKind::coordinator)) {
    info.kind = identity::SubjectKind::coordinator;
    while (!subject.empty()) {
      auto host = identity::parse_host_name(take(subject, ','));
      if (!host) return fail(ErrorCode::malformed, host.error().sentence(), host.error().where());
      info.hosts.push_back(*std::move(host));
    }
    if (!info.hosts.empty()) return {};
  }
  return fail(ErrorCode::malformed, "expected 'device' and an id, or 'coordinator' and hosts");
}

Result<IssuedCertificate> parse_line(std::string_view line) {
  if (std::ranges::count(line, '\t') != static_cast<std::ptrdiff_t>(kFields) - 1) {
    return fail(ErrorCode::malformed, fmt::format("expected {} fields separated by tabs", kFields));
  }
  std::array<std::string_view, kFields> fields;
  for (std::string_view& field : fields) field = take(line, '\t');
  const auto& [serial, kind, subject, key, enrolled, begins, ends, revoked] = fields;
  IssuedCertificate issued;
  CHORUS_TRY_DO(from_hex_into(serial, issued.info.serial));
  CHORUS_TRY_DO(read_subject(kind, subject, issued.info));
  CHORUS_TRY_DO(from_hex_into(key, issued.info.key));
  CHORUS_TRY(issued.enrolled_at, parse_date(enrolled));
  CHORUS_TRY(issued.info.validity.not_before, parse_date(begins));
  CHORUS_TRY(issued.info.validity.not_after, parse_date(ends));
  if (revoked != "-") {
    CHORUS_TRY(issued.revoked_at, parse_date(revoked));
  }
  return issued;
}

}  // namespace

Result<Registry> Registry::parse(std::string_view text) {
  const std::string_view header = take(text, '\n');
  if (header != kHeader) {
    if (header.starts_with(kHeaderOfAnyVersion)) {
      return fail(ErrorCode::unsupported_version, "an index of another version of chorus-certs", "line 1");
    }
    return fail(ErrorCode::malformed, fmt::format("expected '{}'", kHeader), "line 1");
  }
  Registry registry;
  for (int number = 2; !text.empty(); ++number) {
    const std::string_view line = take(text, '\n');
    if (line.empty() || line.front() == '#') continue;
    auto issued = parse_line(line);
    if (!issued) return fail(issued.error().at(fmt::format("line {}", number)));
    if (registry.find(issued->info.serial) != nullptr) {
      return fail(ErrorCode::malformed, "a serial number that an earlier line has", fmt::format("line {}", number));
    }
    registry.add(*std::move(issued));
  }
  return registry;
}

std::string Registry::text() const {
  std::string text;
  text.reserve(256 * (issued_.size() + 1));
  fmt::format_to(std::back_inserter(text), "{}\n{}\n", kHeader, kColumns);
  for (const IssuedCertificate& issued : issued_) {
    const identity::CertificateInfo& info = issued.info;
    fmt::format_to(std::back_inserter(text), "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", to_hex(info.serial),
                   identity::to_string(info.kind), subject_text(info), to_hex(info.key), date_text(issued.enrolled_at),
                   date_text(info.validity.not_before), date_text(info.validity.not_after),
                   issued.revoked_at ? date_text(*issued.revoked_at) : std::string("-"));
  }
  return text;
}

void Registry::add(IssuedCertificate issued) {
  const bool is_new = by_serial_.emplace(issued.info.serial, issued_.size()).second;
  CHORUS_ENSURE(is_new, "serial numbers are unique");
  issued_.push_back(std::move(issued));
}

const IssuedCertificate* Registry::find(const identity::Serial& serial) const {
  const auto found = by_serial_.find(serial);
  return found == by_serial_.end() ? nullptr : &issued_[found->second];
}

const IssuedCertificate* Registry::newest_of(const identity::DeviceId& device) const {
  const IssuedCertificate* newest = nullptr;
  for (const IssuedCertificate& issued : issued_) {
    if (issued.info.device != device) continue;
    if (newest == nullptr || issued.info.validity.not_after >= newest->info.validity.not_after) newest = &issued;
  }
  return newest;
}

std::size_t Registry::count_of(const identity::DeviceId& device, WallTime since) const {
  return static_cast<std::size_t>(std::ranges::count_if(issued_, [&](const IssuedCertificate& issued) {
    return issued.info.device == device && issued.info.validity.not_before >= since;
  }));
}

void Registry::forget_renewed(WallTime now) {
  std::map<identity::DeviceId, WallTime> latest;
  for (const IssuedCertificate& issued : issued_) {
    if (!issued.info.device) continue;
    WallTime& end = latest[*issued.info.device];
    end = std::max(end, issued.info.validity.not_after);
  }
  const auto is_renewed = [&](const IssuedCertificate& issued) {
    return issued.info.device && !issued.revoked_at && issued.info.validity.not_after + kKeepAfterItsEnd < now &&
           issued.info.validity.not_after < latest.at(*issued.info.device);
  };
  if (std::erase_if(issued_, is_renewed) == 0) return;
  by_serial_.clear();
  for (std::size_t i = 0; i < issued_.size(); ++i) by_serial_.emplace(issued_[i].info.serial, i);
}

template <typename Matches>
Result<std::size_t> Registry::revoke_if(Matches matches, const std::string& place, WallTime now) {
  std::size_t found = 0;
  std::size_t revoked = 0;
  for (IssuedCertificate& issued : issued_) {
    if (!matches(issued.info)) continue;
    ++found;
    if (issued.revoked_at) continue;
    issued.revoked_at = now;
    ++revoked;
  }
  if (found == 0) return fail(ErrorCode::not_found, "this authority did not issue it", place);
  if (revoked == 0) return fail(ErrorCode::revoked, "it was revoked before", place);
  return revoked;
}

Result<std::size_t> Registry::revoke_device(const identity::DeviceId& device, WallTime now) {
  return revoke_if([&device](const identity::CertificateInfo& info) { return info.device == device; },
                   fmt::format("device {}", identity::to_string(device)), now);
}

Result<std::size_t> Registry::revoke_key_of(const identity::Serial& serial, WallTime now) {
  const std::string place = fmt::format("certificate {}", to_hex(serial));
  const IssuedCertificate* const issued = find(serial);
  if (issued == nullptr) return fail(ErrorCode::not_found, "this authority did not issue it", place);
  const crypto::PublicKey key = issued->info.key;
  return revoke_if([&key](const identity::CertificateInfo& info) { return info.key == key; }, place, now);
}

std::vector<identity::RevokedCertificate> Registry::revoked(WallTime now) const {
  std::vector<identity::RevokedCertificate> entries;
  for (const IssuedCertificate& issued : issued_) {
    if (!issued.revoked_at || issued.info.validity.not_after + kKeepAfterItsEnd < now) continue;
    identity::RevokedCertificate& entry = entries.emplace_back();
    entry.serial = issued.info.serial;
    entry.revoked_at = *issued.revoked_at;
    if (issued.info.device) entry.device = identity::RevokedDevice{*issued.info.device, issued.info.key};
  }
  return entries;
}

}  // namespace chorus::certs
