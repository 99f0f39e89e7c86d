#include "client/io/enrolment.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>

#include "client/io/credentials.hpp"
#include "client/store/store_file.hpp"
#include "common/crypto/hash.hpp"
#include "common/identity/certificate_request.hpp"
#include "common/identity/private_key_pem.hpp"
#include "common/net/enrolment_call.hpp"

namespace chorus::client {

namespace enrolment = protocol::enrolment;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kKeyFile = "device.key";
constexpr std::string_view kCertificateFile = "device.crt";
constexpr std::string_view kStatementFile = "identity.statement";
constexpr std::string_view kAuthorityFile = "authority.crt";
constexpr std::string_view kListFile = "crl.pem";
constexpr std::string_view kAddressFile = "enrolment.address";

std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The key that asks: a new one is durable before anybody hears of it, so that an answer that is lost, or a wait for an
// operator, is gone on with by the same key.
Result<crypto::SigningKey> key_for(const fs::path& folder, crypto::RandomSource& random) {
  CHORUS_TRY_DO(prepare_private_file(folder / kKeyFile));
  CHORUS_TRY(auto pem, read_private_file(folder / kKeyFile));
  if (pem && !pem->empty()) {
    auto known = identity::parse_private_key_pem(*pem);
    crypto::wipe(*pem);
    if (!known) return fail(known.error().at((folder / kKeyFile).string()));
    return known;
  }
  crypto::SigningKey key = crypto::SigningKey::generate(random);
  CHORUS_TRY_DO(replace_private_file(folder / kKeyFile, identity::private_key_pem(key), true));
  return key;
}

// What a folder's files will say.
struct Papers {
  identity::Certificate authority;
  identity::Certificate certificate;
  identity::RevocationList list;
  Bytes statement;
};

// Checked as a sync would check them: whole, of one authority, in force, and for this key.
Result<Papers> read_papers(const enrolment::Documents& documents, const crypto::SigningKey& key, WallTime now) {
  CHORUS_TRY(auto authority, identity::Certificate::from_der(documents.authority));
  CHORUS_TRY(auto certificate, identity::Certificate::from_der(documents.certificate));
  CHORUS_TRY(auto list, identity::RevocationList::from_der(documents.list));
  const std::string_view statement = text_of(documents.statement);
  const net::TlsCredentials whole{.certificate = certificate.pem(),
                                  .key = identity::private_key_pem(key),
                                  .authority = authority.pem(),
                                  .crl = list.pem(),
                                  .statement = std::string(statement)};
  CHORUS_TRY(const Credentials checked, make_credentials(whole, now));
  if (checked.membership->statement().id != certificate.info().device) {
    return fail(ErrorCode::bad_identity, "the statement and the certificate are not of one device");
  }
  return Papers{.authority = std::move(authority),
                .certificate = std::move(certificate),
                .list = std::move(list),
                .statement = documents.statement};
}

// The certificate last: a folder without one is not yet an identity. With the same key and authority, any mixture of
// old and new files is one, too.
Status write_papers(const fs::path& folder, const Papers& papers, std::string_view address) {
  const auto put = [&](std::string_view name, ByteView bytes) {
    return replace_private_file(folder / name, bytes, true);
  };
  CHORUS_TRY_DO(put(kAuthorityFile, as_bytes(papers.authority.pem())));
  CHORUS_TRY_DO(put(kListFile, as_bytes(papers.list.pem())));
  CHORUS_TRY_DO(put(kStatementFile, papers.statement));
  CHORUS_TRY_DO(put(kAddressFile, as_bytes(address)));
  return put(kCertificateFile, as_bytes(papers.certificate.pem()));
}

fs::path next_to(const fs::path& folder) {
  // "device/" and "device" are one folder.
  fs::path plain = folder.has_filename() ? folder : folder.parent_path();
  plain += ".next";
  return plain;
}

Status keep_successor(const fs::path& folder, const enrolment::Successor& successor, const crypto::SigningKey& key,
                      const identity::DeviceId& device, std::string_view address, WallTime now) {
  CHORUS_TRY(const Papers papers, read_papers(successor.documents, key, now));
  if (papers.certificate.info().device != device) {
    return fail(ErrorCode::bad_identity, "the next authority knows this device as another one");
  }
  const fs::path next = next_to(folder);
  CHORUS_TRY_DO(prepare_private_file(next / kKeyFile));
  CHORUS_TRY_DO(replace_private_file(next / kKeyFile, identity::private_key_pem(key), true));
  return write_papers(next, papers, successor.address.empty() ? address : std::string_view(successor.address));
}

// The identity in a folder, and where its authority's service is.
struct Present {
  crypto::SigningKey key;
  identity::Certificate certificate;
  identity::Certificate authority;
  std::string address;
  net::EnrolmentPlace place;
};

Result<Present> present_in(const fs::path& folder) {
  CHORUS_TRY(const auto address, read_private_file(folder / kAddressFile));
  if (!address) {
    return fail(ErrorCode::not_found,
                "this device was not enrolled by a service: who made its folder renews it (chorus-certs renew)",
                (folder / kAddressFile).string());
  }
  CHORUS_TRY(const auto documents, net::read_credentials(folder, "device"));
  CHORUS_TRY(auto key, identity::parse_private_key_pem(documents.key));
  CHORUS_TRY(auto certificate, identity::Certificate::from_pem(documents.certificate));
  CHORUS_TRY(auto authority, identity::Certificate::from_pem(documents.authority));
  if (certificate.info().key != key.public_key() || !certificate.info().device) {
    return fail(ErrorCode::bad_key, "the key does not belong to the certificate", folder.string());
  }
  std::string where(text_of(*address));
  CHORUS_TRY(auto place, net::parse_enrolment_place(where, crypto::sha256(authority.der())));
  return Present{.key = std::move(key),
                 .certificate = std::move(certificate),
                 .authority = std::move(authority),
                 .address = std::move(where),
                 .place = std::move(place)};
}

// A third of the time from `begin` to `end` is left, or less. A clock that went back before `begin` makes nothing due:
// what holds later than now is new enough.
bool runs_out(WallTime begin, WallTime end, WallTime now) {
  return now >= end - (end - begin) / 3;
}

}  // namespace

