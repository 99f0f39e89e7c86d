// How OpenSSL reaches a socket: recv and send that never block and never raise SIGPIPE (OpenSSL's own socket BIO calls
// write(2), which does). For the .cpp files of net alone.
#pragma once

#include "common/crypto/openssl_handles.hpp"

namespace chorus::net {

struct SocketEnd {
  int descriptor = -1;  // -1: closed, every call fails
  int error = 0;        // errno of the last failure that was not "try again"
  bool ended = false;   // the peer sent its last byte
};

// REQUIRES: `end` outlives the BIO.
[[nodiscard]] crypto::BioHandle make_socket_bio(SocketEnd& end);

}  // namespace chorus::net
