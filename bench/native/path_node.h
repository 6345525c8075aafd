#ifndef OVERLAYD_BENCH_NATIVE_PATH_NODE_H_
#define OVERLAYD_BENCH_NATIVE_PATH_NODE_H_

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "bench/native/devices.h"
#include "bench/native/frames.h"
#include "bench/native/null_aead.h"
#include "native/engine/plane.h"
#include "native/engine/rx_path.h"
#include "native/engine/table_store.h"
#include "native/engine/tx_path.h"

namespace overlayd::bench {

/*
 * A data plane between a MemoryTap and a MemoryUdp with one peer, without encryption. It is its own peer: the session's
 * two ends have one index, so what its tx path sends, its rx path takes.
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
    constexpr uint32_t kIndex = 101;
    std::vector<engine::TableEntry> entries = {
        engine::SessionInstall{kIndex, 1, kIndex, core::Suite::kAes256Gcm, {}, {}},
        engine::PathSet{11, 1, kIndex, peer, 1452},
        engine::PeerSet{1, kIndex, 11},
        engine::FdbSet{0, kPeerMac, 1},
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
  bool is_rx;
  bool is_super;   // super-frames of kSegments segments; else 64-byte frames
  bool coalesces;  // rx: trains arrive whole
  [[nodiscard]] size_t PacketsPerFrame() const { return is_super ? kSegments : 1; }
};

inline constexpr PathLoad kPathLoads[] = {
    {"tx-train", false, true, true}, {"tx-small", false, false, true},
    {"rx-train", true, true, true},  {"rx-train-no-gro", true, true, false},
    {"rx-small", true, false, true}, {"rx-small-no-gro", true, false, false},
};

/// Makes `frames` frames ready to be sent or received by `node`; Run then moves them.
inline void Prepare(PathNode& node, const PathLoad& load, size_t frames) {
  node.udp->sent = {};
  node.udp->sent.bytes.reserve(frames * (load.is_super ? 65536 : 128));
  if (!load.is_rx) return;
  node.Transmit(load.is_super ? SuperFrame() : SmallFrame(), frames);
  node.udp->Load(std::exchange(node.udp->sent, {}), load.coalesces);
}

inline void Run(PathNode& node, const PathLoad& load, const HostFrame& frame, size_t frames) {
  if (load.is_rx) return node.Receive();
  node.Transmit(frame, frames);
}

}  // namespace overlayd::bench

#endif  // OVERLAYD_BENCH_NATIVE_PATH_NODE_H_
