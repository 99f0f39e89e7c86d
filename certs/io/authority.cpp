#include "certs/io/authority.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "certs/io/files.hpp"
#include "certs/io/folder_files.hpp"
#include "certs/io/staged_folder.hpp"
#include "common/identity/private_key_pem.hpp"

namespace chorus::certs {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMostKeyBytes = 16 * 1024;
constexpr std::size_t kMostPassphraseBytes = 1024;
constexpr std::size_t kMostIndexBytes = std::size_t{1} << 30;  // about four million certificates

std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<crypto::SigningKey> read_key(const fs::path& path, std::optional<ByteView> passphrase = std::nullopt) {
  CHORUS_TRY(const crypto::ZeroizingBytes pem, read_file(path, kMostKeyBytes));
  auto key = identity::parse_private_key_pem(pem, passphrase);
  if (!key) return fail(key.error().at(path.string()));
  return key;
}

Result<Registry> read_registry(const fs::path& folder) {
  CHORUS_TRY(const crypto::ZeroizingBytes text, read_file(folder / kIndexFile, kMostIndexBytes));
  auto registry = Registry::parse(text_of(text));
  if (!registry) return fail(registry.error().at((folder / kIndexFile).string()));
  return registry;
}

// The certificate of the coordinator's or device's folder.
Result<identity::Certificate> certificate_in(const fs::path& folder) {
  for (const char* const name : {kDeviceCertificateFile, kCoordinatorCertificateFile}) {
    auto certificate = read_certificate(folder / name);
    if (certificate || certificate.error().code() != ErrorCode::not_found) return certificate;
  }
  return fail(ErrorCode::not_found,
              fmt::format("expected {} or {}", kDeviceCertificateFile, kCoordinatorCertificateFile), folder.string());
}

// The private key in `folder`, if it is there, which must be the certificate's.
Result<std::optional<crypto::SigningKey>> key_in(const fs::path& folder, const identity::CertificateInfo& info) {
  const fs::path path = folder / (info.device ? kDeviceKeyFile : kCoordinatorKeyFile);
  auto key = read_key(path);
  if (!key) {
    if (key.error().code() == ErrorCode::not_found) return std::nullopt;
    return fail(key.error());
  }
  if (key->public_key() != info.key) {
    return fail(ErrorCode::bad_key, "the private key is not the one of the certificate beside it", path.string());
  }
  return std::optional<crypto::SigningKey>(*std::move(key));
}

}  // namespace

Result<crypto::ZeroizingBytes> read_passphrase(const fs::path& path) {
  CHORUS_TRY(crypto::ZeroizingBytes passphrase, read_file(path, kMostPassphraseBytes));
  if (!passphrase.empty() && passphrase.back() == '\n') passphrase.pop_back();
  if (!passphrase.empty() && passphrase.back() == '\r') passphrase.pop_back();
  if (passphrase.empty()) return fail(ErrorCode::invalid_argument, "the passphrase is empty", path.string());
  return passphrase;
}

Status install_list(const identity::RevocationList& list, const fs::path& folder) {
  return replace_file(folder / kListFile, as_bytes(list.pem()), kPublicFile);
}

Result<Authority> Authority::create(const fs::path& folder, WallTime now, crypto::RandomSource& random, Days lifetime,
                                    std::optional<ByteView> passphrase) {
  CHORUS_TRY(StagedFolder staged, StagedFolder::at(folder));
  CHORUS_TRY(Signer signer, found_authority(now, lifetime, random));
  const Registry registry;
  // The first list must not outlive the authority, which may be a short one.
  CHORUS_TRY(const identity::RevocationList list,
             sign_revocation_list(signer, registry, 1, now, std::min(lifetime, kRevocationListLifetime)));
  const crypto::ZeroizingBytes key =
      passphrase ? identity::private_key_pem(signer.key, *passphrase, random) : identity::private_key_pem(signer.key);
  CHORUS_TRY_DO(staged.add(kAuthorityKeyFile, key, kSecretFile));
  CHORUS_TRY_DO(staged.add(kAuthorityCertificateFile, as_bytes(signer.certificate.pem()), kPublicFile));
  CHORUS_TRY_DO(staged.add(kIndexFile, as_bytes(registry.text()), kSecretFile));
  CHORUS_TRY_DO(staged.add(kListFile, as_bytes(list.pem()), kPublicFile));
  CHORUS_TRY_DO(std::move(staged).publish());
  return Authority(folder, std::move(signer), random);
}

