#include "certs/io/folder_files.hpp"

#include "certs/io/files.hpp"
#include "common/identity/private_key_pem.hpp"

namespace chorus::certs {

namespace {

constexpr std::size_t kMostCertificateBytes = 64 * 1024;
constexpr std::size_t kMostListBytes = 32 * 1024 * 1024;

Status add_authority(StagedFolder& staged, const std::filesystem::path& inside, const AuthorityPem& authority) {
  CHORUS_TRY_DO(staged.add(inside / kAuthorityCertificateFile, as_bytes(authority.certificate), kPublicFile));
  return staged.add(inside / kListFile, as_bytes(authority.list), kPublicFile);
}

Status add_key(StagedFolder& staged, const std::filesystem::path& name, const crypto::SigningKey* key) {
  if (key == nullptr) return {};
  return staged.add(name, identity::private_key_pem(*key), kSecretFile);
}

template <typename T>
Result<T> read_pem(const std::filesystem::path& path, std::size_t most) {
  CHORUS_TRY(const crypto::ZeroizingBytes contents, read_file(path, most));
  auto parsed = T::from_pem({reinterpret_cast<const char*>(contents.data()), contents.size()});
  if (!parsed) return fail(parsed.error().at(path.string()));
  return parsed;
}

}  // namespace

Status add_coordinator(StagedFolder& staged, const identity::Certificate& certificate, const crypto::SigningKey* key,
                       const AuthorityPem& authority) {
  CHORUS_TRY_DO(staged.add(kCoordinatorCertificateFile, as_bytes(certificate.pem()), kPublicFile));
  CHORUS_TRY_DO(add_key(staged, kCoordinatorKeyFile, key));
  return add_authority(staged, "", authority);
}

Status add_device(StagedFolder& staged, const std::filesystem::path& inside, const identity::Certificate& certificate,
                  const identity::IdentityStatement& statement, const crypto::SigningKey* key,
                  const AuthorityPem& authority) {
  CHORUS_TRY_DO(staged.add(inside / kDeviceCertificateFile, as_bytes(certificate.pem()), kPublicFile));
  CHORUS_TRY_DO(add_key(staged, inside / kDeviceKeyFile, key));
  CHORUS_TRY_DO(staged.add(inside / kStatementFile, identity::encode(statement), kPublicFile));
  return add_authority(staged, inside, authority);
}

Result<identity::Certificate> read_certificate(const std::filesystem::path& path) {
  return read_pem<identity::Certificate>(path, kMostCertificateBytes);
}

Result<identity::RevocationList> read_revocation_list(const std::filesystem::path& path) {
  return read_pem<identity::RevocationList>(path, kMostListBytes);
}

}  // namespace chorus::certs
