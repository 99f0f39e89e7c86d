// Which files a coordinator's and a device's folder hold, and what is in each.
#pragma once

#include <filesystem>
#include <string>

#include "certs/authority/issue.hpp"
#include "certs/io/staged_folder.hpp"
#include "common/base/result.hpp"

namespace chorus::certs {

inline constexpr char kAuthorityKeyFile[] = "authority.key";
inline constexpr char kAuthorityCertificateFile[] = "authority.crt";
inline constexpr char kIndexFile[] = "issued.tsv";
inline constexpr char kListFile[] = "crl.pem";
inline constexpr char kEnrolmentsFile[] = "enrolments.tsv";
inline constexpr char kCoordinatorKeyFile[] = "coordinator.key";
inline constexpr char kCoordinatorCertificateFile[] = "coordinator.crt";
inline constexpr char kDeviceKeyFile[] = "device.key";
inline constexpr char kDeviceCertificateFile[] = "device.crt";
inline constexpr char kStatementFile[] = "identity.statement";
inline constexpr char kFleetFile[] = "fleet.tsv";

// What is the same in every folder given out, written once for a fleet.
struct AuthorityPem {
  std::string certificate;
  std::string list;
};

// `inside` is the folder within `staged`, "" for itself. `key` is null if it is elsewhere.
// Errors: unwritable, disk_full, io.
[[nodiscard]] Status add_coordinator(StagedFolder& staged, const identity::Certificate& certificate,
                                     const crypto::SigningKey* key, const AuthorityPem& authority);
[[nodiscard]] Status add_device(StagedFolder& staged, const std::filesystem::path& inside,
                                const identity::Certificate& certificate, const identity::IdentityStatement& statement,
                                const crypto::SigningKey* key, const AuthorityPem& authority);

// Errors: those of read_file and of Certificate::from_pem, naming the file.
[[nodiscard]] Result<identity::Certificate> read_certificate(const std::filesystem::path& path);
[[nodiscard]] Result<identity::RevocationList> read_revocation_list(const std::filesystem::path& path);

}  // namespace chorus::certs
