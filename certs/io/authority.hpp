// The enrolment authority and its folder:
//
//   authority.key   the root's private key, PKCS#8 PEM, mode 0600: whoever has it can enrol devices
//   authority.crt   the root's certificate
//   issued.tsv      the index of what was issued and revoked (certs/authority/registry.hpp)
//   crl.pem         the newest revocation list
//   enrolments.tsv  invitations and keys that wait for an operator (certs/authority/enrolment_desk.hpp), if there are
//   any
//
// What it gives out is a folder: coordinator.crt, coordinator.key, authority.crt, crl.pem, or device.crt, device.key,
// identity.statement (binary), authority.crt, crl.pem. Such a folder appears whole, is never overwritten, and is
// listed in the index before it appears. A lock on the folder keeps two processes apart.
//
// Certificates are stamped with the time that the caller gives, which daemons' clocks must agree with.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "certs/authority/enrolment_desk.hpp"
#include "certs/authority/issue.hpp"
#include "certs/authority/registry.hpp"
#include "common/base/result.hpp"
#include "common/crypto/random_source.hpp"
#include "common/crypto/secret_bytes.hpp"

namespace chorus::certs {

// A passphrase as a file gives it: its bytes without one final line break.
// Errors: those of read_file; invalid_argument, if it is empty.
[[nodiscard]] Result<crypto::ZeroizingBytes> read_passphrase(const std::filesystem::path& path);

// Puts a newly signed list into the folder of a coordinator or device, in the place of the old one.
// Errors: not_found (no such folder), unwritable, disk_full, io.
[[nodiscard]] Status install_list(const identity::RevocationList& list, const std::filesystem::path& folder);

struct IssuedFolder {
  identity::CertificateInfo info;
  std::filesystem::path folder;
};

struct FleetMember {
  identity::DeviceId id;
  std::filesystem::path folder;  // relative to the fleet's
};

struct Revocation {
  std::size_t certificates = 0;  // how many are newly revoked
  identity::RevocationList list;
};

// Where the certificate for a device of a given key is asked for, by whom it may be (authority_enrolment.cpp).
struct EnrolledDevice {
  identity::DeviceId id;
  crypto::PublicKey key{};
  WallTime enrolled_at{};
};
struct DeviceDocuments {
  EnrolledDevice device;
  protocol::enrolment::Documents documents;
};

// Not thread-safe; two of one folder, in one process or in two, wait for each other.
class Authority {
 public:
  // Makes the folder. `random` must outlive the authority; a passphrase, if given, protects the key.
  // Errors: already_exists, unwritable, disk_full, io; invalid_argument (lifetime).
  [[nodiscard]] static Result<Authority> create(const std::filesystem::path& folder, WallTime now,
                                                crypto::RandomSource& random, Days lifetime = kAuthorityLifetime,
                                                std::optional<ByteView> passphrase = std::nullopt);
  // Errors: not_found (no authority there), malformed, bad_certificate, bad_key (the key is another's or its
  // passphrase is missing or wrong).
  [[nodiscard]] static Result<Authority> open(const std::filesystem::path& folder, crypto::RandomSource& random,
                                              std::optional<ByteView> passphrase = std::nullopt);

  [[nodiscard]] const identity::Certificate& certificate() const noexcept { return signer_.certificate; }
  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }
  // As the files say now.
  [[nodiscard]] Result<Registry> registry() const;
  [[nodiscard]] Result<identity::RevocationList> revocation_list() const;

  // Errors of all that issue: already_exists, unwritable, disk_full, io (`out`); invalid_argument (a bad host or
  // lifetime); expired, not_yet_valid (the authority).
  [[nodiscard]] Result<IssuedFolder> issue_coordinator(std::span<const std::string> hosts,
                                                       const std::filesystem::path& out, WallTime now,
                                                       Days lifetime = kCoordinatorLifetime);
  [[nodiscard]] Result<IssuedFolder> issue_device(const std::filesystem::path& out, WallTime now,
                                                  Days lifetime = kDeviceLifetime);
  // `count` devices (1 to kMostDevicesAtOnce), each in a folder of its own under `out`, and fleet.tsv: number from 1,
  // tab, device id, tab, folder relative to `out`. Errors also: invalid_argument (count).
  [[nodiscard]] Result<std::vector<FleetMember>> issue_fleet(std::size_t count, const std::filesystem::path& out,
                                                             WallTime now, Days lifetime = kDeviceLifetime);

