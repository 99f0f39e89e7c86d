#include "client/api/errors.hpp"

namespace chorus {

std::string_view to_string(ClientErrorKind kind) noexcept {
  constexpr std::string_view kNames[] = {"usage", "input",   "storage", "busy",
                                         "trust", "network", "refused", "unsynced"};
  return kNames[static_cast<std::size_t>(kind) - 1];
}

namespace api {

ClientErrorKind kind_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return ClientErrorKind::usage;
    case ErrorCode::malformed:
    case ErrorCode::non_finite:
    case ErrorCode::too_large:
    case ErrorCode::duplicate:
      return ClientErrorKind::input;
    case ErrorCode::not_found:
    case ErrorCode::already_exists:
    case ErrorCode::unwritable:
    case ErrorCode::disk_full:
    case ErrorCode::corrupt:
    case ErrorCode::io:
      return ClientErrorKind::storage;
    case ErrorCode::round_in_use:
      return ClientErrorKind::busy;
    case ErrorCode::bad_certificate:
    case ErrorCode::expired:
    case ErrorCode::not_yet_valid:
    case ErrorCode::revoked:
    case ErrorCode::wrong_host:
    case ErrorCode::bad_identity:
    case ErrorCode::identity_too_young:
    case ErrorCode::duplicate_identity:
    case ErrorCode::bad_signature:
    case ErrorCode::bad_key:
      return ClientErrorKind::trust;
    case ErrorCode::unreachable:
    case ErrorCode::address_in_use:
    case ErrorCode::timeout:
    case ErrorCode::closed:
    case ErrorCode::tls:
    case ErrorCode::overloaded:
      return ClientErrorKind::network;
    default:
      return ClientErrorKind::refused;
  }
}

ClientError outward(const Error& error) {
  return {.kind = kind_of(error.code()),
          .code = std::string(to_string(error.code())),
          .sentence = error.sentence(),
          .where = error.where()};
}

}  // namespace api
}  // namespace chorus