Result<Enrolment> enrol(const fs::path& folder, std::string_view address, std::string_view invitation, WallTime now,
                        crypto::RandomSource& random) {
  CHORUS_TRY(const enrolment::Invitation invited, enrolment::parse_invitation(invitation));
  CHORUS_TRY(const net::EnrolmentPlace place, net::parse_enrolment_place(address, invited.authority));
  std::error_code error;
  if (fs::exists(folder / kCertificateFile, error)) {
    return fail(ErrorCode::already_exists, "this folder holds an identity already; forget it first, or name another",
                folder.string());
  }
  CHORUS_TRY(const crypto::SigningKey key, key_for(folder, random));
  const auto ask = [&](const enrolment::Challenge&) -> Result<enrolment::Request> {
    // Parsed once more: a token is not copied, and is asked for once.
    CHORUS_TRY(enrolment::Invitation once, enrolment::parse_invitation(invitation));
    return enrolment::Request(
        enrolment::Enrol{.request = identity::make_certificate_request(key), .token = std::move(once.token)});
  };
  CHORUS_TRY(const net::EnrolmentAnswer answer, net::ask_authority(place, ask, now));
  Enrolment made{.key = key.public_key(), .device = {}, .expires = {}};
  if (std::holds_alternative<enrolment::Pending>(answer.answer)) return made;
  const auto* issued = std::get_if<enrolment::Issued>(&answer.answer);
  if (issued == nullptr) return fail(ErrorCode::malformed, "the authority answered something else than was asked");
  CHORUS_TRY(const Papers papers, read_papers(issued->documents, key, now));
  if (papers.authority != answer.authority) {
    return fail(ErrorCode::bad_identity, "the identity is another authority's than the invitation's");
  }
  made.device = papers.certificate.info().device;
  made.expires = papers.certificate.info().validity.not_after;
  if (issued->successor) {
    CHORUS_TRY_DO(keep_successor(folder, *issued->successor, key, *made.device, address, now));
  }
  CHORUS_TRY_DO(write_papers(folder, papers, address));
  return made;
}

