// What `chorus-certs show` says of a file or a folder: for a person, or as JSON. Never a secret: of a private key, its
// public half.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "certs/authority/issue.hpp"
#include "common/base/result.hpp"
#include "common/base/time.hpp"

namespace chorus::certs::app {

// Text, a count, or a list; an empty text or list is left out.
using Value = std::variant<std::string, std::uint64_t, std::vector<std::string>>;
// Names and values in the order in which they are printed. A name's blanks become underscores in JSON.
using Facts = std::vector<std::pair<std::string, Value>>;

[[nodiscard]] Facts facts_of(const identity::CertificateInfo& info, WallTime now);
[[nodiscard]] Facts facts_of(const identity::RevocationList& list, WallTime now);

struct Described {
  std::string name;  // the file's
  Facts facts;
};

// A certificate, private key, revocation list, identity statement or index; or each of those in a folder.
// Errors: not_found (no such path, or nothing of ours in the folder), malformed and so on, naming the file.
[[nodiscard]] Result<std::vector<Described>> describe(const std::filesystem::path& path, WallTime now);

[[nodiscard]] std::string as_text(const std::vector<Described>& described);
[[nodiscard]] std::string as_json(const std::vector<Described>& described);
// One flat object.
[[nodiscard]] std::string as_json(const Facts& facts);
[[nodiscard]] std::string as_json(const Error& error);

}  // namespace chorus::certs::app
