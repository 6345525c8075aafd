// Ethernet frames as a TAP with IFF_VNET_HDR gives them: one packet, or a train of segments that
// share one header. A train can be looked at and cut by segment.
//
//   vnet_hdr | Ethernet, VLAN | IPv4 or IPv6 | TCP or UDP | segment 0 | segment 1 | ... | last
//             0                l3_at          l4_at        payload_at
#ifndef OVERLAYD_TEST_NETNS_WIRE_FRAME_H_
#define OVERLAYD_TEST_NETNS_WIRE_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wire {

/** struct virtio_net_hdr, whose header is C only. */
struct VnetHeader {
  uint8_t flags;
  uint8_t gso_type;
  uint16_t hdr_len;
  uint16_t gso_size;
  uint16_t csum_start;
  uint16_t csum_offset;
};
static_assert(sizeof(VnetHeader) == 10);

struct Frame {
  VnetHeader header;
  std::vector<uint8_t> bytes;
};

/** What was read from a TAP; the bytes are borrowed. */
class FrameView {
 public:
  FrameView(const VnetHeader& header, std::span<const uint8_t> bytes);

  const VnetHeader& header() const { return header_; }
  std::span<const uint8_t> bytes() const { return bytes_; }

  /** 1 for everything that is no train. */
  size_t Segments() const { return segments_; }

  /** Bytes of one segment from its IP header on; of other frames, from behind the Ethernet header. */
  size_t SegmentSize(size_t index) const;

  /** A frame of its own that carries `count` segments from `first` on, with headers that fit. */
  Frame Cut(size_t first, size_t count) const;

  /** "Too big" for the sender, as a router says it; empty when none is due (no IP, IPv4 without
   * DF). */
  Frame TooBig(size_t mtu_bytes) const;

 private:
  VnetHeader header_;
  std::span<const uint8_t> bytes_;
  size_t l3_at_ = 14;
  uint16_t ether_type_ = 0;
  size_t l4_at_ = 0;
  size_t payload_at_ = 0;
  size_t segments_ = 1;
};

}  // namespace wire

#endif  // OVERLAYD_TEST_NETNS_WIRE_FRAME_H_
