#include "certs/app/report.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "certs/authority/date_text.hpp"
#include "certs/io/files.hpp"
#include "certs/io/folder_files.hpp"
#include "common/crypto/hash.hpp"
#include "common/identity/private_key_pem.hpp"

namespace chorus::certs::app {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;

std::string validity_text(const identity::Validity& validity, WallTime now) {
  if (now < validity.not_before) return "not yet valid";
  if (now >= validity.not_after) return "expired";
  const auto left = std::chrono::floor<Days>(validity.not_after - now).count();
  return left == 1 ? "valid, 1 day left" : fmt::format("valid, {} days left", left);
}

std::vector<std::string> host_texts(const identity::CertificateInfo& info) {
  std::vector<std::string> texts;
  for (const identity::HostName& host : info.hosts) texts.push_back(host.text);
  return texts;
}

std::string value_text(const Value& value) {
  if (const auto* const count = std::get_if<std::uint64_t>(&value)) return fmt::to_string(*count);
  if (const auto* const text = std::get_if<std::string>(&value)) return *text;
  return fmt::format("{}", fmt::join(std::get<std::vector<std::string>>(value), ", "));
}

bool is_empty(const Value& value) {
  return value_text(value).empty();
}

Facts facts_of_statement(const identity::IdentityStatement& statement, WallTime now) {
  return {{"what", "identity statement"},
          {"device", identity::to_string(statement.id)},
          {"key", to_hex(statement.key)},
          {"authority", to_hex(statement.authority_key)},
          {"enrolled", date_text(statement.enrolled_at)},
          {"ends", date_text(statement.expires_at)},
          {"state", validity_text({statement.enrolled_at, statement.expires_at}, now)},
          {"signature",
           identity::check(statement, statement.authority_key, statement.enrolled_at) ? "holds" : "does not hold"}};
}

Facts facts_of_index(const Registry& registry, WallTime now) {
  std::size_t coordinators = 0;
  std::size_t devices = 0;
  std::size_t revoked = 0;
  std::size_t ended = 0;
  for (const IssuedCertificate& issued : registry.all()) {
    ++(issued.info.device ? devices : coordinators);
    if (issued.revoked_at) ++revoked;
    if (now >= issued.info.validity.not_after) ++ended;
  }
  return {{"what", "index of issued certificates"},
          {"coordinator certificates", std::uint64_t{coordinators}},
          {"device certificates", std::uint64_t{devices}},
          {"revoked", std::uint64_t{revoked}},
          {"expired", std::uint64_t{ended}}};
}

Result<Facts> facts_of_key(ByteView contents) {
  const std::string_view text(reinterpret_cast<const char*>(contents.data()), contents.size());
  if (text.find("BEGIN ENCRYPTED PRIVATE KEY") != std::string_view::npos) {
    return Facts{{"what", "private key under a passphrase"}};
  }
  CHORUS_TRY(const crypto::SigningKey key, identity::parse_private_key_pem(contents));
  return Facts{{"what", "private key"}, {"public key", to_hex(key.public_key())}};
}

// What it is follows from how it begins.
Result<Facts> facts_of_contents(ByteView contents, WallTime now) {
  const std::string_view text(reinterpret_cast<const char*>(contents.data()), contents.size());
  const auto holds = [text](std::string_view mark) { return text.find(mark) != std::string_view::npos; };
  if (text.starts_with("CHORID")) {
    CHORUS_TRY(const identity::IdentityStatement statement, identity::decode_identity_statement(contents));
    return facts_of_statement(statement, now);
  }
  if (text.starts_with("# chorus-certs index ")) {
    CHORUS_TRY(const Registry registry, Registry::parse(text));
    return facts_of_index(registry, now);
  }
  if (holds("PRIVATE KEY-----")) return facts_of_key(contents);
  if (holds("-----BEGIN X509 CRL-----")) {
    CHORUS_TRY(const identity::RevocationList list, identity::RevocationList::from_pem(text));
    return app::facts_of(list, now);
  }
  if (holds("-----BEGIN CERTIFICATE-----")) {
    CHORUS_TRY(const identity::Certificate certificate, identity::Certificate::from_pem(text));
    return app::facts_of(certificate.info(), now);
  }
  return fail(ErrorCode::malformed,
              "expected a certificate, private key, revocation list, identity statement or index");
}

Result<Described> describe_file(const fs::path& path, WallTime now) {
  CHORUS_TRY(const crypto::ZeroizingBytes contents, read_file(path, kMostBytes));
  auto facts = facts_of_contents(contents, now);
  if (!facts) return fail(facts.error().at(path.string()));
  return Described{path.filename().string(), *std::move(facts)};
}

// A path may hold bytes that are no UTF-8.
std::string dumped(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const Facts& facts) {
  Json object = Json::object();
  for (const auto& [name, value] : facts) {
    if (is_empty(value)) continue;
    std::string key = name;
    std::ranges::replace(key, ' ', '_');
    std::visit([&](const auto& plain) { object[key] = plain; }, value);
  }
  return object;
}

}  // namespace

