// The authority's half of enrolment: what the service asks of its folder. Each call takes the folder's lock, so that
// the service and an operator's commands may run at the same time.
#include <fmt/format.h>

#include "certs/io/authority.hpp"
#include "certs/io/files.hpp"
#include "certs/io/folder_files.hpp"
#include "certs/io/staged_folder.hpp"
#include "common/crypto/hash.hpp"
#include "common/identity/private_key_pem.hpp"

namespace chorus::certs {

namespace fs = std::filesystem;
using protocol::enrolment::Invitation;
using protocol::enrolment::Token;

namespace {

constexpr std::size_t kMostEnrolmentsBytes = std::size_t{64} * 1024 * 1024;

Result<EnrolmentDesk> read_desk(const fs::path& folder) {
  const fs::path path = folder / kEnrolmentsFile;
  const auto bytes = read_file(path, kMostEnrolmentsBytes);
  if (!bytes && bytes.error().code() == ErrorCode::not_found) return EnrolmentDesk();
  if (!bytes) return fail(bytes.error());
  auto desk = EnrolmentDesk::parse({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (!desk) return fail(desk.error().at(path.string()));
  return desk;
}

}  // namespace

template <typename Change>
auto Authority::change_enrolments(Change change) -> std::invoke_result_t<Change, EnrolmentDesk&> {
  CHORUS_TRY(const Descriptor lock, lock_folder(folder_));
  CHORUS_TRY(EnrolmentDesk desk, read_desk(folder_));
  auto result = change(desk);
  if (!result) return result;
  // Durable before it is acted on: a crash may use an invitation up, and never lets it hold twice.
  CHORUS_TRY_DO(replace_file(folder_ / kEnrolmentsFile, as_bytes(desk.text()), kSecretFile));
  return result;
}

Result<Authority> Authority::found_successor(const fs::path& folder, WallTime now, Days lifetime,
                                             std::optional<ByteView> passphrase) const {
  CHORUS_TRY(const Descriptor lock, lock_folder(folder_));
  CHORUS_TRY(const Registry known, registry());
  CHORUS_TRY(Authority successor, create(folder, now, *random_, lifetime, passphrase));
  CHORUS_TRY_DO(successor.write(known));
  CHORUS_TRY([[maybe_unused]] const auto list, successor.sign_list(known, now, kRevocationListLifetime));
  return successor;
}

Result<Coordinator> Authority::certify_service(std::span<const std::string> hosts, WallTime now, Days lifetime) {
  CHORUS_TRY(const std::vector<identity::HostName> names, parse_hosts(hosts));
  CHORUS_TRY(const Descriptor lock, lock_folder(folder_));
  CHORUS_TRY(Registry index, registry());
  CHORUS_TRY(Coordinator service, issue_service(signer_, names, now, lifetime, *random_));
  index.add(record_of(service.certificate, service.certificate.info().validity.not_before));
  CHORUS_TRY_DO(write(index));
  return service;
}

Result<EnrolmentDesk> Authority::enrolments() const {
  return read_desk(folder_);
}

Result<Invitation> Authority::invite(WallTime now, std::chrono::seconds lifetime) {
  if (lifetime < std::chrono::seconds(1) || lifetime > kLongestLifetime) {
    return fail(ErrorCode::invalid_argument, "an invitation holds for 1 second to a hundred years", "lifetime");
  }
  const auto change = [&](EnrolmentDesk& desk) -> Result<Token> { return desk.invite(now, lifetime, *random_); };
  CHORUS_TRY(Token token, change_enrolments(change));
  return Invitation{.authority = crypto::sha256(certificate().der()), .token = std::move(token)};
}

Status Authority::withdraw(const ByteArray<8>& number) {
  return change_enrolments([&](EnrolmentDesk& desk) { return desk.withdraw(number); });
}

Status Authority::decide(const crypto::PublicKey& key, bool approve, WallTime now) {
  return change_enrolments(
      [&](EnrolmentDesk& desk) { return approve ? desk.approve(key, now, *random_) : desk.decline(key, now); });
}

Result<DeviceDocuments> Authority::vouch(EnrolledDevice device, WallTime now, Days lifetime) {
  CHORUS_TRY(Registry index, registry());
  CHORUS_TRY(const identity::RevocationList list, revocation_list());
  if (const IssuedCertificate* const known = index.newest_of(device.id); known != nullptr) {
    if (known->revoked_at) {
      return fail(ErrorCode::revoked, "what is revoked is not renewed: enrol it anew",
                  fmt::format("device {}", identity::to_string(device.id)));
    }
    device.enrolled_at = known->enrolled_at;
  }
  if (index.count_of(device.id, now - kBackdating - std::chrono::hours(1)) >= kMostInAnHour) {
    return fail(ErrorCode::overloaded, "this device was certified too often within the hour; try later",
                fmt::format("device {}", identity::to_string(device.id)));
  }
  CHORUS_TRY(const DeviceWord word,
             vouch_for_device(signer_, device.id, device.key, device.enrolled_at, now, lifetime, *random_));
  index.forget_renewed(now);
  index.add(record_of(word.certificate, device.enrolled_at));
  // In the index before it is given out.
  CHORUS_TRY_DO(write(index));
  return DeviceDocuments{.device = device,
                         .documents = {.authority = certificate().der(),
                                       .certificate = word.certificate.der(),
                                       .statement = identity::encode(word.statement),
                                       .list = list.der()}};
}

Result<std::optional<DeviceDocuments>> Authority::admit(const crypto::PublicKey& key, const std::optional<Token>& token,
                                                        WallTime now, Days lifetime) {
  using Admission = Result<std::optional<identity::DeviceId>>;
  const auto decide = [&](EnrolmentDesk& desk) -> Admission {
    if (!token) return desk.ask(key, now);
    CHORUS_TRY(const identity::DeviceId id, desk.redeem(*token, key, now, *random_));
    return id;
  };
  CHORUS_TRY(const auto device, change_enrolments(decide));
  if (!device) return std::nullopt;
  CHORUS_TRY(const Descriptor lock, lock_folder(folder_));
  const WallTime enrolled_at = std::max(now - kBackdating, certificate().info().validity.not_before);
  CHORUS_TRY(DeviceDocuments vouched, vouch({.id = *device, .key = key, .enrolled_at = enrolled_at}, now, lifetime));
  return vouched;
}

Result<EnrolledDevice> Authority::renewable(const identity::Serial& serial, WallTime now) const {
  const std::string place = fmt::format("certificate {}", to_hex(serial));
  CHORUS_TRY(const Registry index, registry());
  const IssuedCertificate* const known = index.find(serial);
  if (known == nullptr || !known->info.device) {
    return fail(ErrorCode::not_found, "this authority issued no device's certificate of this number", place);
  }
  if (known->revoked_at) return fail(ErrorCode::revoked, "what is revoked is not renewed: enrol it anew", place);
  if (now >= known->info.validity.not_after + kRenewalGrace) {
    return fail(ErrorCode::expired, "it ended too long ago to be renewed: enrol anew", place);
  }
  return EnrolledDevice{.id = *known->info.device, .key = known->info.key, .enrolled_at = known->enrolled_at};
}

Result<DeviceDocuments> Authority::vouch_again(const EnrolledDevice& device, WallTime now, Days lifetime) {
  CHORUS_TRY(const Descriptor lock, lock_folder(folder_));
  return vouch(device, now, lifetime);
}

}  // namespace chorus::certs
