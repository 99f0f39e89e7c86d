// What the enrolment service answers to a request: the decisions, apart from connections. It asks the authority's
// folder each time, so that an operator's commands take effect at once.
#pragma once

#include <optional>
#include <string>

#include "certs/io/authority.hpp"
#include "common/base/result.hpp"
#include "common/base/time.hpp"
#include "common/protocol/enrolment.hpp"

namespace chorus::certs {

struct OfficeSettings {
  Days lifetime = kEnrolledLifetime;  // of what it issues. Raise it for devices that are away for longer.
  // Lets keys without an invitation wait for an operator. Anybody can ask, and a thousand may wait: open it where
  // people are known, and for as long as you look at them.
  bool without_invitation = false;
  // Where the successor's own service listens; empty: where this one does.
  std::string successor_address;
};

// Not thread-safe.
class EnrolmentOffice {
 public:
  // Both outlive it; `successor` is null unless this authority is being followed by another.
  EnrolmentOffice(Authority& authority, Authority* successor, OfficeSettings settings);

  // Refused is an answer, too. `challenge` is the connection's.
  [[nodiscard]] protocol::enrolment::Answer answer(const protocol::enrolment::Request& request,
                                                   const protocol::enrolment::Challenge& challenge, WallTime now);

 private:
  using Answered = Result<protocol::enrolment::Answer>;
  [[nodiscard]] Answered on(const protocol::enrolment::FetchList& fetch,
                            const protocol::enrolment::Challenge& challenge, WallTime now);
  [[nodiscard]] Answered on(const protocol::enrolment::Enrol& enrol, const protocol::enrolment::Challenge& challenge,
                            WallTime now);
  [[nodiscard]] Answered on(const protocol::enrolment::Renew& renew, const protocol::enrolment::Challenge& challenge,
                            WallTime now);
  [[nodiscard]] Answered on(const protocol::enrolment::Resign& resign, const protocol::enrolment::Challenge& challenge,
                            WallTime now);
  // Adds what the successor says of the same device.
  [[nodiscard]] Answered issued(DeviceDocuments vouched, WallTime now);

  Authority& authority_;
  Authority* successor_;
  OfficeSettings settings_;
  Digest fingerprint_;
};

}  // namespace chorus::certs
