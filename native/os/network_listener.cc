#include "native/os/network_listener.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace overlayd::os {
namespace {

constexpr int kDatagramsAtOnce = 64;
constexpr size_t kDatagramBytes = 32 * 1024;

/// The header of a message, or nothing when its content is shorter than that.
template <typename Header>
const Header* HeaderOf(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(Header))) return nullptr;
  return static_cast<const Header*>(NLMSG_DATA(&message));
}

/// The first attribute of that type behind a header of `header_bytes`.
const rtattr* FindAttribute(const nlmsghdr& message, size_t header_bytes, uint16_t type) {
  const auto* base = reinterpret_cast<const uint8_t*>(&message);
  const size_t end = message.nlmsg_len;
  size_t at = NLMSG_LENGTH(NLMSG_ALIGN(header_bytes));
  while (at + sizeof(rtattr) <= end) {
    const auto* attribute = reinterpret_cast<const rtattr*>(base + at);
    if (attribute->rta_len < sizeof(rtattr) || at + attribute->rta_len > end) return nullptr;
    if (attribute->rta_type == type) return attribute;
    at += RTA_ALIGN(attribute->rta_len);
  }
  return nullptr;
}

}  // namespace

NetworkListener::~NetworkListener() {
  if (fd_ >= 0) close(fd_);
}

int NetworkListener::Open() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return -errno;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int number = errno;
    close(fd);
    return -number;
  }
  fd_ = fd;
  return 0;
}

bool NetworkListener::Drain() {
  alignas(nlmsghdr) std::array<uint8_t, kDatagramBytes> buffer;
  bool is_relevant = false;
  for (int i = 0; i < kDatagramsAtOnce; ++i) {
    sockaddr_nl from{};
    socklen_t from_bytes = sizeof from;
    const ssize_t got = recvfrom(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&from), &from_bytes);
    if (got < 0 && errno == ENOBUFS) {
      is_relevant = true;  // some were dropped: anything may have changed
      continue;
    }
    if (got <= 0) return is_relevant;
    // Port 0 is the kernel; other processes may send here too.
    if (from.nl_pid != 0 || is_relevant) continue;
    is_relevant = IsRelevant({buffer.data(), static_cast<size_t>(got)});
  }
  return is_relevant;
}

bool NetworkListener::IsRelevant(std::span<const uint8_t> datagram) const {
  size_t at = 0;
  while (at + sizeof(nlmsghdr) <= datagram.size()) {
    const auto& message = *reinterpret_cast<const nlmsghdr*>(datagram.data() + at);
    if (message.nlmsg_len < sizeof(nlmsghdr) || at + message.nlmsg_len > datagram.size()) break;
    at += NLMSG_ALIGN(message.nlmsg_len);
    switch (message.nlmsg_type) {
      case RTM_NEWLINK:
      case RTM_DELLINK: {
        if (HeaderOf<ifinfomsg>(message) == nullptr) continue;
        // Signal strengths and the like: not a change of the way.
        if (FindAttribute(message, sizeof(ifinfomsg), IFLA_WIRELESS) != nullptr) continue;
        const rtattr* name = FindAttribute(message, sizeof(ifinfomsg), IFLA_IFNAME);
        if (name == nullptr) return true;
        std::array<char, IF_NAMESIZE> text{};
        std::memcpy(text.data(), RTA_DATA(name), std::min(RTA_PAYLOAD(name), text.size() - 1));
        if (!IsIgnored(text.data())) return true;
        break;
      }
      case RTM_NEWADDR:
      case RTM_DELADDR: {
        const auto* header = HeaderOf<ifaddrmsg>(message);
        if (header != nullptr && !IsIgnored(static_cast<int>(header->ifa_index))) return true;
        break;
      }
      case RTM_NEWROUTE:
      case RTM_DELROUTE: {
        if (HeaderOf<rtmsg>(message) == nullptr) continue;
        const rtattr* device = FindAttribute(message, sizeof(rtmsg), RTA_OIF);
        if (device == nullptr || RTA_PAYLOAD(device) < sizeof(int)) return true;
        int index;
        std::memcpy(&index, RTA_DATA(device), sizeof index);
        if (!IsIgnored(index)) return true;
        break;
      }
      default:
        break;
    }
  }
  return false;
}

bool NetworkListener::IsIgnored(const char* name) const {
  return std::find(ignored_.begin(), ignored_.end(), name) != ignored_.end();
}

bool NetworkListener::IsIgnored(int interface_index) const {
  char name[IF_NAMESIZE];
  // Gone already: its link message tells that, by name.
  if (if_indextoname(static_cast<unsigned>(interface_index), name) == nullptr) return true;
  return IsIgnored(static_cast<const char*>(name));
}

}  // namespace overlayd::os
