#include "native/core/checksum.h"

#include <cstring>

#include "native/core/bytes.h"

namespace overlayd::core {
uint64_t SumBytes(const uint8_t* data, size_t size, uint64_t seed) {
  // Summed in host order, 32 bits at a time, and swapped once at the end: RFC 1071 §2(B).
  uint64_t sum = 0;
  while (size >= 16) {
    uint32_t words[4];
    std::memcpy(words, data, 16);
    sum += uint64_t{words[0]} + words[1] + words[2] + words[3];
    data += 16;
    size -= 16;
  }
  while (size >= 4) {
    uint32_t word;
    std::memcpy(&word, data, 4);
    sum += word;
    data += 4;
    size -= 4;
  }
  if (size >= 2) {
    uint16_t word;
    std::memcpy(&word, data, 2);
    sum += word;
    data += 2;
    size -= 2;
  }
  if (size != 0) {
    const uint8_t last[2] = {data[0], 0};
    uint16_t word;
    std::memcpy(&word, last, 2);
    sum += word;
  }
  const uint16_t folded = FoldSum(sum);
  uint8_t bytes[2];
  std::memcpy(bytes, &folded, 2);
  return seed + LoadBe16(bytes);
}

uint16_t PseudoHeaderSum(const uint8_t* frame, const FrameInfo& info, size_t l4_size) {
  const uint8_t* ip = frame + info.l3_offset;
  uint64_t sum = info.ip_version == 4 ? SumBytes(ip + 12, 8) : SumBytes(ip + 8, 32);
  sum += info.protocol;
  sum += l4_size & 0xffff;
  sum += l4_size >> 16;
  return FoldSum(sum);
}

void CompleteChecksum(uint8_t* frame, const FrameInfo& info) {
  uint8_t* field = frame + info.l4_offset + info.ChecksumOffset();
  const size_t l4_size = info.ip_end - info.l4_offset;
  // The field is the pseudo-header sum, so the sum over header and payload as they stand is the whole one.
  auto checksum = static_cast<uint16_t>(~FoldSum(SumBytes(frame + info.l4_offset, l4_size)));
  if (checksum == 0 && info.protocol == kProtocolUdp) checksum = 0xffff;  // RFC 768: 0 means none
  StoreBe16(field, checksum);
}

bool HasValidChecksum(const uint8_t* frame, const FrameInfo& info) {
  const size_t l4_size = info.ip_end - info.l4_offset;
  if (info.IsUdp() && LoadBe16(frame + info.l4_offset + 6) == 0) return false;
  const uint64_t sum =
      SumBytes(frame + info.l4_offset, l4_size, PseudoHeaderSum(frame, info, l4_size));
  return FoldSum(sum) == 0xffff;
}

void WriteIpv4HeaderChecksum(uint8_t* ip_header) {
  const size_t size = static_cast<size_t>(ip_header[0] & 0x0f) * 4;
  StoreBe16(ip_header + 10, 0);
  StoreBe16(ip_header + 10, static_cast<uint16_t>(~FoldSum(SumBytes(ip_header, size))));
}

}  // namespace overlayd::core
