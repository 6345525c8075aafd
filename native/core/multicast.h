#ifndef OVERLAYD_NATIVE_CORE_MULTICAST_H_
#define OVERLAYD_NATIVE_CORE_MULTICAST_H_

#include <cstddef>
#include <cstdint>

#include "native/core/frame.h"
#include "native/core/mac.h"

/*
 * What a bridge that snoops multicast must tell apart (RFC 4541; docs/protocol.md §10). Groups are told apart by MAC,
 * since that is what every frame shows: 32 IPv4 groups, or 2^80 IPv6 ones, may share one and then share its listeners.
 *
 *   01:00:5e:00:00:xx   IPv4 of the link: never reported by many hosts          flooded
 *   33:33:00:00:00:xx   IPv6 of the link: all nodes, routers, mDNS ...          flooded
 *   33:33:ff:xx:xx:xx   solicited nodes: resolution must not wait for reports   flooded
 *   the rest            reported by who listens                                 to the listeners
 */
namespace overlayd::core {

/// Under this key stand those who are to hear reports: multicast routers.
inline constexpr Mac kRouterGroup = 0;

/// A group MAC of IP whose listeners report.
[[nodiscard]] constexpr bool IsSnooped(Mac mac) {
  if (mac >> 32 == 0x3333) {
    const auto low = static_cast<uint32_t>(mac);
    return low > 0xff && low >> 24 != 0xff;
  }
  return mac >> 23 == (0x01005e000000 >> 23) && (mac & 0x7fffff) > 0xff;
}

/// What a frame says about listeners. `kReport`: joined or left a group. `kQuery`: a router asks who listens.
enum class Membership : uint8_t { kNone, kReport, kQuery };

/// Of an untagged IGMP or MLD frame to a group; `kNone` for anything else. What it says is for the control plane to read.
[[nodiscard]] Membership MembershipOf(const uint8_t* frame, size_t size, const FrameInfo& info);

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_MULTICAST_H_
