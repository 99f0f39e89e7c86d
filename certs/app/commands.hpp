// One function a subcommand of chorus-certs: options in, what to say out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "certs/app/report.hpp"
#include "certs/io/authority.hpp"
#include "common/base/result.hpp"
#include "common/crypto/random_source.hpp"

namespace chorus::certs::app {

struct Options {
  std::filesystem::path authority = "./authority";
  std::optional<std::filesystem::path> out;
  std::optional<std::int64_t> days;
  std::optional<std::filesystem::path> passphrase_file;
  bool json = false;

  std::vector<std::string> hosts;
  std::int64_t count = 0;
  std::filesystem::path path;  // show, renew
  std::string subject;         // revoke
  bool new_key = false;
};

// For a program and for a person; the same content.
struct Outcome {
  std::string json;
  std::string text;
};

// `options` must outlive it. The clock is read once, when it is made. Not thread-safe.
class Commands {
 public:
  explicit Commands(const Options& options);

  [[nodiscard]] Result<Outcome> init();
  [[nodiscard]] Result<Outcome> coordinator();
  [[nodiscard]] Result<Outcome> device();
  [[nodiscard]] Result<Outcome> fleet();
  [[nodiscard]] Result<Outcome> show();
  [[nodiscard]] Result<Outcome> revoke();
  [[nodiscard]] Result<Outcome> crl();
  [[nodiscard]] Result<Outcome> renew();

 private:
  [[nodiscard]] Days days(Days usual) const;
  [[nodiscard]] std::filesystem::path out_or(const char* usual) const;
  [[nodiscard]] Result<std::optional<crypto::ZeroizingBytes>> passphrase() const;
  [[nodiscard]] Result<Authority> open();
  [[nodiscard]] Result<Revocation> revoke_subject(Authority& authority);
  [[nodiscard]] Outcome describe_folder(const IssuedFolder& issued, Facts more = {}) const;
  // Installs the list where --out says, and describes it.
  [[nodiscard]] Result<Outcome> install_and_describe(const identity::RevocationList& list, Facts facts) const;

  const Options& options_;
  WallTime now_;
  std::unique_ptr<crypto::RandomSource> random_;
};

}  // namespace chorus::certs::app
