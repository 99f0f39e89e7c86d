#include "common/net/socket_bio.hpp"

#include <cerrno>

#include <sys/socket.h>

#include "common/base/check.hpp"

namespace chorus::net {

namespace {

SocketEnd& end_of(BIO* bio) {
  return *static_cast<SocketEnd*>(BIO_get_data(bio));
}

// What recv or send returned, as a BIO reports it: 1 if bytes were moved, 0 if not; `retry` if they may be later.
int report(BIO* bio, ssize_t moved, std::size_t* count, void (*retry)(BIO*)) {
  const int error = errno;
  BIO_clear_retry_flags(bio);
  *count = moved > 0 ? static_cast<std::size_t>(moved) : 0;
  if (moved > 0) return 1;
  if (moved < 0) {
    if (error == EAGAIN || error == EINTR) {
      retry(bio);
    } else {
      end_of(bio).error = error;
    }
  }
  return 0;
}

int read_socket(BIO* bio, char* data, std::size_t size, std::size_t* count) {
  SocketEnd& end = end_of(bio);
  const ssize_t moved = ::recv(end.descriptor, data, size, MSG_DONTWAIT);
  if (moved == 0) end.ended = true;
  return report(bio, moved, count, [](BIO* b) { BIO_set_retry_read(b); });
}

int write_socket(BIO* bio, const char* data, std::size_t size, std::size_t* count) {
  const ssize_t moved = ::send(end_of(bio).descriptor, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  return report(bio, moved, count, [](BIO* b) { BIO_set_retry_write(b); });
}

long control(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_EOF:
      return end_of(bio).ended ? 1 : 0;
    case BIO_CTRL_FLUSH:
      return 1;
    default:
      return 0;
  }
}

struct Method {
  crypto::OpensslHandle<BIO_METHOD, &BIO_meth_free> method{
      BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without signals")};
  Method() {
    CHORUS_ENSURE(method != nullptr && BIO_meth_set_read_ex(method.get(), &read_socket) == 1 &&
                      BIO_meth_set_write_ex(method.get(), &write_socket) == 1 &&
                      BIO_meth_set_ctrl(method.get(), &control) == 1,
                  "a BIO method is made");
  }
};

}  // namespace

crypto::BioHandle make_socket_bio(SocketEnd& end) {
  static const Method method;
  crypto::BioHandle bio(BIO_new(method.method.get()));
  CHORUS_ENSURE(bio != nullptr, "a BIO is allocated");
  BIO_set_data(bio.get(), &end);
  BIO_set_init(bio.get(), 1);
  return bio;
}

}  // namespace chorus::net
