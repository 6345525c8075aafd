#include "native/core/frame.h"

#include "native/core/bytes.h"

namespace overlayd::core {
namespace {

constexpr size_t kMaxVlanTags = 2;
constexpr size_t kIpv6HeaderSize = 40;
constexpr size_t kUdpHeaderSize = 8;
constexpr size_t kTcpMinHeaderSize = 20;

bool IsVlanType(uint16_t type) { return type == 0x8100 || type == 0x88a8; }

// Fills l4_offset, protocol, ip_end for an unfragmented packet; false for anything else.
bool ParseIp(const uint8_t* frame, size_t size, FrameInfo* info) {
  const size_t l3 = info->l3_offset;
  if (info->ether_type == kEtherTypeIpv4) {
    if (size < l3 + 20) return false;
    const uint8_t* ip = frame + l3;
    const size_t header = static_cast<size_t>(ip[0] & 0x0f) * 4;
    if ((ip[0] >> 4) != 4 || header < 20 || size < l3 + header) return false;
    const uint16_t fragment = LoadBe16(ip + 6);
    if ((fragment & 0x3fff) != 0) return false;  // MF or an offset
    const size_t total = LoadBe16(ip + 2);
    if (total < header || l3 + total > size) return false;
    info->ip_version = 4;
    info->protocol = ip[9];
    info->has_dont_fragment = (fragment & 0x4000) != 0;
    info->l4_offset = static_cast<uint16_t>(l3 + header);
    info->ip_end = static_cast<uint32_t>(l3 + total);
    return true;
  }
  if (info->ether_type == kEtherTypeIpv6) {
    if (size < l3 + kIpv6HeaderSize) return false;
    const uint8_t* ip = frame + l3;
    if ((ip[0] >> 4) != 6) return false;
    const size_t payload = LoadBe16(ip + 4);
    if (payload == 0 || l3 + kIpv6HeaderSize + payload > size) return false;
    info->ip_version = 6;
    info->protocol = ip[6];
    info->has_dont_fragment = true;
    info->l4_offset = static_cast<uint16_t>(l3 + kIpv6HeaderSize);
    info->ip_end = static_cast<uint32_t>(l3 + kIpv6HeaderSize + payload);
    return true;
  }
  return false;
}

}  // namespace

bool ParseFrame(const uint8_t* frame, size_t size, FrameInfo* info) {
  *info = FrameInfo{};
  if (size < kEthernetHeaderSize) return false;
  size_t offset = 12;
  uint16_t type = LoadBe16(frame + offset);
  for (size_t tags = 0; IsVlanType(type) && tags < kMaxVlanTags; ++tags) {
    if (size < offset + kVlanTagSize + 2) return true;  // a bare tag: forwarded as it is
    offset += kVlanTagSize;
    type = LoadBe16(frame + offset);
    info->has_vlan_tag = true;
  }
  info->ether_type = type;
  info->l3_offset = static_cast<uint16_t>(offset + 2);
  if (!ParseIp(frame, size, info)) return true;

  const size_t l4 = info->l4_offset;
  if (info->protocol == kProtocolTcp) {
    if (info->ip_end < l4 + kTcpMinHeaderSize) return true;
    const size_t header = static_cast<size_t>(frame[l4 + 12] >> 4) * 4;
    if (header < kTcpMinHeaderSize || info->ip_end < l4 + header) return true;
    info->tcp_flags = frame[l4 + 13];
    info->payload_offset = static_cast<uint16_t>(l4 + header);
  } else if (info->protocol == kProtocolUdp) {
    if (info->ip_end < l4 + kUdpHeaderSize) return true;
    info->payload_offset = static_cast<uint16_t>(l4 + kUdpHeaderSize);
  } else {
    return true;
  }
  info->frame_class = FrameClass::kTransport;
  return true;
}

}  // namespace overlayd::core
