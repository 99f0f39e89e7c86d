// How a device comes by its identity and keeps it: asks the enrolment authority's service to certify a key that is made
// here and never leaves, renews in time, and leaves. Works on the credentials folder:
//
//   device.key, device.crt, identity.statement, authority.crt, crl.pem    as chorus-certs makes them
//   enrolment.address    HOST:PORT of the authority's service; without it nothing renews by itself
//
// and, while another authority takes over, on a folder beside it with ".next" in its name, which holds the same
// device's identity under that one. Files appear one by one, each whole, device.crt last: a crash leaves what can be
// gone on with. Blocks; POSIX. One process at a time, which the store's session sees to.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/crypto/random_source.hpp"
#include "common/crypto/signature.hpp"
#include "common/identity/device_id.hpp"

namespace chorus::client {

struct Enrolment {
  crypto::PublicKey key{};                   // for the operator to compare
  std::optional<identity::DeviceId> device;  // absent: an operator has not decided; enrol again later, the key stays
  WallTime expires{};
};

// Errors: already_exists (the folder holds an identity), malformed (the invitation), invalid_argument (the address);
// those of net::ask_authority; unwritable, disk_full, io; bad_identity and so on, if what came does not hold.
[[nodiscard]] Result<Enrolment> enrol(const std::filesystem::path& folder, std::string_view address,
                                      std::string_view invitation, WallTime now, crypto::RandomSource& random);

// The same key for another while, now. What comes is looked at before anything is replaced, and must be the same
// device's of the same authority. Errors: not_found (no identity here, or no enrolment.address); those above.
[[nodiscard]] Result<Enrolment> renew(const std::filesystem::path& folder, WallTime now);

// Whether renewal is due: a third of the certificate's or of the revocation list's time is left, or less. False where
// nothing can be renewed.
[[nodiscard]] bool is_renewal_due(const std::filesystem::path& folder, WallTime now);

// Whether a service made this folder, and may be asked again.
[[nodiscard]] bool was_enrolled_by_service(const std::filesystem::path& folder);

// Asks the authority to revoke this device. Errors: as renew.
[[nodiscard]] Status resign(const std::filesystem::path& folder, WallTime now);

// Where the identity under the next authority is, if it is there.
[[nodiscard]] std::optional<std::filesystem::path> successor_of(const std::filesystem::path& folder);
// Puts it in the place of the present one, in one step, and removes that. Errors: not_found, io.
[[nodiscard]] Status adopt_successor(const std::filesystem::path& folder);

// The files of a folder that are the device's own.
inline constexpr std::string_view kPrivateFiles[] = {"device.key", "device.crt", "identity.statement",
                                                     "enrolment.address"};

}  // namespace chorus::client
