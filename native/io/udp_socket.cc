#include "native/io/udp_socket.h"

#include <arpa/inet.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

namespace overlayd::io {
namespace {

// Holds a few bandwidth-delay products; forced past rmem_max, which is made for small programs.
constexpr int kSocketBufferBytes = 8 * 1024 * 1024;

struct Sockaddr {
  sockaddr_storage storage;
  socklen_t size;
};

void ToSockaddr(const core::SourceAddress& address, bool is_ipv6_socket, Sockaddr* out) {
  std::memset(&out->storage, 0, sizeof(sockaddr_in6));
  if (is_ipv6_socket) {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&out->storage);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(address.port);
    std::memcpy(&in6->sin6_addr, address.ip.data(), 16);
    out->size = sizeof(sockaddr_in6);
  } else {
    auto* in4 = reinterpret_cast<sockaddr_in*>(&out->storage);
    in4->sin_family = AF_INET;
    in4->sin_port = htons(address.port);
    std::memcpy(&in4->sin_addr, address.ip.data() + 12, 4);
    out->size = sizeof(sockaddr_in);
  }
}

core::SourceAddress FromSockaddr(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
    return core::SourceFromIpv6(reinterpret_cast<const uint8_t*>(&in6.sin6_addr),
                                ntohs(in6.sin6_port));
  }
  const auto& in4 = reinterpret_cast<const sockaddr_in&>(storage);
  return core::SourceFromIpv4(reinterpret_cast<const uint8_t*>(&in4.sin_addr), ntohs(in4.sin_port));
}

class KernelUdpSocket final : public UdpSocket {
 public:
  KernelUdpSocket(Fd fd, bool is_ipv6, bool has_gso, bool has_gro)
      : fd_(std::move(fd)), is_ipv6_(is_ipv6), has_gso_(has_gso), has_gro_(has_gro) {}

  int Send(const OutTrain* trains, size_t count) override {
    count = std::min(count, kMaxBatch);
    for (size_t i = 0; i < count; ++i) {
      Address(trains[i], &send_messages_[i].msg_hdr, &send_[i]);
    }
    if (count == 1) {
      const ssize_t sent = ::sendmsg(fd_.get(), &send_messages_[0].msg_hdr, MSG_DONTWAIT);
      return sent < 0 ? -errno : 1;
    }
    const int sent =
        ::sendmmsg(fd_.get(), send_messages_, static_cast<unsigned>(count), MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
  }

  int SendTrain(const OutTrain& train) override {
    msghdr message;
    SendSlot slot;
    Address(train, &message, &slot);
    return ::sendmsg(fd_.get(), &message, MSG_DONTWAIT) < 0 ? -errno : 0;
  }

  int SendOne(const uint8_t* data, size_t size, const core::SourceAddress& to) override {
    Sockaddr address;
    ToSockaddr(to, is_ipv6_, &address);
    const ssize_t sent = ::sendto(fd_.get(), data, size, MSG_DONTWAIT,
                                  reinterpret_cast<sockaddr*>(&address.storage), address.size);
    return sent < 0 ? -errno : 0;
  }

  int Receive(InTrain* trains, size_t count) override {
    count = std::min(count, kMaxBatch);
    for (size_t i = 0; i < count; ++i) {
      receive_[i].part = {trains[i].data, trains[i].size};
      msghdr& message = receive_messages_[i].msg_hdr;
      message.msg_name = &receive_[i].from;
      message.msg_namelen = sizeof receive_[i].from;
      message.msg_iov = &receive_[i].part;
      message.msg_iovlen = 1;
      message.msg_control = receive_[i].control;
      message.msg_controllen = sizeof receive_[i].control;
      message.msg_flags = 0;
    }
    const int got = ::recvmmsg(fd_.get(), receive_messages_, static_cast<unsigned>(count),
                               MSG_DONTWAIT, nullptr);
    if (got < 0) return -errno;
    for (int i = 0; i < got; ++i) Describe(receive_messages_[i], receive_[i], &trains[i]);
    return got;
  }

  [[nodiscard]] int fd() const override { return fd_.get(); }
  [[nodiscard]] bool IsForIpv6() const override { return is_ipv6_; }
  [[nodiscard]] bool has_gso() const override { return has_gso_; }
  [[nodiscard]] bool has_gro() const override { return has_gro_; }

  uint32_t TakeOverflows() override {
    const uint32_t taken = overflows_ - overflows_taken_;
    overflows_taken_ = overflows_;
    return taken;
  }

 private:
  struct SendSlot {
    Sockaddr address;
    alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))];
  };
  struct ReceiveSlot {
    sockaddr_storage from;
    iovec part;
    alignas(cmsghdr) uint8_t control[2 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t))];
  };

  void Address(const OutTrain& train, msghdr* message, SendSlot* slot) const {
    ToSockaddr(train.to, is_ipv6_, &slot->address);
    *message = {};
    message->msg_name = &slot->address.storage;
    message->msg_namelen = slot->address.size;
    message->msg_iov = const_cast<iovec*>(train.parts);
    message->msg_iovlen = train.part_count;
    if (train.count > 1) {
      AddControl(message, slot->control, SOL_UDP, UDP_SEGMENT, static_cast<uint16_t>(train.stride));
    }
    if (train.ecn != 0) {
      AddControl(message, slot->control, is_ipv6_ ? IPPROTO_IPV6 : IPPROTO_IP,
                 is_ipv6_ ? IPV6_TCLASS : IP_TOS, static_cast<int>(train.ecn));
    }
  }

  /// Appends a control message; `room` is the buffer all of one message share.
  template <typename Value>
  static void AddControl(msghdr* message, uint8_t* room, int level, int type, Value value) {
    auto* control = reinterpret_cast<cmsghdr*>(room + message->msg_controllen);
    message->msg_control = room;
    message->msg_controllen += CMSG_SPACE(sizeof value);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(control), &value, sizeof value);
  }

  void Describe(const mmsghdr& message, const ReceiveSlot& slot, InTrain* train) {
    train->size = message.msg_len;
    train->stride = message.msg_len;
    train->is_truncated = (message.msg_hdr.msg_flags & MSG_TRUNC) != 0;
    train->from = FromSockaddr(slot.from);
    train->ecn = 0;
    auto* header = const_cast<msghdr*>(&message.msg_hdr);
    for (cmsghdr* c = CMSG_FIRSTHDR(header); c != nullptr; c = CMSG_NXTHDR(header, c)) {
      if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
        int stride;
        std::memcpy(&stride, CMSG_DATA(c), sizeof stride);
        if (stride > 0) train->stride = static_cast<size_t>(stride);
      } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
        std::memcpy(&overflows_, CMSG_DATA(c), sizeof overflows_);
      } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
        train->ecn = *CMSG_DATA(c) & 3;  // one byte
      } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
        int traffic_class;
        std::memcpy(&traffic_class, CMSG_DATA(c), sizeof traffic_class);
        train->ecn = static_cast<uint8_t>(traffic_class & 3);
      }
    }
  }

  Fd fd_;
  bool is_ipv6_;
  bool has_gso_;
  bool has_gro_;
  uint32_t overflows_ = 0;
  uint32_t overflows_taken_ = 0;
  mmsghdr send_messages_[kMaxBatch]{};
  mmsghdr receive_messages_[kMaxBatch]{};
  SendSlot send_[kMaxBatch];
  ReceiveSlot receive_[kMaxBatch];
};

