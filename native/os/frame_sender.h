#ifndef OVERLAYD_NATIVE_OS_FRAME_SENDER_H_
#define OVERLAYD_NATIVE_OS_FRAME_SENDER_H_

#include <cstdint>
#include <span>

namespace overlayd::os {

/// Sends one Ethernet frame, as it is, out of an interface of this network namespace (AF_PACKET;
/// CAP_NET_RAW). Best effort, never blocks. Returns 0 or -errno.
[[nodiscard]] int SendFrame(const char* interface_name, std::span<const uint8_t> frame);

}  // namespace overlayd::os

#endif  // OVERLAYD_NATIVE_OS_FRAME_SENDER_H_
