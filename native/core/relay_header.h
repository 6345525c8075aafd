#ifndef OVERLAYD_NATIVE_CORE_RELAY_HEADER_H_
#define OVERLAYD_NATIVE_CORE_RELAY_HEADER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "native/core/handshake_layout.h"
#include "native/core/lead.h"
#include "native/core/source_address.h"

/*
 * What goes in front of an end-to-end datagram on its way through relays (docs/protocol.md §7). Little-endian.
 *
 *   0        1        2      4       8
 *   | type   | ttl u8 | zero | label | INIT, RESP, FIN, RETRY, REJECT or DATA ...
 *
 * The label is the receiver's. Relays exchange it and the ttl, and leave the rest as it is.
 */
namespace overlayd::core {

inline constexpr size_t kRelayHeaderSize = kLeadSize;
/// Of a datagram's first hop; relays take no more than this for true.
inline constexpr uint8_t kFirstTtl = 4;

struct RelayHeader {
  uint8_t ttl;
  uint32_t label;
};

inline void WriteRelayHeader(uint8_t* out, const RelayHeader& header) {
  WriteLead(out, kTypeRelay, header.ttl, header.label);
}

/// Caller has checked the type and that kRelayHeaderSize bytes are there. False: zero is not zero.
[[nodiscard]] inline bool ReadRelayHeader(const uint8_t* in, RelayHeader* header) {
  return ReadLead(in, &header->ttl, &header->label);
}

/// What a datagram goes on with; 0: no further.
[[nodiscard]] constexpr uint8_t NextTtl(uint8_t ttl) {
  return ttl == 0 ? 0 : static_cast<uint8_t>(std::min(ttl, kFirstTtl) - 1);
}

/// What stands in front of datagrams to this address.
[[nodiscard]] inline size_t HeaderSizeTo(const SourceAddress& to) {
  return IsRelayed(to) ? kRelayHeaderSize : 0;
}

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_RELAY_HEADER_H_
