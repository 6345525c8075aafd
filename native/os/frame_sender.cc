#include "native/os/frame_sender.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace overlayd::os {

namespace {

/**
 * The process's one socket for frames of its own, or a negated errno. It stays open: closing a packet socket waits for
 * all readers of the kernel's tables (10 ms and more), and a target is announced on every port of its bridge.
 */
int FrameSocket() {
  static std::atomic<int> shared{-1};
  const int open = shared.load(std::memory_order_acquire);
  if (open >= 0) return open;
  // Protocol 0: nothing is received, so nothing queues up meanwhile.
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int none = -1;
  // Another thread may have been faster.
  if (shared.compare_exchange_strong(none, fd, std::memory_order_acq_rel)) return fd;
  close(fd);
  return none;
}

}  // namespace

int SendFrame(const char* interface_name, std::span<const uint8_t> frame) {
  const unsigned index = if_nametoindex(interface_name);
  if (index == 0) return -errno;
  const int fd = FrameSocket();
  if (fd < 0) return fd;
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(index);
  const ssize_t sent = sendto(fd, frame.data(), frame.size(), MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&to), sizeof to);
  return sent < 0 ? -errno : 0;
}

}  // namespace overlayd::os
