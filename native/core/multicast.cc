#include "native/core/multicast.h"

#include "native/core/bytes.h"

namespace overlayd::core {
namespace {

constexpr size_t kIpv4HeaderSize = 20;
constexpr size_t kIpv6HeaderSize = 40;
constexpr uint8_t kProtocolIgmp = 2;
constexpr uint8_t kProtocolHopByHop = 0;
constexpr uint8_t kProtocolIcmpv6 = 58;
constexpr uint8_t kIgmpQuery = 0x11;
constexpr uint8_t kIgmpReportV1 = 0x12;
constexpr uint8_t kIgmpReportV2 = 0x16;
constexpr uint8_t kIgmpLeave = 0x17;
constexpr uint8_t kIgmpReportV3 = 0x22;
constexpr uint8_t kMldQuery = 130;
constexpr uint8_t kMldReport = 131;
constexpr uint8_t kMldDone = 132;
constexpr uint8_t kMldReportV2 = 143;

Membership IgmpOf(uint8_t type) {
  if (type == kIgmpQuery) return Membership::kQuery;
  const bool is_report =
      type == kIgmpReportV1 || type == kIgmpReportV2 || type == kIgmpLeave || type == kIgmpReportV3;
  return is_report ? Membership::kReport : Membership::kNone;
}

Membership MldOf(uint8_t type) {
  if (type == kMldQuery) return Membership::kQuery;
  const bool is_report = type == kMldReport || type == kMldDone || type == kMldReportV2;
  return is_report ? Membership::kReport : Membership::kNone;
}

}  // namespace

Membership MembershipOf(const uint8_t* frame, size_t size, const FrameInfo& info) {
  if (info.has_vlan_tag) return Membership::kNone;
  const size_t l3 = info.l3_offset;
  if (info.ether_type == kEtherTypeIpv4) {
    if (size < l3 + kIpv4HeaderSize || frame[l3 + 9] != kProtocolIgmp) return Membership::kNone;
    const size_t header = static_cast<size_t>(frame[l3] & 0x0f) * 4;
    const bool is_fragment = (LoadBe16(frame + l3 + 6) & 0x1fff) != 0;
    if (is_fragment || header < kIpv4HeaderSize || size <= l3 + header) return Membership::kNone;
    return IgmpOf(frame[l3 + header]);
  }
  if (info.ether_type == kEtherTypeIpv6) {
    // MLD always comes with a hop-by-hop header, for its router alert (RFC 3810 §5).
    const size_t options = l3 + kIpv6HeaderSize;
    if (size < options + 8 || frame[l3 + 6] != kProtocolHopByHop) return Membership::kNone;
    const size_t icmp = options + (static_cast<size_t>(frame[options + 1]) + 1) * 8;
    if (frame[options] != kProtocolIcmpv6 || size <= icmp) return Membership::kNone;
    return MldOf(frame[icmp]);
  }
  return Membership::kNone;
}

}  // namespace overlayd::core
