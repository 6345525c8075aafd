#include "native/core/joiner.h"

#include <cstring>

#include "native/core/bytes.h"
#include "native/core/checksum.h"

namespace overlayd::core {
namespace {

constexpr size_t kMaxIpLength = 65535;
constexpr uint8_t kOnlyOnLast = kTcpPsh | kTcpFin;

size_t PayloadSize(const Arrival& arrival) {
  return arrival.info.ip_end - arrival.info.payload_offset;
}

// Ethernet padding behind the IP packet would end up inside the joined payload.
bool HasPadding(const Arrival& arrival) { return arrival.size != arrival.info.ip_end; }

}  // namespace

bool VerifyPartial(const uint8_t* frame, const FrameInfo& info) {
  if (info.frame_class != FrameClass::kTransport) return false;
  const size_t l4_size = info.ip_end - info.l4_offset;
  if (info.protocol == kProtocolUdp && LoadBe16(frame + info.l4_offset + 4) != l4_size)
    return false;
  const uint16_t field = LoadBe16(frame + info.l4_offset + info.ChecksumOffset());
  return field == PseudoHeaderSum(frame, info, l4_size);
}

void Joiner::Start(const Arrival& arrival) {
  first_ = arrival;
  slices_[0] = {arrival.frame, arrival.size};
  slice_count_ = 1;
  segments_ = 1;
  size_ = arrival.size;
  next_counter_ = arrival.counter + 1;
  is_joinable_ = false;
  const FrameInfo& info = arrival.info;
  if (!arrival.is_partial || HasPadding(arrival)) return;
  payload_size_ = PayloadSize(arrival);
  if (payload_size_ == 0) return;
  if (info.ip_version == 4) {
    next_ip_id_ = static_cast<uint16_t>(LoadBe16(arrival.frame + info.l3_offset + 4) + 1);
  }
  if (info.protocol == kProtocolTcp) {
    last_tcp_flags_ = info.tcp_flags;
    // CWR may stand on the first segment only; PSH and FIN end a run.
    is_joinable_ = options_.may_join_tcp && (info.tcp_flags & ~(kTcpEce | kTcpCwr)) == kTcpAck;
    next_sequence_ =
        static_cast<uint32_t>(LoadBe32(arrival.frame + info.l4_offset + 4) + payload_size_);
  } else {
    is_joinable_ = options_.may_join_udp;
  }
}

bool Joiner::HasEqualHeaders(const Arrival& arrival) const {
  const uint8_t* a = first_.frame;
  const uint8_t* b = arrival.frame;
  const size_t l3 = first_.info.l3_offset;
  const size_t l4 = first_.info.l4_offset;
  if (std::memcmp(a, b, l3) != 0) return false;
  if (first_.info.ip_version == 4) {
    // All but total length (2), id (4) and header checksum (10).
    if (LoadBe16(a + l3) != LoadBe16(b + l3)) return false;
    if (LoadBe32(a + l3 + 6) != LoadBe32(b + l3 + 6)) return false;
    if (std::memcmp(a + l3 + 12, b + l3 + 12, l4 - l3 - 12) != 0) return false;
    if (!first_.info.has_dont_fragment && LoadBe16(b + l3 + 4) != next_ip_id_) return false;
  } else {
    // All but the payload length (4).
    if (LoadBe32(a + l3) != LoadBe32(b + l3)) return false;
    if (std::memcmp(a + l3 + 6, b + l3 + 6, 34) != 0) return false;
  }
  if (LoadBe32(a + l4) != LoadBe32(b + l4)) return false;  // ports
  if (first_.info.protocol == kProtocolUdp) return true;
  // Acknowledgement, data offset; flags are judged by Append; window, urgent pointer, options.
  if (LoadBe32(a + l4 + 8) != LoadBe32(b + l4 + 8) || a[l4 + 12] != b[l4 + 12]) return false;
  if (LoadBe16(a + l4 + 14) != LoadBe16(b + l4 + 14)) return false;
  return std::memcmp(a + l4 + 18, b + l4 + 18, first_.info.payload_offset - l4 - 18) == 0;
}

bool Joiner::Append(const Arrival& arrival) {
  if (!is_joinable_) return false;
  if (arrival.counter != next_counter_ || arrival.session != first_.session ||
      arrival.phase != first_.phase || arrival.network != first_.network || !arrival.is_partial ||
      segments_ == kMaxTrain) {
    return false;
  }
  const FrameInfo& info = arrival.info;
  const FrameInfo& first = first_.info;
  if (info.ip_version != first.ip_version || info.protocol != first.protocol ||
      info.l3_offset != first.l3_offset || info.l4_offset != first.l4_offset ||
      info.payload_offset != first.payload_offset ||
      info.has_dont_fragment != first.has_dont_fragment || HasPadding(arrival)) {
    return false;
  }
  const size_t payload = PayloadSize(arrival);
  if (payload == 0 || payload > payload_size_) return false;
  if (size_ - first.l3_offset + payload > kMaxIpLength) return false;
  if (info.protocol == kProtocolTcp) {
    const uint8_t allowed = kTcpAck | kOnlyOnLast | (first.tcp_flags & kTcpEce);
    if ((info.tcp_flags & ~allowed) != 0 || (info.tcp_flags & kTcpAck) == 0) return false;
    if ((info.tcp_flags & kTcpEce) != (first.tcp_flags & kTcpEce)) return false;
    if (LoadBe32(arrival.frame + info.l4_offset + 4) != next_sequence_) return false;
    // RFC 3168: CWR on the head is kept by the ECN type of GSO; on later ones it was refused above.
  }
  if (!HasEqualHeaders(arrival)) return false;

  slices_[slice_count_++] = {arrival.frame + info.payload_offset, payload};
  ++segments_;
  size_ += payload;
  ++next_counter_;
  ++next_ip_id_;
  next_sequence_ += static_cast<uint32_t>(payload);
  if (info.protocol == kProtocolTcp) {
    last_tcp_flags_ = info.tcp_flags;
    if ((info.tcp_flags & kOnlyOnLast) != 0) is_joinable_ = false;
  }
  if (payload != payload_size_) is_joinable_ = false;
  return true;
}

Joiner::Joined Joiner::Finish() {
  Joined joined{{}, slices_, slice_count_, size_, false};
  slice_count_ = 0;
  const FrameInfo& info = first_.info;
  uint8_t* frame = first_.frame;
  if (!first_.is_partial) return joined;

  joined.offload.flags = kOffloadNeedsChecksum;
  joined.offload.checksum_start = info.l4_offset;
  joined.offload.checksum_offset = info.ChecksumOffset();
  if (segments_ == 1) {
    if (info.protocol == kProtocolUdp || !options_.takes_partial_tcp) {
      // Raw readers (DHCP clients) verify what they see and know nothing of offloads.
      CompleteChecksum(frame, info);
      joined.offload = OffloadHeader{};
      joined.has_completed_checksum = true;
    }
    return joined;
  }

  const size_t l4_size = size_ - info.l4_offset;
  uint8_t* ip = frame + info.l3_offset;
  if (info.ip_version == 4) {
    StoreBe16(ip + 2, static_cast<uint16_t>(size_ - info.l3_offset));
    WriteIpv4HeaderChecksum(ip);
  } else {
    StoreBe16(ip + 4, static_cast<uint16_t>(l4_size));
  }
  uint8_t* l4 = frame + info.l4_offset;
  if (info.protocol == kProtocolTcp) {
    l4[13] = static_cast<uint8_t>(l4[13] | (last_tcp_flags_ & kOnlyOnLast));
    joined.offload.gso_type = info.ip_version == 4 ? kGsoTcp4 : kGsoTcp6;
    if ((info.tcp_flags & kTcpCwr) != 0) joined.offload.gso_type |= kGsoEcn;
  } else {
    StoreBe16(l4 + 4, static_cast<uint16_t>(l4_size));
    joined.offload.gso_type = kGsoUdp;
  }
  StoreBe16(l4 + info.ChecksumOffset(), PseudoHeaderSum(frame, info, l4_size));
  joined.offload.gso_size = static_cast<uint16_t>(payload_size_);
  joined.offload.header_size = info.payload_offset;
  return joined;
}

}  // namespace overlayd::core
