// What guests and the kernel put into the TAP: any frame with any offload header, through the whole tx path and the rx
// path of the other end. No datagram is longer than the path takes and none is forged. A frame without offloads comes
// out as it went in or is counted as dropped; a super-frame that is one comes out with all of its payload, in order.
//
//   input: { kind u8, gso type u8, gso size u16, checksum start u8, checksum offset u8, length u16, frame } ...
//     kind 0: no offloads   1: those that fit the frame   2: as they are here

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "native/core/bytes.h"
#include "native/core/frame.h"
#include "native/test/test_node.h"

namespace {

using namespace overlayd;
using test::Bytes;

constexpr size_t kDatagramBytes = 1452;

struct World {
  test::FakeNet net;
  test::TestNode a{net, 1};
  test::TestNode b{net, 2};

  World() {
    net.keeps_log = false;
    a.is_clock_still = true;
    b.is_clock_still = true;
    test::Connect(a, b,
                  {.datagram_bytes = kDatagramBytes, .suite = core::Suite::kChaCha20Poly1305});
    net.filter = [](const test::Message& message) {
      if (std::min(message.stride, message.bytes.size()) > kDatagramBytes) std::abort();
      return true;
    };
  }
  /// What comes out at b.
  std::vector<Bytes> Cross(const Bytes& frame, const core::OffloadHeader& offload) {
    a.tap.Push({offload, frame});
    if (!a.tx->Drain(a.NowMs())) std::abort();
    b.DrainRx();
    a.plane.events.Drain();
    b.plane.events.Drain();
    if (b.RxDropped(core::DropReason::kForged) != 0) std::abort();
    return test::Delivered(b.tap.Take());
  }
  [[nodiscard]] uint64_t Dropped() const { return a.AllDropped() + b.AllDropped(); }
  [[nodiscard]] uint64_t Clamped() const { return a.TxTotal(core::Counter::kMssClamped); }
};

void CrossBare(World& world, const Bytes& frame) {
  const uint64_t dropped = world.Dropped();
  const uint64_t clamped = world.Clamped();
  const std::vector<Bytes> got = world.Cross(frame, {});
  if (world.Dropped() != dropped) {
    if (!got.empty()) std::abort();
    return;
  }
  if (got.size() != 1 || got[0].size() != frame.size()) std::abort();
  if (world.Clamped() == clamped && got[0] != frame) std::abort();
}

void CrossFitting(World& world, const Bytes& frame, uint8_t kind, uint16_t gso_size) {
  core::FrameInfo info;
  if (!core::ParseFrame(frame.data(), frame.size(), &info)) return;
  if (info.frame_class != core::FrameClass::kTransport || info.ip_end != frame.size()) return;
  core::OffloadHeader offload;
  offload.flags = core::kOffloadNeedsChecksum;
  offload.checksum_start = info.l4_offset;
  offload.checksum_offset = info.ChecksumOffset();
  if (kind % 2 != 0 && gso_size != 0) {
    offload.gso_type = info.IsUdp()           ? core::kGsoUdp
                       : info.ip_version == 4 ? core::kGsoTcp4
                                              : core::kGsoTcp6;
    offload.gso_size = gso_size;
    offload.header_size = info.payload_offset;
  }
  const uint64_t dropped = world.Dropped();
  Bytes payload;
  for (const Bytes& segment : world.Cross(frame, offload)) {
    if (segment.size() < info.payload_offset) std::abort();
    payload.insert(payload.end(), segment.begin() + info.payload_offset, segment.end());
  }
  const auto begin = frame.begin() + info.payload_offset;
  if (world.Dropped() == dropped && payload != Bytes(begin, frame.end())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  constexpr size_t kHead = 8;
  std::span<const uint8_t> input(data, size);
  world.a.passed_ms += 1000;
  world.b.passed_ms += 1000;
  while (input.size() >= kHead) {
    const auto head = input.first<kHead>();
    const size_t length = std::min<size_t>(core::LoadLe16(&head[6]), input.size() - kHead);
    const auto bytes = input.subspan(kHead, length);
    const Bytes frame(bytes.begin(), bytes.end());
    const uint16_t gso_size = core::LoadLe16(&head[2]);
    switch (head[0] % 3) {
      case 0:
        CrossBare(world, frame);
        break;
      case 1:
        CrossFitting(world, frame, head[1], gso_size);
        break;
      default: {
        core::OffloadHeader offload;
        offload.flags = head[1] >> 7;
        offload.gso_type = head[1] & 0x7f;
        offload.gso_size = gso_size;
        offload.checksum_start = head[4];
        offload.checksum_offset = head[5];
        (void)world.Cross(frame, offload);
      }
    }
    input = input.subspan(kHead + length);
  }
  return 0;
}
