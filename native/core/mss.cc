#include "native/core/mss.h"

#include "native/core/bytes.h"

namespace overlayd::core {
namespace {

constexpr size_t kEthernetBytes = 14;
constexpr size_t kIpv4Bytes = 20;
constexpr size_t kIpv6Bytes = 40;
constexpr size_t kTcpBytes = 20;
constexpr uint8_t kProtocolTcp = 6;
constexpr uint8_t kTcpSyn = 0x02;

struct TcpHeader {
  std::span<uint8_t> bytes;  ///< With options; empty: not a TCP header we may touch.
  size_t ip_bytes = 0;       ///< Of a plain IP header of this family.
};

/// The TCP header that starts `bytes`, cut to its own length.
TcpHeader TcpAt(std::span<uint8_t> bytes, size_t ip_bytes) {
  if (bytes.size() < kTcpBytes) return {};
  const size_t length = size_t{bytes[12]} / 16 * 4;
  if (length < kTcpBytes || length > bytes.size()) return {};
  return {bytes.first(length), ip_bytes};
}

TcpHeader FindInIpv4(std::span<uint8_t> packet) {
  if (packet.size() < kIpv4Bytes || packet[0] / 16 != 4) return {};
  const size_t header = size_t{packet[0]} % 16 * 4;
  const size_t total = LoadBe16(&packet[2]);
  if (header < kIpv4Bytes || total < header || total > packet.size()) return {};
  // A fragment's options may be cut off, and its checksum covers bytes that are elsewhere: leave
  // it.
  const bool is_fragment = (LoadBe16(&packet[6]) & 0x3fff) != 0;
  if (is_fragment || packet[9] != kProtocolTcp) return {};
  return TcpAt(packet.subspan(header, total - header), kIpv4Bytes);
}

TcpHeader FindInIpv6(std::span<uint8_t> packet) {
  if (packet.size() < kIpv6Bytes || packet[0] / 16 != 6) return {};
  const size_t payload = LoadBe16(&packet[4]);
  if (payload > packet.size() - kIpv6Bytes) return {};
  std::span<uint8_t> rest = packet.subspan(kIpv6Bytes, payload);
  uint8_t next = packet[6];
  for (int headers = 0; headers < 8; ++headers) {
    if (next == kProtocolTcp) return TcpAt(rest, kIpv6Bytes);
    constexpr uint8_t kHopByHop = 0, kRouting = 43, kDestination = 60;
    if (next != kHopByHop && next != kRouting && next != kDestination) return {};
    if (rest.size() < 8) return {};
    const size_t length = (size_t{rest[1]} + 1) * 8;
    if (length > rest.size()) return {};
    next = rest[0];
    rest = rest.subspan(length);
  }
  return {};
}

TcpHeader FindTcp(std::span<uint8_t> frame) {
  if (frame.size() < kEthernetBytes) return {};
  size_t offset = kEthernetBytes - 2;
  uint16_t ether_type = LoadBe16(&frame[offset]);
  for (int tags = 0; tags < 2 && (ether_type == 0x8100 || ether_type == 0x88a8); ++tags) {
    offset += 4;
    if (!Fits(frame, offset, 2)) return {};
    ether_type = LoadBe16(&frame[offset]);
  }
  const std::span<uint8_t> packet = frame.subspan(offset + 2);
  if (ether_type == 0x0800) return FindInIpv4(packet);
  if (ether_type == 0x86dd) return FindInIpv6(packet);
  return {};
}

uint16_t Fold(uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>((sum & 0xffff) + (sum >> 16));
}

/// RFC 1624 eqn. 3. A value at an odd offset adds to the sum with its bytes swapped (RFC 1071 §2).
void UpdateChecksum(std::span<uint8_t> tcp, size_t offset, uint16_t before, uint16_t after) {
  if (offset % 2 != 0) {
    before = __builtin_bswap16(before);
    after = __builtin_bswap16(after);
  }
  uint8_t* field = &tcp[16];
  const uint32_t sum =
      uint32_t{static_cast<uint16_t>(~LoadBe16(field))} + static_cast<uint16_t>(~before) + after;
  StoreBe16(field, static_cast<uint16_t>(~Fold(sum)));
}

}  // namespace

bool ClampMss(std::span<uint8_t> frame, size_t ip_mtu_bytes, bool checksum_is_partial) {
  const TcpHeader tcp = FindTcp(frame);
  if (tcp.bytes.empty() || (tcp.bytes[13] & kTcpSyn) == 0) return false;
  const size_t headers = tcp.ip_bytes + kTcpBytes;
  if (ip_mtu_bytes <= headers || ip_mtu_bytes - headers > 0xffff) return false;
  const uint16_t limit = static_cast<uint16_t>(ip_mtu_bytes - headers);
  bool has_changed = false;
  constexpr uint8_t kEnd = 0, kNop = 1, kMss = 2, kMssBytes = 4;
  for (size_t offset = kTcpBytes; offset < tcp.bytes.size();) {
    const uint8_t option = tcp.bytes[offset];
    if (option == kEnd) break;
    if (option == kNop) {
      ++offset;
      continue;
    }
    if (!Fits(tcp.bytes, offset, 2)) break;
    const size_t length = tcp.bytes[offset + 1];
    if (length < 2 || !Fits(tcp.bytes, offset, length)) break;
    if (option == kMss && length == kMssBytes) {
      uint8_t* field = &tcp.bytes[offset + 2];
      const uint16_t before = LoadBe16(field);
      if (before > limit) {
        StoreBe16(field, limit);
        if (!checksum_is_partial) UpdateChecksum(tcp.bytes, offset + 2, before, limit);
        has_changed = true;
      }
    }
    offset += length;
  }
  return has_changed;
}

}  // namespace overlayd::core
