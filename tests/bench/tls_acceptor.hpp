// The baseline of what TLS connections cost a server: one thread, epoll and OpenSSL, and nothing around them.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/result.hpp"
#include "common/net/tls_context.hpp"

namespace chorus::bench {

// Accepts connections on a free port of 127.0.0.1, which it prints on standard output ("port N"), verifies the peer,
// and writes `greeting` to each; keeps a connection until the peer closes it. What a peer sends is read and thrown
// away: uploads, each after its length (8 bytes, little-endian), and `greeting` again when one is complete. Serves
// until the process is ended. Errors: io.
[[nodiscard]] Status accept_tls(const net::TlsContext& context, ByteView greeting);

}  // namespace chorus::bench
