#ifndef OVERLAYD_NATIVE_CORE_MAC_H_
#define OVERLAYD_NATIVE_CORE_MAC_H_

#include <cstdint>

#include "native/core/bytes.h"

namespace overlayd::core {

/// A MAC as the 48-bit big-endian number of its bytes: 02:00:00:00:00:01 is 0x020000000001.
using Mac = uint64_t;

inline constexpr Mac kMaxMac = 0xffff'ffff'ffff;

[[nodiscard]] inline Mac LoadMac(const uint8_t* from) {
  return static_cast<uint64_t>(LoadBe16(from)) << 32 | LoadBe32(from + 2);
}

inline void StoreMac(uint8_t* to, Mac mac) {
  StoreBe16(to, static_cast<uint16_t>(mac >> 32));
  StoreBe32(to + 2, static_cast<uint32_t>(mac));
}

/// Group addresses: multicast and broadcast.
[[nodiscard]] constexpr bool IsGroup(Mac mac) { return (mac >> 40 & 1) != 0; }

/// 01:80:c2:00:00:0x, link-local protocols that bridges never forward.
[[nodiscard]] constexpr bool IsReservedMulticast(Mac mac) { return mac >> 4 == 0x0180c200000; }

/// Groups of all hosts, all routers and listener reports (x.1, x.2, x.22 of IPv4 and IPv6): what kernels say unasked.
[[nodiscard]] constexpr bool IsHousekeeping(Mac mac) {
  const Mac group = mac & 0xff;
  return (mac >> 8 == 0x333300000000 >> 8 || mac >> 8 == 0x01005e000000 >> 8) &&
         (group == 1 || group == 2 || group == 22);
}

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_MAC_H_
