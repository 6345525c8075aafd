#ifndef OVERLAYD_BENCH_NATIVE_PATH_NODE_H_
#define OVERLAYD_BENCH_NATIVE_PATH_NODE_H_

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "bench/native/devices.h"
#include "bench/native/frames.h"
#include "bench/native/null_aead.h"
#include "native/core/relay_header.h"
#include "native/engine/plane.h"
#include "native/engine/rx_path.h"
#include "native/engine/table_store.h"
#include "native/engine/tx_path.h"

namespace overlayd::bench {

/*
 * A data plane between a MemoryTap and a MemoryUdp with one peer, without encryption. It is its own peer: the session's
 * two ends have one index, so what its tx path sends, its rx path takes. With a label in front it passes that on to a
 * second peer instead.
 */
class PathNode {
 public:
  PathNode() : plane_([] {}, core::HashSeed{}) {
    plane_.aeads[static_cast<size_t>(core::Suite::kAes256Gcm)] = &kNullAead;
    plane_.mtu_bytes = 1388;
    plane_.may_join_udp = true;
    plane_.gate = std::make_unique<core::Gate>(
        std::span<const uint8_t, core::kMeshIdBytes>(plane_.mesh_id),
        [](std::span<uint8_t> out) { std::fill(out.begin(), out.end(), uint8_t{9}); });
    const uint8_t ip[4] = {192, 0, 2, 1};
    const core::SourceAddress peer = core::SourceFromIpv4(ip, 6783);
    auto socket = std::make_unique<MemoryUdp>();
    udp = socket.get();
    udp->from = peer;
    sockets_.all.push_back(std::move(socket));
    store_ = std::make_unique<engine::TableStore>(plane_);
    tx_ = std::make_unique<engine::TxPath>(plane_, 0, tap, sockets_, tx_counters_);
    rx_ = std::make_unique<engine::RxPath>(plane_, 1, tap, sockets_, rx_counters_);
    const uint8_t further_ip[4] = {192, 0, 2, 2};
    const core::SourceAddress further = core::SourceFromIpv4(further_ip, 6783);
    constexpr uint32_t kIndex = 101;
    constexpr uint32_t kFurtherIndex = 102;
    std::vector<engine::TableEntry> entries = {
        engine::SessionInstall{kIndex, 1, kIndex, core::Suite::kAes256Gcm, {}, {}},
        engine::PathSet{11, 1, kIndex, peer, 1452},
        engine::PeerSet{1, kIndex, 11},
        engine::FdbSet{0, kPeerMac, 1},
        engine::SessionInstall{kFurtherIndex, 2, kFurtherIndex, core::Suite::kAes256Gcm, {}, {}},
        engine::PathSet{12, 2, kFurtherIndex, further, 1452},
        engine::PeerSet{2, kFurtherIndex, 12},
        engine::LabelSet{kLabel, 1, 601, kLabel + 1},
        engine::LabelSet{kLabel + 1, 2, 602, kLabel},
    };
    size_t refused = 0;
    const std::string why = store_->Apply(entries, &refused);
    if (!why.empty()) Fail(why.c_str());
  }

  /// Sends `times` of the frame.
  void Transmit(const HostFrame& frame, size_t times) {
    tap.Load(frame.bytes, frame.offload, times);
    while (!tap.IsEmpty()) {
      if (!tx_->Drain()) Fail("the TAP was lost");
    }
  }

  /// Receives all that `udp` was given.
  void Receive() {
    while (!udp->IsDrained()) rx_->Drain(*udp);
  }

  /// What `udp` has sent, as it arrives from somebody who wants it passed on.
  MemoryUdp::Store TakeSentWithLabels() {
    const MemoryUdp::Store plain = std::exchange(udp->sent, {});
    MemoryUdp::Store out;
    for (const MemoryUdp::Stored& message : plain.messages) {
      const size_t offset = out.bytes.size();
      for (size_t at = 0; at < message.size; at += message.stride) {
        uint8_t header[core::kRelayHeaderSize];
        core::WriteRelayHeader(header, {core::kFirstTtl, kLabel});
        out.bytes.insert(out.bytes.end(), std::begin(header), std::end(header));
        const auto from = plain.bytes.begin() + static_cast<ptrdiff_t>(message.offset + at);
        const size_t size = std::min(message.stride, message.size - at);
        out.bytes.insert(out.bytes.end(), from, from + static_cast<ptrdiff_t>(size));
      }
      const size_t stride = message.stride + core::kRelayHeaderSize;
      out.messages.push_back({offset, out.bytes.size() - offset, stride});
    }
    return out;
  }

