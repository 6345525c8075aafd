#include "native/os/bound_socket.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace overlayd::os {
namespace {

/// Length of the address, or 0 when the text is none.
socklen_t ParseAddress(const char* text, uint16_t port, unsigned device, sockaddr_storage& to) {
  std::memset(&to, 0, sizeof to);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&to);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return sizeof *v4;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&to);
  if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) return 0;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) v6->sin6_scope_id = device;
  return sizeof *v6;
}

int Prepare(int fd, bool is_stream, const char* device, const sockaddr_storage& address,
            socklen_t length) {
  const int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
                 static_cast<socklen_t>(std::strlen(device))) != 0) {
    return -errno;
  }
  if (address.ss_family == AF_INET6 &&
      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) {
    return -errno;
  }
  // Of TCP this lets connections of an earlier process end; of UDP it would let others in.
  if (is_stream && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return -errno;
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0 ? 0 : -errno;
}

}  // namespace

int OpenBoundSocket(bool is_stream, const char* device, const char* address, uint16_t port) {
  const unsigned index = if_nametoindex(device);
  if (index == 0) return -errno;
  sockaddr_storage to;
  const socklen_t length = ParseAddress(address, port, index, to);
  if (length == 0) return -EINVAL;
  const int type = (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const int fd = socket(to.ss_family, type, 0);
  if (fd < 0) return -errno;
  const int result = Prepare(fd, is_stream, device, to, length);
  if (result == 0) return fd;
  close(fd);
  return result;
}

}  // namespace overlayd::os
