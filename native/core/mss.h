#ifndef OVERLAYD_NATIVE_CORE_MSS_H_
#define OVERLAYD_NATIVE_CORE_MSS_H_

#include <cstddef>
#include <cstdint>
#include <span>

/*
 * MSS clamp: lowers the maximum segment size that a TCP SYN or SYN-ACK announces, so that the
 * segments coming back fit the path without fragments inside the tunnel. Never raises it, adds no
 * option, never changes a length.
 */
namespace overlayd::core {

/// Clamps in an Ethernet frame (up to two VLAN tags; IPv4, or IPv6 with hop-by-hop, routing and
/// destination headers), for a path that carries IP packets of `ip_mtu_bytes`: the MSS becomes at
/// most that less the plain IP and TCP headers. The TCP checksum is updated (RFC 1624), unless
/// `checksum_is_partial`: then its field holds the pseudo-header's sum only, which does not depend
/// on options. Any other frame, fragments too, is left as it is. True when changed.
bool ClampMss(std::span<uint8_t> frame, size_t ip_mtu_bytes, bool checksum_is_partial);

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_MSS_H_
