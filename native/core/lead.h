#ifndef OVERLAYD_NATIVE_CORE_LEAD_H_
#define OVERLAYD_NATIVE_CORE_LEAD_H_

#include <cstddef>
#include <cstdint>

#include "native/core/bytes.h"

/*
 * What DATA and RELAY begin with (docs/protocol.md §3, §7): the byte is a key phase or a ttl, the word whom the
 * datagram is for.
 *
 *   0        1        2      4          8
 *   | type   | u8     | zero | word u32 |
 */
namespace overlayd::core {

inline constexpr size_t kLeadSize = 8;

inline void WriteLead(uint8_t* out, uint8_t type, uint8_t byte, uint32_t word) {
  out[0] = type;
  out[1] = byte;
  out[2] = 0;
  out[3] = 0;
  StoreLe32(out + 4, word);
}

/// Caller has checked the type and that kLeadSize bytes are there. False: zero is not zero.
[[nodiscard]] inline bool ReadLead(const uint8_t* in, uint8_t* byte, uint32_t* word) {
  *byte = in[1];
  *word = LoadLe32(in + 4);
  return (in[2] | in[3]) == 0;
}

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_LEAD_H_
