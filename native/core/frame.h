// Parse of an Ethernet frame down to the transport header: the one place that decides what a frame is.
//
// Both ends compute checksum and segmentation offsets from this parse and never from what a kernel header or the wire
// says (docs/protocol.md §3, partial checksums).
#ifndef OVERLAYD_NATIVE_CORE_FRAME_H_
#define OVERLAYD_NATIVE_CORE_FRAME_H_

#include <cstddef>
#include <cstdint>

namespace overlayd::core {

inline constexpr size_t kEthernetHeaderSize = 14;
inline constexpr size_t kVlanTagSize = 4;
inline constexpr uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr uint16_t kEtherTypeIpv6 = 0x86dd;
inline constexpr uint16_t kEtherTypeArp = 0x0806;
inline constexpr uint16_t kEtherTypeMacControl =
    0x8808;  // pause frames: between two ports of a wire, never further
inline constexpr uint8_t kProtocolTcp = 6;
inline constexpr uint8_t kProtocolUdp = 17;

inline constexpr uint8_t kTcpFin = 0x01;
inline constexpr uint8_t kTcpSyn = 0x02;
inline constexpr uint8_t kTcpRst = 0x04;
inline constexpr uint8_t kTcpPsh = 0x08;
inline constexpr uint8_t kTcpAck = 0x10;
inline constexpr uint8_t kTcpUrg = 0x20;
inline constexpr uint8_t kTcpEce = 0x40;
inline constexpr uint8_t kTcpCwr = 0x80;

// What a frame carries above Ethernet. `kTransport` means: an unfragmented TCP or UDP packet over IPv4 or IPv6 without
// extension headers, whose headers and IP length lie fully inside the frame. Everything else is `kOther`.
enum class FrameClass : uint8_t { kOther, kTransport };

// Offsets are bytes from the destination MAC. Valid beyond `l3_offset` only for kTransport.
struct FrameInfo {
  FrameClass frame_class = FrameClass::kOther;
  uint8_t ip_version = 0;  // 4 or 6
  uint8_t protocol = 0;    // kProtocolTcp or kProtocolUdp
  uint8_t tcp_flags = 0;
  bool has_vlan_tag = false;
  bool has_dont_fragment = false;  // IPv4 DF; always true for IPv6
  uint16_t ether_type = 0;         // behind the VLAN tags
  uint16_t l3_offset = 0;
  uint16_t l4_offset = 0;
  uint16_t payload_offset = 0;
  uint32_t ip_end = 0;  // offset where the IP packet ends; what follows is Ethernet padding

  bool IsTcp() const { return frame_class == FrameClass::kTransport && protocol == kProtocolTcp; }
  bool IsUdp() const { return frame_class == FrameClass::kTransport && protocol == kProtocolUdp; }
  uint16_t ChecksumOffset() const { return protocol == kProtocolTcp ? 16 : 6; }  // in the L4 header
};

// Parses `size` bytes at `frame`. False when it is shorter than an Ethernet header.
[[nodiscard]] bool ParseFrame(const uint8_t* frame, size_t size, FrameInfo* info);

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_FRAME_H_
