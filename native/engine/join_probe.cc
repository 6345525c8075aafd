#include "native/engine/join_probe.h"

#include <array>
#include <cerrno>
#include <cstring>

#include "native/core/bytes.h"
#include "native/core/check.h"
#include "native/core/checksum.h"
#include "native/core/frame.h"
#include "native/core/joiner.h"

namespace overlayd::engine {
namespace {

constexpr size_t kSegment = 100;
constexpr size_t kPayload = 2 * kSegment;
constexpr size_t kL3 = 14;
constexpr size_t kL4 = kL3 + 20;
constexpr uint8_t kPause[6] = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x01};
constexpr uint8_t kSource[6] = {0x02, 0, 0, 0, 0, 0x01};
constexpr uint8_t kFrom[4] = {192, 0, 2, 1};
constexpr uint8_t kTo[4] = {192, 0, 2, 2};
constexpr uint16_t kDiscard = 9;

bool IsTaken(io::TapQueue& tap, uint8_t protocol) {
  const bool is_tcp = protocol == core::kProtocolTcp;
  const size_t l4_header = is_tcp ? 20 : 8;
  const size_t size = kL4 + l4_header + kPayload;
  std::array<uint8_t, kL4 + 20 + kPayload> frame{};
  std::memcpy(&frame[0], kPause, 6);
  std::memcpy(&frame[6], kSource, 6);
  core::StoreBe16(&frame[12], 0x0800);
  frame[kL3] = 0x45;
  core::StoreBe16(&frame[kL3 + 2], static_cast<uint16_t>(size - kL3));
  frame[kL3 + 6] = 0x40;  // DF
  frame[kL3 + 8] = 64;
  frame[kL3 + 9] = protocol;
  std::memcpy(&frame[kL3 + 12], kFrom, 4);
  std::memcpy(&frame[kL3 + 16], kTo, 4);
  core::WriteIpv4HeaderChecksum(&frame[kL3]);
  core::StoreBe16(&frame[kL4], kDiscard);
  core::StoreBe16(&frame[kL4 + 2], kDiscard);
  if (is_tcp) {
    frame[kL4 + 12] = 5 << 4;
    frame[kL4 + 13] = core::kTcpAck;
  } else {
    core::StoreBe16(&frame[kL4 + 4], static_cast<uint16_t>(l4_header + kPayload));
  }
  core::FrameInfo info;
  OVL_CHECK(core::ParseFrame(frame.data(), size, &info));
  core::StoreBe16(&frame[kL4 + info.ChecksumOffset()],
                  core::PseudoHeaderSum(frame.data(), info, l4_header + kPayload));
  const core::OffloadHeader offload{
      .flags = core::kOffloadNeedsChecksum,
      .gso_type = is_tcp ? core::kGsoTcp4 : core::kGsoUdp,
      .header_size = static_cast<uint16_t>(kL4 + l4_header),
      .gso_size = kSegment,
      .checksum_start = kL4,
      .checksum_offset = static_cast<uint16_t>(info.ChecksumOffset())};
  const core::Slice whole{frame.data(), size};
  return tap.Write(offload, &whole, 1) != -EINVAL;
}

}  // namespace

JoinAbility ProbeJoining(io::TapQueue& tap) {
  return {.tcp = IsTaken(tap, core::kProtocolTcp), .udp = IsTaken(tap, core::kProtocolUdp)};
}

}  // namespace overlayd::engine
