#include "native/core/segment.h"

#include <cstring>

#include "native/core/bytes.h"
#include "native/core/check.h"
#include "native/core/checksum.h"

namespace overlayd::core {

Cutter::Cutter(uint8_t* frame, const FrameInfo& info, size_t segment_payload)
    : frame_(frame),
      info_(info),
      headers_(info.payload_offset),
      payload_(info.ip_end - info.payload_offset),
      segment_payload_(segment_payload),
      count_(payload_ == 0 ? 1 : (payload_ + segment_payload - 1) / segment_payload) {
  OVL_CHECK(segment_payload >= 1 && headers_ <= kMaxHeaders);
  std::memcpy(template_, frame, headers_);
}

uint8_t* Cutter::Make(size_t index) {
  const size_t payload = PayloadSize(index);
  const size_t offset = index * segment_payload_;
  uint8_t* out = frame_ + offset;
  if (index != 0) std::memcpy(out, template_, headers_);

  const size_t l4_size = headers_ - info_.l4_offset + payload;
  uint8_t* ip = out + info_.l3_offset;
  uint8_t* l4 = out + info_.l4_offset;
  if (info_.ip_version == 4) {
    StoreBe16(ip + 2, static_cast<uint16_t>(info_.l4_offset - info_.l3_offset + l4_size));
    StoreBe16(ip + 4, static_cast<uint16_t>(LoadBe16(template_ + info_.l3_offset + 4) + index));
    WriteIpv4HeaderChecksum(ip);
  } else {
    StoreBe16(ip + 4, static_cast<uint16_t>(l4_size));
  }

  if (info_.protocol == kProtocolTcp) {
    StoreBe32(l4 + 4, static_cast<uint32_t>(LoadBe32(template_ + info_.l4_offset + 4) + offset));
    uint8_t flags = info_.tcp_flags;
    // RFC 3168 §6.1.2: CWR once; FIN and PSH belong to the last byte.
    if (index != 0) flags &= static_cast<uint8_t>(~kTcpCwr);
    if (index + 1 < count_) flags &= static_cast<uint8_t>(~(kTcpFin | kTcpPsh));
    l4[13] = flags;
  } else {
    StoreBe16(l4 + 4, static_cast<uint16_t>(l4_size));
  }
  StoreBe16(l4 + info_.ChecksumOffset(), PseudoHeaderSum(out, info_, l4_size));
  return out;
}

}  // namespace overlayd::core