  // A new certificate (and statement) for the coordinator or device whose folder this is: same hosts or id, same
  // enrolment date, same key unless `new_key`. A folder without its private key is renewed without it. Without
  // `out` the folder's files are exchanged in one step and its other files kept.
  // Errors also: not_found (no certificate there, or not this authority's), revoked, bad_key (the private key in the
  // folder is not the certificate's).
  struct Renewal {
    std::optional<std::filesystem::path> out;
    bool new_key = false;
    std::optional<Days> lifetime;  // the kind's own if absent
  };
  [[nodiscard]] Result<IssuedFolder> renew(const std::filesystem::path& folder, WallTime now, const Renewal& renewal);
  [[nodiscard]] Result<IssuedFolder> renew(const std::filesystem::path& folder, WallTime now) {
    return renew(folder, now, Renewal{});
  }

  // Revokes and signs a new list. Errors: not_found, revoked (it was before).
  [[nodiscard]] Result<Revocation> revoke_device(const identity::DeviceId& device, WallTime now,
                                                 Days list_lifetime = kRevocationListLifetime);
  // Every certificate that holds the same key as this one.
  [[nodiscard]] Result<Revocation> revoke_certificate(const identity::Serial& serial, WallTime now,
                                                      Days list_lifetime = kRevocationListLifetime);
  // A new list of the same revocations.
  [[nodiscard]] Result<identity::RevocationList> sign_list(WallTime now, Days lifetime = kRevocationListLifetime);

  // --- enrolment of keys that never come here (authority_enrolment.cpp). Errors also: those of reading, io.

  // A new authority in `folder` that will follow this one: it knows all that this one issued and revoked, so that it
  // vouches for the same devices. Errors: as create.
  [[nodiscard]] Result<Authority> found_successor(const std::filesystem::path& folder, WallTime now,
                                                  Days lifetime = kAuthorityLifetime,
                                                  std::optional<ByteView> passphrase = std::nullopt) const;
  // What the service shows at its end of a connection; its key is nowhere but in the answer.
  [[nodiscard]] Result<Coordinator> certify_service(std::span<const std::string> hosts, WallTime now,
                                                    Days lifetime = kServiceLifetime);

  [[nodiscard]] Result<EnrolmentDesk> enrolments() const;
  [[nodiscard]] Result<protocol::enrolment::Invitation> invite(WallTime now,
                                                               std::chrono::seconds lifetime = kInvitationLifetime);
  // Errors also: not_found, already_exists.
  [[nodiscard]] Status withdraw(const ByteArray<8>& number);
  // Errors also: not_found.
  [[nodiscard]] Status decide(const crypto::PublicKey& key, bool approve, WallTime now);

  // Enrols a key by its invitation, or as an operator decided; nothing while that is open. Errors also: bad_identity
  // (the invitation, or declined), overloaded, revoked (the key was).
  [[nodiscard]] Result<std::optional<DeviceDocuments>> admit(const crypto::PublicKey& key,
                                                             const std::optional<protocol::enrolment::Token>& token,
                                                             WallTime now, Days lifetime);
  // A device of this authority by one of its certificates, to be renewed or to leave: asked for before its proof is
  // checked, and again by renew_device. Errors also: not_found, revoked, expired (more than kRenewalGrace ago).
  [[nodiscard]] Result<EnrolledDevice> renewable(const identity::Serial& serial, WallTime now) const;
  // A new certificate and statement for the same key. Errors also: overloaded (too often).
  [[nodiscard]] Result<DeviceDocuments> vouch_again(const EnrolledDevice& device, WallTime now, Days lifetime);

 private:
  Authority(std::filesystem::path folder, Signer signer, crypto::RandomSource& random)
      : folder_(std::move(folder)), signer_(std::move(signer)), random_(&random) {}

  [[nodiscard]] Status write(const Registry& registry) const;
  [[nodiscard]] Result<identity::RevocationList> sign_list(const Registry& registry, WallTime now, Days lifetime);
  template <typename Change>
  auto change_enrolments(Change change) -> std::invoke_result_t<Change, EnrolmentDesk&>;
  // REQUIRES: the lock.
  [[nodiscard]] Result<DeviceDocuments> vouch(EnrolledDevice device, WallTime now, Days lifetime);
  template <typename Revoke>
  Result<Revocation> revoke(Revoke revoke, WallTime now, Days list_lifetime);

  std::filesystem::path folder_;
  Signer signer_;
  crypto::RandomSource* random_;
};

}  // namespace chorus::certs
