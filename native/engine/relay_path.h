#ifndef OVERLAYD_NATIVE_ENGINE_RELAY_PATH_H_
#define OVERLAYD_NATIVE_ENGINE_RELAY_PATH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "native/core/relay_header.h"
#include "native/engine/plane.h"

/*
 * The ways of datagrams through relays (docs/protocol.md §7): out under a neighbour's label, and what comes in under one
 * of ours. A relay opens nothing: a train comes in, its headers are exchanged in place, a train goes out.
 *
 *   arrive ── label known? from its peer? ──> ends here: as if it had come from the relayed address `label`
 *                                        └──> ttl? rate? goes on to the other label's peer under its out_label
 */
namespace overlayd::engine {

/// Where datagrams to an address go in fact.
struct Route {
  core::DropReason problem = core::DropReason::kNone;
  core::SourceAddress to;
  size_t header_size = 0;  // of what goes in front: WriteFront
  uint32_t out_label = 0;

  void WriteFront(uint8_t* out) const {
    if (header_size != 0) core::WriteRelayHeader(out, {core::kFirstTtl, out_label});
  }
};

/// Inside a quiescence guard or on the control thread.
[[nodiscard]] Route RouteTo(const core::Tables& tables, const core::SourceAddress& to);

/// Sends one datagram as it is, also to a relayed address; counted either way. Any thread, as RouteTo.
void SendPlain(const core::Tables& tables, Sockets& sockets, core::CounterBlock& counters,
               std::span<const uint8_t> bytes, const core::SourceAddress& to);

/// What arrived, or a part of it: datagrams of `stride` bytes, but the last.
struct RelayedRun {
  uint8_t* data;
  size_t size;
  size_t stride;
  const core::SourceAddress& from;
  uint8_t ecn;

  [[nodiscard]] size_t count() const { return (size + stride - 1) / stride; }
};

/// Of one rx thread.
class RelayPath {
 public:
  RelayPath(Plane& plane, Sockets& sockets, core::CounterBlock& counters)
      : plane_(plane), sockets_(sockets), counters_(counters) {}

  /// The longest run at the front of `train` with one and the same header. The first datagram is of type RELAY.
  [[nodiscard]] static RelayedRun FrontRun(const RelayedRun& train);

  /// Takes a run in; passes it on when its label leads on. Not nullptr: it ends here, under this label.
  /// `is_from`(peer): the run's source is an address of that peer.
  template <typename IsFrom>
  const core::LabelEntry* Take(const core::Tables& tables, const RelayedRun& run, uint64_t now_ms,
                               IsFrom&& is_from) {
    core::RelayHeader header;
    if (run.size <= core::kRelayHeaderSize) return Drop(core::DropReason::kUdpShort, run);
    if (!core::ReadRelayHeader(run.data, &header)) return Drop(core::DropReason::kGateZero, run);
    const uint32_t position =
        header.label == 0 ? core::kNoSlot : tables.label_positions.Find(header.label);
    if (position == core::kNoSlot) {
      TellUnknown(tables, header.label, run.from, now_ms);
      return Drop(core::DropReason::kRelayUnknown, run);
    }
    const core::LabelEntry& label = tables.labels[position];
    if (!is_from(label.peer)) return Drop(core::DropReason::kRelaySource, run);
    LabelState& state = plane_.labels[label.state];
    state.datagrams.fetch_add(run.count(), std::memory_order_relaxed);
    state.bytes.fetch_add(run.size, std::memory_order_relaxed);
    if (label.ends_here) return &label;
    PassOn(tables, label, run, header.ttl, now_ms);
    return nullptr;
  }

 private:
  const core::LabelEntry* Drop(core::DropReason reason, const RelayedRun& run) {
    counters_.Drop(reason, run.count());
    return nullptr;
  }
  void PassOn(const core::Tables& tables, const core::LabelEntry& label, const RelayedRun& run,
              uint8_t ttl, uint64_t now_ms);
  void Send(const core::PathEntry& path, const RelayedRun& run, uint64_t now_ms);
  /// Number of datagrams that were taken.
  size_t SendTrain(io::UdpSocket& socket, const core::PathEntry& path, const RelayedRun& train,
                   uint64_t now_ms);
  void TellUnknown(const core::Tables& tables, uint32_t label, const core::SourceAddress& from,
                   uint64_t now_ms);

  // What was told in the second at hand; a peer that invents labels fills its own share.
  static constexpr size_t kToldPerSecond = 64;
  static constexpr size_t kToldPerPeer = 8;
  struct Told {
    uint32_t peer;
    uint32_t label;
  };

  Plane& plane_;
  Sockets& sockets_;
  core::CounterBlock& counters_;
  std::array<Told, kToldPerSecond> told_{};
  size_t told_count_ = 0;
  uint64_t told_since_ms_ = 0;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_RELAY_PATH_H_
