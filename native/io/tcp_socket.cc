#include "native/io/tcp_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace overlayd::io {
namespace {

// Waits behind SYN cookies; more would only be memory of the kernel's.
constexpr int kBacklog = 256;
constexpr int kNotSentBytes = 128 * 1024;
constexpr int kUserTimeoutMs = 30'000;

socklen_t Encode(const core::SourceAddress& address, sockaddr_storage* out) {
  *out = {};
  if (core::IsIpv4(address)) {
    auto* in4 = reinterpret_cast<sockaddr_in*>(out);
    in4->sin_family = AF_INET;
    in4->sin_port = htons(address.port);
    std::memcpy(&in4->sin_addr, address.ip.data() + 12, 4);
    return sizeof *in4;
  }
  auto* in6 = reinterpret_cast<sockaddr_in6*>(out);
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(address.port);
  std::memcpy(&in6->sin6_addr, address.ip.data(), 16);
  return sizeof *in6;
}

bool SetInt(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void Tune(int fd) {
  SetInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  SetInt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kNotSentBytes);
  SetInt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
}

}  // namespace

int ListenTcp(const std::string& address, uint16_t port, Fd* out, const char** step) {
  core::SourceAddress local;
  in_addr v4;
  in6_addr v6;
  *step = "parse address";
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    local = core::SourceFromIpv4(reinterpret_cast<const uint8_t*>(&v4), port);
  } else if (::inet_pton(AF_INET6, address.c_str(), &v6) == 1) {
    local = core::SourceFromIpv6(reinterpret_cast<const uint8_t*>(&v6), port);
  } else {
    return -EINVAL;
  }
  const bool is_ipv6 = !core::IsIpv4(local);
  *step = "socket";
  Fd fd(::socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) return -errno;
  // Connections of the process before wait in TIME_WAIT.
  SetInt(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (is_ipv6) SetInt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  sockaddr_storage to_bind;
  const socklen_t size = Encode(local, &to_bind);
  *step = "bind";
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&to_bind), size) != 0) return -errno;
  *step = "listen";
  if (::listen(fd.get(), kBacklog) != 0) return -errno;
  *out = std::move(fd);
  return 0;
}

int AcceptTcp(int listener, Fd* out, core::SourceAddress* remote) {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  Fd fd(
      ::accept4(listener, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.is_open()) return -errno;
  if (from.ss_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(from);
    *remote = core::SourceFromIpv6(reinterpret_cast<const uint8_t*>(&in6.sin6_addr),
                                   ntohs(in6.sin6_port));
  } else {
    const auto& in4 = reinterpret_cast<const sockaddr_in&>(from);
    *remote =
        core::SourceFromIpv4(reinterpret_cast<const uint8_t*>(&in4.sin_addr), ntohs(in4.sin_port));
  }
  Tune(fd.get());
  *out = std::move(fd);
  return 0;
}

int ConnectTcp(const core::SourceAddress& to, Fd* out) {
  const int family = core::IsIpv4(to) ? AF_INET : AF_INET6;
  Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) return -errno;
  Tune(fd.get());
  sockaddr_storage address;
  const socklen_t size = Encode(to, &address);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 &&
      errno != EINPROGRESS) {
    return -errno;
  }
  *out = std::move(fd);
  return 0;
}

int TcpError(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return -errno;
  return -error;
}

void ResetTcp(Fd fd) {
  const linger now{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd.Reset();
}

}  // namespace overlayd::io
