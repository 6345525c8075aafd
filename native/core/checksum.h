// Internet checksums (RFC 1071) over what segmentation, joining and completion need.
#ifndef OVERLAYD_NATIVE_CORE_CHECKSUM_H_
#define OVERLAYD_NATIVE_CORE_CHECKSUM_H_

#include <cstddef>
#include <cstdint>

#include "native/core/frame.h"

namespace overlayd::core {

// Sum of big-endian 16-bit words, folded, plus `seed`. A trailing odd byte is the high half of a word.
uint64_t SumBytes(const uint8_t* data, size_t size, uint64_t seed = 0);

inline uint16_t FoldSum(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// Folded pseudo-header sum of a kTransport frame with `l4_size` bytes of TCP or UDP: what a partial checksum holds.
uint16_t PseudoHeaderSum(const uint8_t* frame, const FrameInfo& info, size_t l4_size);

// Replaces a partial checksum (field = pseudo-header sum) by the complete one. `info` must be kTransport.
void CompleteChecksum(uint8_t* frame, const FrameInfo& info);

// True when the complete TCP or UDP checksum of the frame is right. A UDP checksum of 0 over IPv4 counts as wrong here.
bool HasValidChecksum(const uint8_t* frame, const FrameInfo& info);

// Writes the IPv4 header checksum anew.
void WriteIpv4HeaderChecksum(uint8_t* ip_header);

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_CHECKSUM_H_
