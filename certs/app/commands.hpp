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

  // the service
  std::string listen = "127.0.0.1";
  std::uint16_t port = 7444;
  std::optional<std::filesystem::path> successor;
  std::string successor_address;
  bool without_invitation = false;
  std::optional<std::filesystem::path> address_file;  // is told where it listens
  std::optional<std::int64_t> hours;                  // of an invitation
  bool ask = false;                                   // an invitation without a token
  std::string key;                                    // approve, decline: a public key, or its beginning
  std::string from;                                   // fetch: HOST:PORT
};

// For a program and for a person; the same content.
struct Outcome {
  std::string json;
  std::string text;    // without --json, on standard output
  std::string note{};  // likewise on standard error: what a person reads and a pipe should not get
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
  // --- enrolment by the network (enrolment_commands.cpp)
  // Until SIGTERM or SIGINT.
  [[nodiscard]] Result<Outcome> serve();
  [[nodiscard]] Result<Outcome> invite();
  [[nodiscard]] Result<Outcome> withdraw();
  [[nodiscard]] Result<Outcome> requests();
  [[nodiscard]] Result<Outcome> approve();
  [[nodiscard]] Result<Outcome> decline();
  [[nodiscard]] Result<Outcome> succeed();
  [[nodiscard]] Result<Outcome> fetch();

 private:
  [[nodiscard]] Days days(Days usual) const;
  [[nodiscard]] std::filesystem::path out_or(const char* usual) const;
  [[nodiscard]] Result<std::optional<crypto::ZeroizingBytes>> passphrase() const;
  [[nodiscard]] Result<Authority> open();
  [[nodiscard]] Result<Authority> open(const std::filesystem::path& folder);
  [[nodiscard]] Result<Outcome> decide(bool approve);
  [[nodiscard]] Result<Revocation> revoke_subject(Authority& authority);
  [[nodiscard]] Outcome describe_folder(const IssuedFolder& issued, Facts more = {}) const;
  // Installs the list where --out says, and describes it.
  [[nodiscard]] Result<Outcome> install_and_describe(const identity::RevocationList& list, Facts facts) const;

  const Options& options_;
  WallTime now_;
  std::unique_ptr<crypto::RandomSource> random_;
};

}  // namespace chorus::certs::app
