#include "frame.h"

#include <algorithm>
#include <cstring>

namespace wire {
namespace {

constexpr uint8_t kGsoNone = 0, kGsoUdpL4 = 5, kGsoEcn = 0x80;  // VIRTIO_NET_HDR_GSO_*
constexpr uint8_t kTcpFin = 0x01, kTcpPush = 0x08, kTcpCwr = 0x80;
constexpr size_t kTcpSeqAt = 4, kTcpOffsetAt = 12, kTcpFlagsAt = 13, kUdpBytes = 8;
constexpr uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kVlan = 0x8100;
constexpr size_t kIpv4Bytes = 20, kIpv6Bytes = 40;

uint16_t Load16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }

void Store16(uint8_t* at, size_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

uint32_t Load32(const uint8_t* at) { return uint32_t{Load16(at)} << 16 | Load16(at + 2); }

void Store32(uint8_t* at, uint32_t value) {
  Store16(at, value >> 16);
  Store16(at + 2, value & 0xffff);
}

uint32_t Sum(std::span<const uint8_t> bytes, uint32_t sum = 0) {
  for (size_t at = 0; at + 1 < bytes.size(); at += 2) sum += Load16(&bytes[at]);
  if (bytes.size() % 2 != 0) sum += uint32_t{bytes.back()} << 8;
  return sum;
}

uint16_t Fold(uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

}  // namespace

FrameView::FrameView(const VnetHeader& header, std::span<const uint8_t> bytes)
    : header_(header), bytes_(bytes) {
  if (bytes.size() < l3_at_) return;
  ether_type_ = Load16(&bytes[12]);
  if (ether_type_ == kVlan && bytes.size() >= l3_at_ + 4) {
    ether_type_ = Load16(&bytes[16]);
    l3_at_ += 4;
  }
  if (header.gso_type == kGsoNone || header.gso_size == 0) return;
  l4_at_ = header.csum_start;
  if (l4_at_ + 20 > bytes.size() || l4_at_ < l3_at_) return;
  const bool is_udp = header.gso_type == kGsoUdpL4;
  payload_at_ = l4_at_ + (is_udp ? kUdpBytes : size_t{bytes[l4_at_ + kTcpOffsetAt]} / 16 * 4);
  if (payload_at_ >= bytes.size()) return;
  segments_ = (bytes.size() - payload_at_ + header.gso_size - 1) / header.gso_size;
}

size_t FrameView::SegmentSize(size_t index) const {
  if (segments_ == 1) return bytes_.size() - std::min(l3_at_, bytes_.size());
  const size_t start = payload_at_ + index * header_.gso_size;
  return payload_at_ - l3_at_ + std::min<size_t>(header_.gso_size, bytes_.size() - start);
}

Frame FrameView::Cut(size_t first, size_t count) const {
  if (count == segments_) return {header_, {bytes_.begin(), bytes_.end()}};
  const size_t gso = header_.gso_size;
  const size_t start = payload_at_ + first * gso;
  const size_t end = std::min(start + count * gso, bytes_.size());
  Frame cut{header_, {bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(payload_at_)}};
  cut.bytes.insert(cut.bytes.end(), bytes_.begin() + static_cast<ptrdiff_t>(start),
                   bytes_.begin() + static_cast<ptrdiff_t>(end));
  cut.header.hdr_len = static_cast<uint16_t>(payload_at_);
  if (count == 1) cut.header.gso_type = cut.header.gso_size = 0;

  uint8_t* l3 = &cut.bytes[l3_at_];
  uint8_t* l4 = &cut.bytes[l4_at_];
  const size_t l4_size = cut.bytes.size() - l4_at_;
  uint32_t pseudo = static_cast<uint32_t>(l4_size);
  if (ether_type_ == kIpv4) {
    Store16(l3 + 2, cut.bytes.size() - l3_at_);
    Store16(l3 + 4, Load16(l3 + 4) + first);
    Store16(l3 + 10, 0);
    const size_t header_size = size_t{l3[0] & 0x0fu} * 4;
    Store16(l3 + 10, static_cast<uint16_t>(~Fold(Sum({l3, header_size}))));
    pseudo = Sum({l3 + 12, 8}, pseudo);
  } else {
    Store16(l3 + 4, cut.bytes.size() - l3_at_ - kIpv6Bytes);
    pseudo = Sum({l3 + 8, 32}, pseudo);
  }
  if (header_.gso_type == kGsoUdpL4) {
    Store16(l4 + 4, l4_size);
    pseudo += 17;
  } else {
    Store32(l4 + kTcpSeqAt, Load32(l4 + kTcpSeqAt) + static_cast<uint32_t>(first * gso));
    if (end != bytes_.size()) l4[kTcpFlagsAt] &= static_cast<uint8_t>(~(kTcpFin | kTcpPush));
    if (first != 0) {
      l4[kTcpFlagsAt] &= static_cast<uint8_t>(~kTcpCwr);
      cut.header.gso_type &= static_cast<uint8_t>(~kGsoEcn);
    }
    pseudo += 6;
  }
  // A train's checksum is always partial: the field holds the sum of the pseudo header.
  Store16(l4 + header_.csum_offset, Fold(pseudo));
  return cut;
}

Frame FrameView::TooBig(size_t mtu_bytes) const {
  const bool is_v4 = ether_type_ == kIpv4;
  const size_t ip_size = is_v4 ? kIpv4Bytes : kIpv6Bytes;
  const bool is_due = is_v4 || ether_type_ == kIpv6;
  if (!is_due || bytes_.size() < l3_at_ + ip_size) return {};
  const std::span<const uint8_t> packet = bytes_.subspan(l3_at_);
  if (is_v4 && (packet[6] & 0x40) == 0) return {};

  const size_t quoted = std::min<size_t>(packet.size(), is_v4 ? 548 : 1232);
  Frame frame{{}, std::vector<uint8_t>(l3_at_ + ip_size + 8 + quoted)};
  uint8_t* bytes = frame.bytes.data();
  memcpy(bytes, &bytes_[6], 6);
  memcpy(bytes + 6, &bytes_[0], 6);
  memcpy(bytes + 12, &bytes_[12], l3_at_ - 12);
  uint8_t* ip = bytes + l3_at_;
  uint8_t* icmp = ip + ip_size;
  memcpy(icmp + 8, packet.data(), quoted);
  const std::span<const uint8_t> message{icmp, 8 + quoted};
  if (is_v4) {
    ip[0] = 0x45;
    Store16(ip + 2, ip_size + message.size());
    ip[8] = 64;
    ip[9] = 1;
    memcpy(ip + 12, &packet[16], 4);
    memcpy(ip + 16, &packet[12], 4);
    Store16(ip + 10, static_cast<uint16_t>(~Fold(Sum({ip, ip_size}))));
    icmp[0] = 3;
    icmp[1] = 4;
    Store16(icmp + 6, mtu_bytes);
    Store16(icmp + 2, static_cast<uint16_t>(~Fold(Sum(message))));
  } else {
    ip[0] = 0x60;
    Store16(ip + 4, message.size());
    ip[6] = 58;
    ip[7] = 64;
    memcpy(ip + 8, &packet[24], 16);
    memcpy(ip + 24, &packet[8], 16);
    icmp[0] = 2;
    Store32(icmp + 4, static_cast<uint32_t>(mtu_bytes));
    const uint32_t pseudo = Sum({ip + 8, 32}, static_cast<uint32_t>(message.size() + 58));
    Store16(icmp + 2, static_cast<uint16_t>(~Fold(Sum(message, pseudo))));
  }
  return frame;
}

}  // namespace wire
