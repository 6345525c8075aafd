#ifndef OVERLAYD_BENCH_NATIVE_FRAMES_H_
#define OVERLAYD_BENCH_NATIVE_FRAMES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "native/core/frame.h"
#include "native/core/joiner.h"

namespace overlayd::bench {

inline constexpr uint64_t kHostMac = 0x020000000001;  // sends
inline constexpr uint64_t kPeerMac = 0x020000000002;  // receives

/// An IPv4 packet as a TAP gives it: lengths right, transport checksum partial.
struct HostFrame {
  std::vector<uint8_t> bytes;
  core::OffloadHeader offload;
};

inline void Put16(std::vector<uint8_t>& out, size_t at, size_t value) {
  out[at] = static_cast<uint8_t>(value >> 8);
  out[at + 1] = static_cast<uint8_t>(value);
}

inline uint16_t Sum(const std::vector<uint8_t>& in, size_t from, size_t to, size_t seed) {
  size_t sum = seed;
  for (size_t at = from; at < to; at += 2) sum += static_cast<size_t>(in[at] << 8 | in[at + 1]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

/// TCP with timestamps, or UDP. `gso_size` 0: not a super-frame.
inline HostFrame MakeFrame(bool is_tcp, size_t payload, size_t gso_size) {
  constexpr size_t kL3 = 14;
  constexpr size_t kL4 = 34;
  const size_t headers = kL4 + (is_tcp ? 32 : 8);
  HostFrame out;
  std::vector<uint8_t>& bytes = out.bytes;
  bytes.resize(headers + payload, 0x5a);
  std::fill(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(headers), uint8_t{0});
  for (size_t i = 0; i < 6; ++i) {
    bytes[i] = static_cast<uint8_t>(kPeerMac >> (40 - 8 * i));
    bytes[6 + i] = static_cast<uint8_t>(kHostMac >> (40 - 8 * i));
  }
  Put16(bytes, 12, core::kEtherTypeIpv4);
  const size_t l4_size = bytes.size() - kL4;
  bytes[kL3] = 0x45;
  Put16(bytes, kL3 + 2, bytes.size() - kL3);
  bytes[kL3 + 6] = 0x40;
  bytes[kL3 + 8] = 64;
  bytes[kL3 + 9] = is_tcp ? core::kProtocolTcp : core::kProtocolUdp;
  bytes[kL3 + 12] = bytes[kL3 + 16] = 10;
  bytes[kL3 + 15] = 1;
  bytes[kL3 + 19] = 2;
  Put16(bytes, kL3 + 10, static_cast<uint16_t>(~Sum(bytes, kL3, kL4, 0)));
  Put16(bytes, kL4, 40000);
  Put16(bytes, kL4 + 2, 5201);
  if (is_tcp) {
    bytes[kL4 + 12] = 0x80;
    bytes[kL4 + 13] = core::kTcpAck;
    Put16(bytes, kL4 + 20, 0x0101);
    Put16(bytes, kL4 + 22, 0x080a);
  } else {
    Put16(bytes, kL4 + 4, l4_size);
  }
  const size_t field = is_tcp ? 16 : 6;
  Put16(bytes, kL4 + field, Sum(bytes, kL3 + 12, kL4, bytes[kL3 + 9] + l4_size));
  out.offload.flags = core::kOffloadNeedsChecksum;
  out.offload.checksum_start = kL4;
  out.offload.checksum_offset = static_cast<uint16_t>(field);
  if (gso_size != 0) {
    out.offload.gso_type = is_tcp ? core::kGsoTcp4 : core::kGsoUdp;
    out.offload.gso_size = static_cast<uint16_t>(gso_size);
    out.offload.header_size = static_cast<uint16_t>(headers);
  }
  return out;
}

/// What one TCP stream gives with the usual overlay MTU of 1388: as many segments as one GSO send holds.
inline constexpr size_t kSegments = 45;
inline constexpr size_t kSegmentPayload = 1336;

inline HostFrame SuperFrame() {
  return MakeFrame(true, kSegments * kSegmentPayload, kSegmentPayload);
}
/// The smallest that Ethernet has.
inline HostFrame SmallFrame() { return MakeFrame(false, 22, 0); }

}  // namespace overlayd::bench

#endif  // OVERLAYD_BENCH_NATIVE_FRAMES_H_
