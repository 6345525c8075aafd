#include "native/os/frame_sender.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace overlayd::os {

int SendFrame(const char* interface_name, std::span<const uint8_t> frame) {
  const unsigned index = if_nametoindex(interface_name);
  if (index == 0) return -errno;
  // Protocol 0: nothing is received, so nothing queues up meanwhile.
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(index);
  const ssize_t sent = sendto(fd, frame.data(), frame.size(), MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&to), sizeof to);
  const int result = sent < 0 ? -errno : 0;
  close(fd);
  return result;
}

}  // namespace overlayd::os