Result<Authority> Authority::open(const fs::path& folder, crypto::RandomSource& random,
                                  std::optional<ByteView> passphrase) {
  auto certificate = read_certificate(folder / kAuthorityCertificateFile);
  if (!certificate && certificate.error().code() == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "there is no enrolment authority here; 'chorus-certs init' makes one",
                folder.string());
  }
  if (!certificate) return fail(certificate.error());
  if (certificate->info().kind != identity::SubjectKind::authority) {
    return fail(ErrorCode::bad_certificate, "expected an authority's certificate",
                (folder / kAuthorityCertificateFile).string());
  }
  CHORUS_TRY(crypto::SigningKey key, read_key(folder / kAuthorityKeyFile, passphrase));
  if (key.public_key() != certificate->info().key) {
    return fail(ErrorCode::bad_key, "the private key is not the one of the certificate beside it",
                (folder / kAuthorityKeyFile).string());
  }
  return Authority(folder, Signer{std::move(key), *std::move(certificate)}, random);
}

Result<Registry> Authority::registry() const {
  return read_registry(folder_);
}

Result<identity::RevocationList> Authority::revocation_list() const {
  return read_revocation_list(folder_ / kListFile);
}

Status Authority::write(const Registry& registry) const {
  return replace_file(folder_ / kIndexFile, as_bytes(registry.text()), kSecretFile);
}

Result<IssuedFolder> Authority::issue_coordinator(std::span<const std::string> hosts, const fs::path& out, WallTime now,
                                                  Days lifetime) {
  CHORUS_TRY(const std::vector<identity::HostName> names, parse_hosts(hosts));
  CHORUS_TRY(StagedFolder staged, StagedFolder::at(out));
  CHORUS_TRY(const Descriptor lock, lock_folder(folder_));
  CHORUS_TRY(Registry index, registry());
  CHORUS_TRY(const identity::RevocationList list, revocation_list());
  CHORUS_TRY(const Coordinator coordinator, certs::issue_coordinator(signer_, names, now, lifetime, *random_));
  CHORUS_TRY_DO(add_coordinator(staged, coordinator.certificate, &coordinator.key, {certificate().pem(), list.pem()}));
  index.add(record_of(coordinator.certificate, coordinator.certificate.info().validity.not_before));
  CHORUS_TRY_DO(write(index));
  CHORUS_TRY_DO(std::move(staged).publish());
  return IssuedFolder{coordinator.certificate.info(), out};
}

Result<IssuedFolder> Authority::issue_device(const fs::path& out, WallTime now, Days lifetime) {
  CHORUS_TRY(StagedFolder staged, StagedFolder::at(out));
  CHORUS_TRY(const Descriptor lock, lock_folder(folder_));
  CHORUS_TRY(Registry index, registry());
  CHORUS_TRY(const identity::RevocationList list, revocation_list());
  CHORUS_TRY(const Device device, enrol_device(signer_, now, lifetime, *random_));
  CHORUS_TRY_DO(
      add_device(staged, "", device.certificate, device.statement, &device.key, {certificate().pem(), list.pem()}));
  index.add(record_of(device.certificate, device.statement.enrolled_at));
  CHORUS_TRY_DO(write(index));
  CHORUS_TRY_DO(std::move(staged).publish());
  return IssuedFolder{device.certificate.info(), out};
}

Result<std::vector<FleetMember>> Authority::issue_fleet(std::size_t count, const fs::path& out, WallTime now,
                                                        Days lifetime) {
  if (count == 0 || count > kMostDevicesAtOnce) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("expected 1 to {} devices, found {}", kMostDevicesAtOnce, count), "count");
  }
  CHORUS_TRY(StagedFolder staged, StagedFolder::at(out));
  CHORUS_TRY(const Descriptor lock, lock_folder(folder_));
  CHORUS_TRY(Registry index, registry());
  CHORUS_TRY(const identity::RevocationList list, revocation_list());
  const AuthorityPem authority{certificate().pem(), list.pem()};
  std::vector<FleetMember> members;
  members.reserve(count);
  std::string table;
  for (std::size_t number = 1; number <= count; ++number) {
    CHORUS_TRY(const Device device, enrol_device(signer_, now, lifetime, *random_));
    const fs::path inside = fmt::format("device-{:06}", number);
    CHORUS_TRY_DO(staged.add_folder(inside));
    CHORUS_TRY_DO(add_device(staged, inside, device.certificate, device.statement, &device.key, authority));
    index.add(record_of(device.certificate, device.statement.enrolled_at));
    fmt::format_to(std::back_inserter(table), "{}\t{}\t{}\n", number, identity::to_string(device.statement.id),
                   inside.string());
    members.push_back({device.statement.id, inside});
  }
  CHORUS_TRY_DO(staged.add(kFleetFile, as_bytes(table), kPublicFile));
  CHORUS_TRY_DO(write(index));
  CHORUS_TRY_DO(std::move(staged).publish());
  return members;
}

