#ifndef OVERLAYD_NATIVE_CORE_WIRE_H_
#define OVERLAYD_NATIVE_CORE_WIRE_H_

#include <cstddef>
#include <cstdint>

#include "native/core/bytes.h"
#include "native/core/handshake_layout.h"
#include "native/core/lead.h"

/*
 * Datagrams as they stand on the underlay (docs/protocol.md §1, §3). Little-endian.
 *
 *   DATA      0        1          2      4                8              16            n        n+16
 *             | type   | phase u8 | zero | receiver u32   | counter u64  | ciphertext  | tag 16 |
 *
 *   inside    0        1          2              5       6
 *             | kind   | flags    | network u24  | zero  | Ethernet frame, control message or fragment
 */
namespace overlayd::core {

inline constexpr size_t kDataHeaderSize = 16;
inline constexpr size_t kTagSize = 16;
inline constexpr size_t kInnerHeaderSize = 6;
/// What a datagram adds to the frame (Ethernet header included in the frame).
inline constexpr size_t kDatagramOverhead = kDataHeaderSize + kInnerHeaderSize + kTagSize;

enum class InnerKind : uint8_t {
  kFrame = 0,
  kControl = 1,
  kKeepalive = 2,
  kFragment = 3,
  kFlood = 4,
};

inline constexpr uint8_t kFlagPartialChecksum = 0x01;
inline constexpr uint8_t kFlagContinues = 0x02;
inline constexpr uint8_t kFlagLastOfTrain = 0x04;
inline constexpr uint8_t kKnownFlags = 0x07;

struct DataHeader {
  uint8_t phase;
  uint32_t receiver_index;
  uint64_t counter;
};

inline void WriteDataHeader(uint8_t* out, const DataHeader& header) {
  WriteLead(out, kTypeData, header.phase, header.receiver_index);
  StoreLe64(out + kLeadSize, header.counter);
}

/// Caller has checked type and that at least kDatagramOverhead - kInnerHeaderSize bytes are there. False: zero is not zero.
[[nodiscard]] inline bool ReadDataHeader(const uint8_t* in, DataHeader* header) {
  header->counter = LoadLe64(in + kLeadSize);
  return ReadLead(in, &header->phase, &header->receiver_index);
}

/// `network` has 24 bits.
inline void WriteInnerHeader(uint8_t* out, InnerKind kind, uint8_t flags, uint32_t network) {
  out[0] = static_cast<uint8_t>(kind);
  out[1] = flags;
  StoreLe32(out + 2, network);  // of its 24 bits, the zero byte behind them
}

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_WIRE_H_