Facts facts_of(const identity::CertificateInfo& info, WallTime now) {
  return {{"what", fmt::format("certificate of {} {}", info.kind == identity::SubjectKind::authority ? "an" : "a",
                               identity::to_string(info.kind))},
          {"device", info.device ? identity::to_string(*info.device) : std::string()},
          {"hosts", host_texts(info)},
          {"serial", to_hex(info.serial)},
          {"key", to_hex(info.key)},
          {"begins", date_text(info.validity.not_before)},
          {"ends", date_text(info.validity.not_after)},
          {"state", validity_text(info.validity, now)}};
}

Facts facts_of(const identity::RevocationList& list, WallTime now) {
  return {{"what", "revocation list"},
          {"number", list.number()},
          {"begins", date_text(list.this_update())},
          {"ends", date_text(list.next_update())},
          {"state", validity_text({list.this_update(), list.next_update()}, now)},
          {"revoked certificates", std::uint64_t{list.entries().size()}},
          {"digest", to_hex(crypto::sha256(list.der()))}};
}

Result<std::vector<Described>> describe(const fs::path& path, WallTime now) {
  std::vector<Described> described;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    CHORUS_TRY(Described file, describe_file(path, now));
    described.push_back(std::move(file));
    return described;
  }
  for (const char* const name :
       {kAuthorityCertificateFile, kAuthorityKeyFile, kIndexFile, kCoordinatorCertificateFile, kCoordinatorKeyFile,
        kDeviceCertificateFile, kDeviceKeyFile, kStatementFile, kListFile}) {
    if (!fs::exists(path / name, error)) continue;
    CHORUS_TRY(Described file, describe_file(path / name, now));
    described.push_back(std::move(file));
  }
  if (described.empty()) {
    return fail(ErrorCode::not_found, "the folder holds nothing that chorus-certs makes", path.string());
  }
  return described;
}

std::string as_text(const std::vector<Described>& described) {
  std::string text;
  for (const Described& file : described) {
    fmt::format_to(std::back_inserter(text), "{}\n", file.name);
    for (const auto& [name, value] : file.facts) {
      if (!is_empty(value)) fmt::format_to(std::back_inserter(text), "  {:<25} {}\n", name, value_text(value));
    }
  }
  return text;
}

std::string as_json(const std::vector<Described>& described) {
  Json object = Json::object();
  for (const Described& file : described) object[file.name] = to_json(file.facts);
  return dumped(object);
}

std::string as_json(const Facts& facts) {
  return dumped(to_json(facts));
}

std::string as_json(const Error& error) {
  Json object;
  object["error"] = to_string(error.code());
  object["sentence"] = error.sentence();
  object["where"] = error.where();
  return dumped(object);
}

}  // namespace chorus::certs::app
