#include "native/core/ecn.h"

#include "native/core/bytes.h"
#include "native/core/checksum.h"

namespace overlayd::core {
namespace {

constexpr size_t kIpv4Header = 20;
constexpr size_t kIpv6Header = 40;

// 4 or 6 when a whole header of that version is there, else 0: unlike ParseFrame this asks for no transport header.
int IpVersion(const uint8_t* frame, size_t size, const FrameInfo& info) {
  const size_t l3 = info.l3_offset;
  if (info.ether_type == kEtherTypeIpv4 && l3 + kIpv4Header <= size && frame[l3] >> 4 == 4)
    return 4;
  if (info.ether_type == kEtherTypeIpv6 && l3 + kIpv6Header <= size && frame[l3] >> 4 == 6)
    return 6;
  return 0;
}

}  // namespace

uint8_t EcnOf(const uint8_t* frame, size_t size, const FrameInfo& info) {
  switch (IpVersion(frame, size, info)) {
    case 4:
      return frame[info.l3_offset + 1] & 3;
    case 6:
      return frame[info.l3_offset + 1] >> 4 & 3;
    default:
      return kEcnNotCapable;
  }
}

bool CombineEcn(uint8_t* frame, size_t size, const FrameInfo& info, uint8_t outer) {
  if (outer != kEcnCongested && outer != kEcnCapable1) return true;
  const int version = IpVersion(frame, size, info);
  if (version == 0) return true;  // nobody to tell: what is not IP was sent as not capable
  const uint8_t inner = EcnOf(frame, size, info);
  if (inner == kEcnNotCapable) return outer != kEcnCongested;
  if (inner == outer || inner == kEcnCongested) return true;
  uint8_t* ip = frame + info.l3_offset;
  if (version == 6) {
    ip[1] = static_cast<uint8_t>((ip[1] & 0xcf) | outer << 4);
    return true;
  }
  // RFC 1624: the checksum is changed, not made anew, so that a wrong one stays wrong.
  const uint16_t before = LoadBe16(ip);
  ip[1] = static_cast<uint8_t>((ip[1] & 0xfc) | outer);
  const uint64_t sum = uint64_t{static_cast<uint16_t>(~LoadBe16(ip + 10))} +
                       static_cast<uint16_t>(~before) + LoadBe16(ip);
  StoreBe16(ip + 10, static_cast<uint16_t>(~FoldSum(sum)));
  return true;
}

}  // namespace overlayd::core
