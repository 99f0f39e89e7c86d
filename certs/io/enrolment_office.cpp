#include "certs/io/enrolment_office.hpp"

#include <utility>

#include <fmt/format.h>

#include "common/crypto/hash.hpp"
#include "common/identity/certificate_request.hpp"
#include "common/log/log.hpp"

namespace chorus::certs {

namespace enrolment = protocol::enrolment;
using enrolment::Answer;
using enrolment::Challenge;

namespace {

// What the asker may know. Anything else went wrong on this machine, and is the operator's to read.
bool is_the_askers(ErrorCode code) {
  switch (code) {
    case ErrorCode::malformed:
    case ErrorCode::too_large:
    case ErrorCode::bad_key:
    case ErrorCode::bad_signature:
    case ErrorCode::bad_identity:
    case ErrorCode::not_found:
    case ErrorCode::revoked:
    case ErrorCode::expired:
    case ErrorCode::overloaded:
      return true;
    default:
      return false;
  }
}

std::string_view kind_of(const enrolment::Request& request) {
  constexpr std::string_view kNames[] = {"list", "enrolment", "renewal", "resignation"};
  return kNames[request.index()];
}

}  // namespace

EnrolmentOffice::EnrolmentOffice(Authority& authority, Authority* successor, OfficeSettings settings)
    : authority_(authority),
      successor_(successor),
      settings_(std::move(settings)),
      fingerprint_(crypto::sha256(authority.certificate().der())) {}

Answer EnrolmentOffice::answer(const enrolment::Request& request, const Challenge& challenge, WallTime now) {
  auto answered = std::visit([&](const auto& asked) { return on(asked, challenge, now); }, request);
  if (answered) return *std::move(answered);
  const Error& error = answered.error();
  if (!is_the_askers(error.code())) {
    log::error("cannot answer", {{"request", kind_of(request)}, {"reason", error.to_string()}});
    return enrolment::Refused{.code = ErrorCode::aborted, .sentence = "the authority cannot answer now; try later"};
  }
  log::info("refused", {{"request", kind_of(request)}, {"reason", to_string(error.code())}});
  return enrolment::Refused{.code = error.code(), .sentence = error.sentence()};
}

EnrolmentOffice::Answered EnrolmentOffice::on(const enrolment::FetchList&, const Challenge&, WallTime) {
  CHORUS_TRY(const identity::RevocationList list, authority_.revocation_list());
  return enrolment::List{.list = list.der()};
}

EnrolmentOffice::Answered EnrolmentOffice::on(const enrolment::Enrol& enrol, const Challenge&, WallTime now) {
  CHORUS_TRY(const crypto::PublicKey key, identity::read_certificate_request(enrol.request));
  if (!enrol.token && !settings_.without_invitation) {
    return fail(ErrorCode::bad_identity, "this authority enrols by invitations with a token alone");
  }
  CHORUS_TRY(auto admitted, authority_.admit(key, enrol.token, now, settings_.lifetime));
  if (!admitted) {
    log::info("a device waits for an operator");
    return enrolment::Pending{};
  }
  log::info("enrolled", {{"by", enrol.token ? "an invitation" : "an operator"}});
  return issued(*std::move(admitted), now);
}

EnrolmentOffice::Answered EnrolmentOffice::on(const enrolment::Renew& renew, const Challenge& challenge, WallTime now) {
  CHORUS_TRY(const crypto::PublicKey key, identity::read_certificate_request(renew.request));
  CHORUS_TRY(const EnrolledDevice device, authority_.renewable(renew.serial, now));
  if (key != device.key) {
    return fail(ErrorCode::bad_key, "a renewal is for the key that is certified; for another one, enrol anew");
  }
  CHORUS_TRY_DO(crypto::verify(device.key, enrolment::kRenewalLabel,
                               enrolment::renewal_bytes(challenge, fingerprint_, renew), renew.proof));
  CHORUS_TRY(DeviceDocuments vouched, authority_.vouch_again(device, now, settings_.lifetime));
  log::info("renewed");
  return issued(std::move(vouched), now);
}

EnrolmentOffice::Answered EnrolmentOffice::on(const enrolment::Resign& resign, const Challenge& challenge,
                                              WallTime now) {
  CHORUS_TRY(const EnrolledDevice device, authority_.renewable(resign.serial, now));
  CHORUS_TRY_DO(crypto::verify(device.key, enrolment::kResignationLabel,
                               enrolment::resignation_bytes(challenge, fingerprint_, resign), resign.proof));
  CHORUS_TRY(const Revocation revocation, authority_.revoke_device(device.id, now));
  if (successor_ != nullptr) {
    const auto there = successor_->revoke_device(device.id, now);
    // It never had one from there, or was revoked by hand.
    const bool gone =
        there || there.error().code() == ErrorCode::not_found || there.error().code() == ErrorCode::revoked;
    if (!gone) return fail(there.error());
  }
  log::info("a device left");
  return enrolment::Resigned{.list = revocation.list.der()};
}

EnrolmentOffice::Answered EnrolmentOffice::issued(DeviceDocuments vouched, WallTime now) {
  enrolment::Issued issued{.documents = std::move(vouched.documents)};
  if (successor_ != nullptr) {
    CHORUS_TRY(DeviceDocuments there, successor_->vouch_again(vouched.device, now, settings_.lifetime));
    issued.successor =
        enrolment::Successor{.documents = std::move(there.documents), .address = settings_.successor_address};
  }
  return issued;
}

}  // namespace chorus::certs
