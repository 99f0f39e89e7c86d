// The subcommands about enrolment by the network.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "certs/app/commands.hpp"
#include "certs/authority/date_text.hpp"
#include "certs/io/enrolment_service.hpp"
#include "certs/io/files.hpp"
#include "certs/io/folder_files.hpp"
#include "common/crypto/hash.hpp"
#include "common/net/enrolment_call.hpp"

namespace chorus::certs::app {

namespace {

// One key of those that wait begins with these digits. Errors: not_found, invalid_argument.
Result<crypto::PublicKey> waiting_key(const EnrolmentDesk& desk, std::string_view digits) {
  std::string wanted(digits);
  std::erase(wanted, ' ');  // as chorus-client prints it
  std::vector<crypto::PublicKey> found;
  for (const RequestRecord& request : desk.requests()) {
    if (request.state == RequestRecord::State::waiting && to_hex(request.key).starts_with(wanted)) {
      found.push_back(request.key);
    }
  }
  if (wanted.empty() || found.empty()) {
    return fail(ErrorCode::not_found, "no device with this key waits; `chorus-certs requests` lists those that do",
                std::string(digits));
  }
  if (found.size() > 1) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} keys begin so: give more digits", found.size()),
                std::string(digits));
  }
  return found.front();
}

}  // namespace

Result<Outcome> Commands::serve() {
  CHORUS_TRY(Authority authority, open());
  std::optional<Authority> successor;
  if (options_.successor) {
    CHORUS_TRY(successor, open(*options_.successor));
  }
  ServiceSettings settings{.listen = options_.listen, .port = options_.port, .hosts = options_.hosts, .office = {}};
  settings.office.lifetime = days(kEnrolledLifetime);
  settings.office.successor_address = options_.successor_address;
  settings.office.without_invitation = options_.without_invitation;
  CHORUS_TRY(const auto service,
             EnrolmentService::create(std::move(settings), authority, successor ? &*successor : nullptr, *random_));
  if (options_.address_file) {
    CHORUS_TRY_DO(replace_file(*options_.address_file, as_bytes(service->address() + "\n"), kPublicFile));
  }
  service->run();
  return Outcome{.json = as_json(Facts{{"stopped", service->address()}}), .text = ""};
}

Result<Outcome> Commands::invite() {
  CHORUS_TRY(Authority authority, open());
  protocol::enrolment::Invitation invitation{.authority = crypto::sha256(authority.certificate().der())};
  const std::chrono::seconds lifetime =
      options_.hours ? std::chrono::seconds(std::chrono::hours(*options_.hours)) : kInvitationLifetime;
  if (!options_.ask) {
    CHORUS_TRY(invitation, authority.invite(now_, lifetime));
  }
  const auto text = protocol::enrolment::to_text(invitation);
  const std::string shown(text.data(), text.size());
  if (options_.ask) {
    return Outcome{
        .json = as_json(Facts{{"invitation", shown}}),
        .text = shown + "\n",
        .note =
            "Whoever has this may ask, while `serve --without-invitation` runs; `chorus-certs requests` shows "
            "them to you.\n"};
  }
  const std::string number = to_hex(invitation.token->number);
  return Outcome{
      .json = as_json(Facts{{"invitation", shown}, {"number", number}, {"ends", date_text(now_ + lifetime)}}),
      .text = shown + "\n",
      .note = fmt::format("Whoever has this enrols one device, once, until {}. Give it to one person by a "
                          "way that others do not read.\nTo take it back: chorus-certs withdraw {}\n",
                          date_text(now_ + lifetime), number)};
}

Result<Outcome> Commands::withdraw() {
  ByteArray<8> number{};
  if (!from_hex_into(options_.subject, number)) {
    return fail(ErrorCode::invalid_argument, "the number of an invitation is 16 hexadecimal digits", options_.subject);
  }
  CHORUS_TRY(Authority authority, open());
  CHORUS_TRY_DO(authority.withdraw(number));
  return Outcome{.json = as_json(Facts{{"withdrawn", options_.subject}}),
                 .text = "Withdrawn: nobody enrols with it.\n"};
}

Result<Outcome> Commands::requests() {
  CHORUS_TRY(Authority authority, open());
  CHORUS_TRY(const EnrolmentDesk desk, authority.enrolments());
  std::vector<std::string> keys;
  std::string text;
  for (const RequestRecord& request : desk.requests()) {
    if (request.state != RequestRecord::State::waiting || now_ >= request.ends) continue;
    keys.push_back(to_hex(request.key));
    text += fmt::format("{}  asked {}\n", keys.back(), date_text(request.asked));
  }
  if (keys.empty()) text = "Nobody waits.\n";
  return Outcome{.json = as_json(Facts{{"waiting", keys}}), .text = text};
}

Result<Outcome> Commands::decide(bool approve) {
  CHORUS_TRY(Authority authority, open());
  CHORUS_TRY(const EnrolmentDesk desk, authority.enrolments());
  CHORUS_TRY(const crypto::PublicKey key, waiting_key(desk, options_.key));
  CHORUS_TRY_DO(authority.decide(key, approve, now_));
  return Outcome{.json = as_json(Facts{{approve ? "approved" : "declined", to_hex(key)}}),
                 .text = fmt::format("{} {}.{}\n", approve ? "Approved" : "Declined", to_hex(key),
                                     approve ? " It is enrolled when it asks again." : "")};
}

Result<Outcome> Commands::approve() {
  return decide(true);
}

Result<Outcome> Commands::decline() {
  return decide(false);
}

Result<Outcome> Commands::succeed() {
  CHORUS_TRY(const Authority authority, open());
  CHORUS_TRY(const auto secret, passphrase());
  const std::filesystem::path folder = out_or("./authority-next");
  CHORUS_TRY(const Authority next, authority.found_successor(folder, now_, days(kAuthorityLifetime),
                                                             secret ? std::optional<ByteView>(*secret) : std::nullopt));
  Outcome outcome = describe_folder({next.certificate().info(), folder});
  outcome.text += fmt::format(
      "\nBack it up, then let devices come by its word for them, for as long as they need to renew:\n"
      "  chorus-certs serve --authority {} --successor {} ...\n"
      "certs/README.md, \"When the authority itself is replaced\", says how to go on.\n",
      options_.authority.string(), folder.string());
  return outcome;
}

// For the coordinator's machine: it has no authority, only a folder with its certificate.
Result<Outcome> Commands::fetch() {
  if (!options_.out) return fail(ErrorCode::invalid_argument, "--out says whose folder gets the list", "--out");
  CHORUS_TRY(const identity::Certificate authority, read_certificate(*options_.out / kAuthorityCertificateFile));
  CHORUS_TRY(const identity::RevocationList held, read_revocation_list(*options_.out / kListFile));
  CHORUS_TRY(const auto place, net::parse_enrolment_place(options_.from, crypto::sha256(authority.der())));
  const auto ask = [](const protocol::enrolment::Challenge&) -> Result<protocol::enrolment::Request> {
    return protocol::enrolment::Request(protocol::enrolment::FetchList{});
  };
  CHORUS_TRY(const net::EnrolmentAnswer answer, net::ask_authority(place, ask, now_));
  if (answer.list.number() < held.number()) {
    return fail(ErrorCode::stale_round,
                fmt::format("the authority's list {} is older than list {}, which is here", answer.list.number(),
                            held.number()),
                options_.from);
  }
  return install_and_describe(answer.list, {});
}

}  // namespace chorus::certs::app
