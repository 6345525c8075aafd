#ifndef OVERLAYD_NATIVE_CORE_SEGMENT_H_
#define OVERLAYD_NATIVE_CORE_SEGMENT_H_

#include <cstddef>
#include <cstdint>

#include "native/core/frame.h"
#include "native/core/wire.h"

/*
 * Cutting a super-frame into a train of segments, without moving its payload.
 *
 * Segments are made in order and each is sealed before the next is made. So the headers of segment i are written in
 * place just before its payload, over the tail of payload i - 1, which has been sealed already:
 *
 *   | room | headers | payload 0           | payload 1           | payload 2 |
 *   ^ inner header 0 + headers             ^
 *                          | inner 1 + hdr |                 one contiguous source per segment, zero copies
 *
 * The super-frame is destroyed; whoever needs it again (flood) cuts a copy.
 */
namespace overlayd::core {

/// Longest Ethernet + VLAN + IP + TCP header: 14 + 8 + 60 + 60.
inline constexpr size_t kMaxHeaders = 142;
inline constexpr size_t kMaxTrain = 64;

class Cutter {
 public:
  /// `frame` has kInnerHeaderSize writable bytes before it. `info` is its parse (kTransport, checksum partial);
  /// `segment_payload` ≥ 1 is the transport payload of all segments but the last.
  Cutter(uint8_t* frame, const FrameInfo& info, size_t segment_payload);

  [[nodiscard]] size_t count() const { return count_; }
  /// Size of segment `index` as a frame.
  [[nodiscard]] size_t FrameSize(size_t index) const { return headers_ + PayloadSize(index); }

  /// Makes segment `index`; must be called for 0, 1, 2 … in order. Returns its first byte, the frame's destination MAC.
  uint8_t* Make(size_t index);

 private:
  [[nodiscard]] size_t PayloadSize(size_t index) const {
    return index + 1 < count_ ? segment_payload_ : payload_ - segment_payload_ * (count_ - 1);
  }

  uint8_t* frame_;
  FrameInfo info_;
  size_t headers_;
  size_t payload_;
  size_t segment_payload_;
  size_t count_;
  uint8_t template_[kMaxHeaders];
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_SEGMENT_H_
