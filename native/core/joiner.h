#ifndef OVERLAYD_NATIVE_CORE_JOINER_H_
#define OVERLAYD_NATIVE_CORE_JOINER_H_

#include <cstddef>
#include <cstdint>

#include "native/core/frame.h"
#include "native/core/segment.h"

/*
 * Joining the segments of a train into one frame for the TAP, by the rules of docs/protocol.md §3. The flags on the
 * wire are hints; what counts is that each segment continues the run: same session, phase and network, counter + 1,
 * equal headers, contiguous sequence numbers, equal payloads but for the last.
 *
 * Nothing is copied: the joined frame is the first segment followed by slices of the others' payloads.
 */
namespace overlayd::core {

/// One contiguous piece of a frame. Layout of struct iovec, so that an array of them can be handed to writev.
struct Slice {
  uint8_t* data;
  size_t size;
};

/// What goes into struct virtio_net_hdr, in host order.
struct OffloadHeader {
  uint8_t flags = 0;     // 1: NEEDS_CSUM
  uint8_t gso_type = 0;  // 0 none, 1 TCPv4, 4 TCPv6, 5 UDP_L4; | 0x80 ECN
  uint16_t header_size = 0;
  uint16_t gso_size = 0;
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
};

inline constexpr uint8_t kOffloadNeedsChecksum = 1;
inline constexpr uint8_t kGsoNone = 0;
inline constexpr uint8_t kGsoTcp4 = 1;
inline constexpr uint8_t kGsoTcp6 = 4;
inline constexpr uint8_t kGsoUdp = 5;
inline constexpr uint8_t kGsoEcn = 0x80;

/// A frame that passed all guards on its own, where it lies, and where it came from.
struct Arrival {
  uint8_t* frame;
  size_t size;
  uint64_t counter;
  uint32_t session;  // slot
  uint32_t phase;
  uint32_t network;  // local index
  bool is_partial;   // kFlagPartialChecksum, verified by the caller (VerifyPartial)
  FrameInfo info;
};

/// True when the frame may carry the partial-checksum flag: kTransport, and the field holds the pseudo-header sum.
[[nodiscard]] bool VerifyPartial(const uint8_t* frame, const FrameInfo& info);

class Joiner {
 public:
  struct Options {
    bool may_join_tcp = true;
    bool may_join_udp = true;  // the kernel takes UDP_L4 GSO
    bool takes_partial_tcp =
        true;  // the kernel takes unfinished checksums: frames go with an offload header
  };

  explicit Joiner(Options options) : options_(options) {}

  /// Adds the frame to the open run. False: it does not continue it (Finish first, then Start).
  [[nodiscard]] bool Append(const Arrival& arrival);
  void Start(const Arrival& arrival);
  [[nodiscard]] bool is_open() const { return slice_count_ != 0; }
  [[nodiscard]] size_t segments() const { return segments_; }
  /// Slot of the session the open run came in.
  [[nodiscard]] uint32_t session() const { return first_.session; }
  /// Local index of the network the open run is for.
  [[nodiscard]] uint32_t network() const { return first_.network; }
  /// Whether it is TCP, whose ends slow down by themselves.
  [[nodiscard]] bool IsTcp() const { return first_.info.IsTcp(); }

  struct Joined {
    OffloadHeader offload;
    const Slice* slices;
    size_t slice_count;
    size_t size;
    bool has_completed_checksum;
  };
  /// Closes the run and fixes its headers. The slices are borrowed until the next Start.
  Joined Finish();

  [[nodiscard]] const Options& options() const { return options_; }
  void set_options(Options options) { options_ = options; }

 private:
  [[nodiscard]] bool HasEqualHeaders(const Arrival& arrival) const;

  Options options_;
  Arrival first_{};
  Slice slices_[kMaxTrain];
  size_t slice_count_ = 0;
  size_t segments_ = 0;
  size_t size_ = 0;          // of the joined frame
  size_t payload_size_ = 0;  // of the first segment
  uint64_t next_counter_ = 0;
  uint32_t next_sequence_ = 0;
  uint16_t next_ip_id_ = 0;
  uint8_t last_tcp_flags_ = 0;
  bool is_joinable_ = false;  // more segments may follow
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_JOINER_H_