Result<IssuedFolder> Authority::renew(const fs::path& folder, WallTime now, const Renewal& renewal) {
  CHORUS_TRY(const identity::Certificate old, certificate_in(folder));
  CHORUS_TRY(std::optional<crypto::SigningKey> key, key_in(folder, old.info()));
  if (renewal.new_key) key = crypto::SigningKey::generate(*random_);
  CHORUS_TRY(StagedFolder staged, renewal.out ? StagedFolder::at(*renewal.out) : StagedFolder::instead_of(folder));
  CHORUS_TRY(const Descriptor lock, lock_folder(folder_));
  CHORUS_TRY(Registry index, registry());
  CHORUS_TRY(const identity::RevocationList list, revocation_list());

  // What is renewed is what the index says, not what the file says: the file's signature need not be asked for.
  const IssuedCertificate* const known = index.find(old.info().serial);
  if (known == nullptr || known->info != old.info()) {
    return fail(ErrorCode::not_found, "this authority did not issue the certificate in this folder", folder.string());
  }
  if (known->revoked_at) {
    return fail(ErrorCode::revoked, "what is revoked is not renewed: enrol it anew", folder.string());
  }
  const WallTime enrolled_at = known->enrolled_at;
  const crypto::PublicKey& public_key = key ? key->public_key() : old.info().key;
  const crypto::SigningKey* const private_key = key ? &*key : nullptr;
  const AuthorityPem authority{certificate().pem(), list.pem()};
  std::optional<identity::Certificate> renewed;
  if (old.info().device) {
    CHORUS_TRY(DeviceWord word, vouch_for_device(signer_, *old.info().device, public_key, enrolled_at, now,
                                                 renewal.lifetime.value_or(kDeviceLifetime), *random_));
    CHORUS_TRY_DO(add_device(staged, "", word.certificate, word.statement, private_key, authority));
    renewed = std::move(word.certificate);
  } else {
    CHORUS_TRY(renewed, vouch_for_coordinator(signer_, old.info().hosts, public_key, now,
                                              renewal.lifetime.value_or(kCoordinatorLifetime), *random_));
    CHORUS_TRY_DO(add_coordinator(staged, *renewed, private_key, authority));
  }
  index.add(record_of(*renewed, enrolled_at));
  CHORUS_TRY_DO(write(index));
  CHORUS_TRY_DO(renewal.out ? std::move(staged).publish() : std::move(staged).replace());
  return IssuedFolder{renewed->info(), renewal.out.value_or(folder)};
}

Result<identity::RevocationList> Authority::sign_list(const Registry& registry, WallTime now, Days lifetime) {
  CHORUS_TRY(const identity::RevocationList last, revocation_list());
  CHORUS_TRY(identity::RevocationList list, sign_revocation_list(signer_, registry, last.number() + 1, now, lifetime));
  CHORUS_TRY_DO(replace_file(folder_ / kListFile, as_bytes(list.pem()), kPublicFile));
  return list;
}

Result<identity::RevocationList> Authority::sign_list(WallTime now, Days lifetime) {
  CHORUS_TRY(const Descriptor lock, lock_folder(folder_));
  CHORUS_TRY(const Registry index, registry());
  return sign_list(index, now, lifetime);
}

// The index first: a crash before the list is signed is mended by signing a list, which reads the index.
template <typename Revoke>
Result<Revocation> Authority::revoke(Revoke revoke, WallTime now, Days list_lifetime) {
  CHORUS_TRY(const Descriptor lock, lock_folder(folder_));
  CHORUS_TRY(Registry index, registry());
  CHORUS_TRY(const std::size_t certificates, revoke(index));
  CHORUS_TRY_DO(write(index));
  CHORUS_TRY(identity::RevocationList list, sign_list(index, now, list_lifetime));
  return Revocation{certificates, std::move(list)};
}

Result<Revocation> Authority::revoke_device(const identity::DeviceId& device, WallTime now, Days list_lifetime) {
  return revoke([&](Registry& index) { return index.revoke_device(device, now); }, now, list_lifetime);
}

Result<Revocation> Authority::revoke_certificate(const identity::Serial& serial, WallTime now, Days list_lifetime) {
  return revoke([&](Registry& index) { return index.revoke_key_of(serial, now); }, now, list_lifetime);
}

}  // namespace chorus::certs