void ForceBuffer(int fd, int force_option, int option, int bytes) {
  if (::setsockopt(fd, SOL_SOCKET, force_option, &bytes, sizeof bytes) == 0) return;
  ::setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);  // best effort
}

bool SetInt(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

}  // namespace

int OpenUdp(const std::string& address, uint16_t* port, const UdpOptions& options,
            std::unique_ptr<UdpSocket>* out, const char** step) {
  core::SourceAddress local;
  in_addr v4;
  in6_addr v6;
  bool is_ipv6 = false;
  *step = "parse address";
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    local = core::SourceFromIpv4(reinterpret_cast<const uint8_t*>(&v4), *port);
  } else if (::inet_pton(AF_INET6, address.c_str(), &v6) == 1) {
    local = core::SourceFromIpv6(reinterpret_cast<const uint8_t*>(&v6), *port);
    is_ipv6 = true;
  } else {
    return -EINVAL;
  }

  *step = "socket";
  Fd fd(::socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) return -errno;
  if (is_ipv6) {
    *step = "IPV6_V6ONLY";
    if (!SetInt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1)) return -errno;
  }
  if (options.joins_port) {
    *step = "SO_REUSEPORT";
    if (!SetInt(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) return -errno;
  }
  // DF on every datagram, whatever the kernel's cached PMTU says: sizes are found by probing (RFC 8899, docs §8).
  *step = "IP_MTU_DISCOVER";
  const bool has_df = is_ipv6
                          ? SetInt(fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
                          : SetInt(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  if (!has_df) return -errno;
  ForceBuffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF,
              options.buffer_bytes != 0 ? options.buffer_bytes : kSocketBufferBytes);
  ForceBuffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF, kSocketBufferBytes);
  SetInt(fd.get(), SOL_SOCKET, SO_RXQ_OVFL, 1);
  // Congestion marks of routers on the way; without them they are lost, as in most tunnels.
  SetInt(fd.get(), is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, is_ipv6 ? IPV6_RECVTCLASS : IP_RECVTOS, 1);
  const bool has_gro = options.may_use_gro && SetInt(fd.get(), SOL_UDP, UDP_GRO, 1);
  int segment = 0;
  socklen_t segment_size = sizeof segment;
  const bool has_gso = options.may_use_gso &&
                       ::getsockopt(fd.get(), SOL_UDP, UDP_SEGMENT, &segment, &segment_size) == 0;

  *step = "bind";
  Sockaddr to_bind;
  ToSockaddr(local, is_ipv6, &to_bind);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&to_bind.storage), to_bind.size) != 0) {
    return -errno;
  }
  // Only from now on: the first one learns whether somebody has the port, the others join it.
  if (!options.joins_port) SetInt(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  sockaddr_storage bound{};
  socklen_t bound_size = sizeof bound;
  *step = "getsockname";
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &bound_size) != 0) return -errno;
  *port = FromSockaddr(bound).port;
  *out = std::make_unique<KernelUdpSocket>(std::move(fd), is_ipv6, has_gso, has_gro);
  return 0;
}

}  // namespace overlayd::io