Result<Enrolment> renew(const fs::path& folder, WallTime now) {
  CHORUS_TRY(const Present present, present_in(folder));
  const auto ask = [&](const enrolment::Challenge& challenge) -> Result<enrolment::Request> {
    enrolment::Renew request{.serial = present.certificate.info().serial,
                             .request = identity::make_certificate_request(present.key)};
    request.proof = present.key.sign(enrolment::kRenewalLabel,
                                     enrolment::renewal_bytes(challenge, present.place.authority, request));
    return enrolment::Request(std::move(request));
  };
  CHORUS_TRY(const net::EnrolmentAnswer answer, net::ask_authority(present.place, ask, now));
  const auto* issued = std::get_if<enrolment::Issued>(&answer.answer);
  if (issued == nullptr) return fail(ErrorCode::malformed, "the authority answered something else than was asked");
  CHORUS_TRY(const Papers papers, read_papers(issued->documents, present.key, now));
  if (papers.authority != present.authority || papers.certificate.info().device != present.certificate.info().device) {
    return fail(ErrorCode::bad_identity, "the renewed identity is another device's, or another authority's");
  }
  const identity::DeviceId device = *papers.certificate.info().device;
  if (issued->successor) {
    CHORUS_TRY_DO(keep_successor(folder, *issued->successor, present.key, device, present.address, now));
  }
  CHORUS_TRY_DO(write_papers(folder, papers, present.address));
  return Enrolment{
      .key = present.key.public_key(), .device = device, .expires = papers.certificate.info().validity.not_after};
}

bool was_enrolled_by_service(const fs::path& folder) {
  const auto address = read_private_file(folder / kAddressFile);
  return address && *address;
}

bool is_renewal_due(const fs::path& folder, WallTime now) {
  if (!was_enrolled_by_service(folder)) return false;
  const auto documents = net::read_credentials(folder, "device");
  if (!documents) return false;
  const auto certificate = identity::Certificate::from_pem(documents->certificate);
  const auto list = identity::RevocationList::from_pem(documents->crl);
  if (!certificate || !list) return false;
  const identity::Validity& validity = certificate->info().validity;
  return runs_out(validity.not_before, validity.not_after, now) ||
         runs_out(list->this_update(), list->next_update(), now);
}

Status resign(const fs::path& folder, WallTime now) {
  CHORUS_TRY(const Present present, present_in(folder));
  const auto ask = [&](const enrolment::Challenge& challenge) -> Result<enrolment::Request> {
    enrolment::Resign request{.serial = present.certificate.info().serial};
    request.proof = present.key.sign(enrolment::kResignationLabel,
                                     enrolment::resignation_bytes(challenge, present.place.authority, request));
    return enrolment::Request(request);
  };
  CHORUS_TRY(const net::EnrolmentAnswer answer, net::ask_authority(present.place, ask, now));
  if (std::holds_alternative<enrolment::Resigned>(answer.answer)) return {};
  return fail(ErrorCode::malformed, "the authority answered something else than was asked");
}

std::optional<fs::path> successor_of(const fs::path& folder) {
  fs::path next = next_to(folder);
  std::error_code error;
  if (!fs::exists(next / kCertificateFile, error)) return std::nullopt;
  return next;
}

Status adopt_successor(const fs::path& folder) {
  const auto next = successor_of(folder);
  if (!next) return fail(ErrorCode::not_found, "there is no identity under another authority", folder.string());
  const fs::path plain = folder.has_filename() ? folder : folder.parent_path();
  // In one step (Linux): at any time the folder holds all of the one or all of the other.
  if (::renameat2(AT_FDCWD, next->c_str(), AT_FDCWD, plain.c_str(), RENAME_EXCHANGE) != 0) {
    return fail(ErrorCode::io,
                fmt::format("cannot put the next identity in its place: {}", std::generic_category().message(errno)),
                folder.string());
  }
  std::error_code ignored;  // what is left is of the authority that went, with the key that is still in use
  fs::remove_all(*next, ignored);
  return {};
}

}  // namespace chorus::client
