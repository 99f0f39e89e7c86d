// How a device comes by its identity and renews it.
#include "client/io/enrolment.hpp"

#include "client/api/device.hpp"

namespace chorus::api {
namespace {

EnrolReport report_of(const client::Enrolment& enrolment) {
  EnrolReport report;
  report.waiting = !enrolment.device;
  report.key = to_hex(enrolment.key);
  if (enrolment.device) {
    report.device = identity::to_string(*enrolment.device);
    report.expires = std::int64_t{enrolment.expires.time_since_epoch().count()};
  }
  return report;
}

// Runs `body` while no other process may sync or forget.
template <typename Body>
Result<EnrolReport> alone(Device& device, Body body) {
  if (device.options.credentials.empty()) {
    return fail(ErrorCode::invalid_argument, "no folder for the credentials is named");
  }
  CHORUS_TRY_DO(device.store->begin_session());
  const Result<client::Enrolment> made = body();
  device.store->end_session();
  if (!made) return fail(made.error());
  return report_of(*made);
}

}  // namespace

Result<EnrolReport> enrol(Device& device, const EnrolOptions& options) {
  return alone(device, [&] {
    return client::enrol(device.options.credentials, options.authority, options.invitation, wall_now(), *device.random);
  });
}

Result<EnrolReport> renew(Device& device) {
  return alone(device, [&] { return client::renew(device.options.credentials, wall_now()); });
}

}  // namespace chorus::api