  /// Ends the program when a frame was dropped: a path that drops is not the one to measure.
  void ExpectNoDrops() const {
    for (size_t i = 1; i < core::kDropReasonCount; ++i) {
      const auto reason = static_cast<core::DropReason>(i);
      if (tx_counters_.Dropped(reason) + rx_counters_.Dropped(reason) != 0) {
        std::fprintf(stderr, "drop reason %zu\n", i);
        Fail("frames were dropped");
      }
    }
  }

  MemoryTap tap;
  MemoryUdp* udp;

 private:
  static constexpr uint32_t kLabel = 501;

  [[noreturn]] static void Fail(const char* why) {
    std::fprintf(stderr, "%s\n", why);
    std::exit(1);
  }

  engine::Plane plane_;
  engine::Sockets sockets_;
  core::CounterBlock tx_counters_;
  core::CounterBlock rx_counters_;
  std::unique_ptr<engine::TableStore> store_;
  std::unique_ptr<engine::TxPath> tx_;
  std::unique_ptr<engine::RxPath> rx_;
};

/// A load that both programs of this folder put on a path.
struct PathLoad {
  const char* name;
  enum class Kind { kTx, kRx, kRelay } kind;
  bool is_super;   // super-frames of kSegments segments; else 64-byte frames
  bool coalesces;  // rx, relay: trains arrive whole
  [[nodiscard]] size_t PacketsPerFrame() const { return is_super ? kSegments : 1; }
  /// Frames of one round: what a relay's rate lets through stays above all rounds of a program together.
  [[nodiscard]] size_t Frames(size_t super, size_t small) const {
    const size_t frames = is_super ? super : small;
    return kind == Kind::kRelay ? std::min(frames, kRelayedPackets / PacketsPerFrame()) : frames;
  }
  static constexpr size_t kRelayedPackets = 4000;
};

inline constexpr PathLoad kPathLoads[] = {
    {"tx-train", PathLoad::Kind::kTx, true, true},
    {"tx-small", PathLoad::Kind::kTx, false, true},
    {"rx-train", PathLoad::Kind::kRx, true, true},
    {"rx-train-no-gro", PathLoad::Kind::kRx, true, false},
    {"rx-small", PathLoad::Kind::kRx, false, true},
    {"rx-small-no-gro", PathLoad::Kind::kRx, false, false},
    {"relay-train", PathLoad::Kind::kRelay, true, true},
    {"relay-train-no-gro", PathLoad::Kind::kRelay, true, false},
    {"relay-small", PathLoad::Kind::kRelay, false, true},
};

/// Makes `frames` frames ready to be sent or received by `node`; Run then moves them.
inline void Prepare(PathNode& node, const PathLoad& load, size_t frames) {
  node.udp->sent = {};
  node.udp->sent.bytes.reserve(frames * (load.is_super ? 65536 : 128));
  if (load.kind == PathLoad::Kind::kTx) return;
  node.Transmit(load.is_super ? SuperFrame() : SmallFrame(), frames);
  const bool is_relay = load.kind == PathLoad::Kind::kRelay;
  node.udp->Load(is_relay ? node.TakeSentWithLabels() : std::exchange(node.udp->sent, {}),
                 load.coalesces);
  node.udp->sent.bytes.reserve(is_relay ? node.udp->waiting.bytes.size() : 0);
}

inline void Run(PathNode& node, const PathLoad& load, const HostFrame& frame, size_t frames) {
  if (load.kind != PathLoad::Kind::kTx) return node.Receive();
  node.Transmit(frame, frames);
}

}  // namespace overlayd::bench

#endif  // OVERLAYD_BENCH_NATIVE_PATH_NODE_H_
