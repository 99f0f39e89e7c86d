#include "certs/app/commands.hpp"

#include <utility>

#include <fmt/format.h>

#include "certs/io/clock.hpp"
#include "certs/io/folder_files.hpp"

namespace chorus::certs::app {

namespace fs = std::filesystem;

namespace {

std::optional<ByteView> as_view(const std::optional<crypto::ZeroizingBytes>& bytes) {
  if (!bytes) return std::nullopt;
  return ByteView(*bytes);
}

}  // namespace

Commands::Commands(const Options& options)
    : options_(options), now_(wall_clock()), random_(crypto::make_system_random()) {}

Result<Outcome> Commands::init() {
  CHORUS_TRY(const auto secret, passphrase());
  CHORUS_TRY(const Authority made,
             Authority::create(options_.authority, now_, *random_, days(kAuthorityLifetime), as_view(secret)));
  const std::string key = (options_.authority / kAuthorityKeyFile).string();
  Outcome outcome = describe_folder({made.certificate().info(), options_.authority}, {{"back up", key}});
  outcome.text += fmt::format(
      "\nBack up now, to a medium that is kept offline:\n"
      "  (umask 077; tar -C {0} -cf authority-backup.tar {1} {2} {3} {4})\n"
      "Whoever reads {5} can enrol devices; whoever loses it must enrol every device anew.\n"
      "{6}\n"
      "Keep this folder on a machine of its own, apart from the coordinator: see certs/README.md.\n",
      options_.authority.string(), kAuthorityKeyFile, kAuthorityCertificateFile, kIndexFile, kListFile, key,
      secret ? "The backup needs the passphrase: keep that elsewhere."
             : "The key is not encrypted: 'init --passphrase-file FILE' makes one that is.");
  return outcome;
}

Result<Outcome> Commands::coordinator() {
  CHORUS_TRY(Authority authority, open());
  CHORUS_TRY(const IssuedFolder issued,
             authority.issue_coordinator(options_.hosts, out_or("./coordinator"), now_, days(kCoordinatorLifetime)));
  return describe_folder(issued);
}

Result<Outcome> Commands::device() {
  CHORUS_TRY(Authority authority, open());
  CHORUS_TRY(const IssuedFolder issued, authority.issue_device(out_or("./device"), now_, days(kDeviceLifetime)));
  return describe_folder(issued);
}

Result<Outcome> Commands::fleet() {
  if (options_.count < 1) {
    return fail(ErrorCode::invalid_argument, fmt::format("expected at least 1 device, found {}", options_.count),
                "--count");
  }
  CHORUS_TRY(Authority authority, open());
  const fs::path out = out_or("./fleet");
  CHORUS_TRY(const std::vector<FleetMember> members,
             authority.issue_fleet(static_cast<std::size_t>(options_.count), out, now_, days(kDeviceLifetime)));
  const Facts facts = {
      {"folder", out.string()}, {"devices", std::uint64_t{members.size()}}, {"list", (out / kFleetFile).string()}};
  return Outcome{as_json(facts), fmt::format("Enrolled {} devices in {}; {} lists them.\n", members.size(),
                                             out.string(), (out / kFleetFile).string())};
}

Result<Outcome> Commands::show() {
  CHORUS_TRY(const std::vector<Described> described, describe(options_.path, now_));
  return Outcome{as_json(described), as_text(described)};
}

Result<Outcome> Commands::revoke() {
  CHORUS_TRY(Authority authority, open());
  CHORUS_TRY(const Revocation revocation, revoke_subject(authority));
  CHORUS_TRY(Outcome outcome,
             install_and_describe(revocation.list, {{"newly revoked", std::uint64_t{revocation.certificates}}}));
  outcome.text +=
      "What its device gave to models until now stays in them: a sum cannot be taken apart. How much that can say of\n"
      "one person is what epsilon bounds (common/PRIVACY.md). From now on it takes part in nothing.\n";
  return outcome;
}

Result<Outcome> Commands::crl() {
  CHORUS_TRY(Authority authority, open());
  CHORUS_TRY(const identity::RevocationList list, authority.sign_list(now_, days(kRevocationListLifetime)));
  return install_and_describe(list, {});
}

Result<Outcome> Commands::renew() {
  CHORUS_TRY(Authority authority, open());
  Authority::Renewal renewal{options_.out, options_.new_key, std::nullopt};
  if (options_.days) renewal.lifetime = Days(*options_.days);
  CHORUS_TRY(const IssuedFolder issued, authority.renew(options_.path, now_, renewal));
  return describe_folder(issued);
}

Days Commands::days(Days usual) const {
  return options_.days ? Days(*options_.days) : usual;
}

fs::path Commands::out_or(const char* usual) const {
  return options_.out.value_or(usual);
}

Result<std::optional<crypto::ZeroizingBytes>> Commands::passphrase() const {
  if (!options_.passphrase_file) return std::nullopt;
  CHORUS_TRY(crypto::ZeroizingBytes secret, read_passphrase(*options_.passphrase_file));
  return std::optional(std::move(secret));
}

Result<Authority> Commands::open() {
  return open(options_.authority);
}

Result<Authority> Commands::open(const fs::path& folder) {
  CHORUS_TRY(const auto secret, passphrase());
  return Authority::open(folder, *random_, as_view(secret));
}

// The subject is the file of a certificate, a device's id or a serial number.
Result<Revocation> Commands::revoke_subject(Authority& authority) {
  const Days lifetime = days(kRevocationListLifetime);
  std::error_code error;
  if (fs::exists(options_.subject, error)) {
    CHORUS_TRY(const identity::Certificate certificate, read_certificate(options_.subject));
    return authority.revoke_certificate(certificate.info().serial, now_, lifetime);
  }
  const auto id = identity::parse_device_id(options_.subject);
  if (!id) {
    return fail(ErrorCode::not_found,
                "expected the file of a certificate, a device's id or a serial number (32 hexadecimal digits)",
                options_.subject);
  }
  for (const bool is_device : {true, false}) {
    auto revocation = is_device ? authority.revoke_device(*id, now_, lifetime)
                                : authority.revoke_certificate(id->bytes, now_, lifetime);
    if (revocation || revocation.error().code() != ErrorCode::not_found) return revocation;
  }
  return fail(ErrorCode::not_found, "this authority knows no device and no certificate of this number",
              options_.subject);
}

Outcome Commands::describe_folder(const IssuedFolder& issued, Facts more) const {
  Facts facts = {{"folder", issued.folder.string()}};
  const Facts certificate = facts_of(issued.info, now_);
  facts.insert(facts.end(), certificate.begin(), certificate.end());
  facts.insert(facts.end(), more.begin(), more.end());
  return {as_json(facts), as_text({{issued.folder.string(), certificate}})};
}

Result<Outcome> Commands::install_and_describe(const identity::RevocationList& list, Facts facts) const {
  const Facts of_list = facts_of(list, now_);
  facts.insert(facts.end(), of_list.begin(), of_list.end());
  std::string advice = "Give it to the coordinator: copy it into its folder, or use --out.\n";
  if (options_.out) {
    CHORUS_TRY_DO(install_list(list, *options_.out));
    const std::string installed = (*options_.out / kListFile).string();
    facts.emplace_back("installed", installed);
    advice = fmt::format("Installed as {}.\n", installed);
  }
  const std::string text = as_text({{(options_.authority / kListFile).string(), facts}});
  return Outcome{as_json(facts), text + advice};
}

}  // namespace chorus::certs::app
