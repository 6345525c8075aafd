#ifndef OVERLAYD_NATIVE_CORE_COUNTERS_H_
#define OVERLAYD_NATIVE_CORE_COUNTERS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "native/core/drop_reason.h"

/*
 * What the data plane counts. Each worker thread owns one CounterBlock, so that counting is an
 * ordinary add to a line no other thread writes; the control plane sums the blocks. One list makes
 * the enum, the names and the JavaScript export.
 *
 *   X(kEnumerator, name)
 */
#define OVERLAYD_COUNTERS(X)                                                             \
  X(kTapRxFrames, tap_rx_frames) /* from the TAP, super-frames count once */             \
  X(kTapRxBytes, tap_rx_bytes)                                                           \
  X(kTapTxFrames, tap_tx_frames) /* to the TAP, wire segments before joining */          \
  X(kTapTxBytes, tap_tx_bytes)                                                           \
  X(kTapTxWrites, tap_tx_writes)                                                         \
  X(kUdpTxDatagrams, udp_tx_datagrams)                                                   \
  X(kUdpTxBytes, udp_tx_bytes)                                                           \
  X(kUdpTxCalls, udp_tx_calls)                                                           \
  X(kUdpRxDatagrams, udp_rx_datagrams)                                                   \
  X(kUdpRxBytes, udp_rx_bytes)                                                           \
  X(kUdpRxCalls, udp_rx_calls)                                                           \
  X(kSealed, sealed)                                                                     \
  X(kOpened, opened)                                                                     \
  X(kTrainsTx, trains_tx)                                                                \
  X(kJoinedSegments, joined_segments)                                                    \
  X(kUsoJoined, uso_joined)                                                              \
  X(kChecksumsCompleted, checksums_completed)                                            \
  X(kMssClamped, mss_clamped)                                                            \
  X(kFragmentsTx, fragments_tx)                                                          \
  X(kFragmentsRx, fragments_rx)                                                          \
  X(kReassembled, reassembled)                                                           \
  X(kFlooded, flooded)                                                                   \
  X(kGrouped, grouped)                        /* multicast sent to its listeners only */ \
  X(kNeighboursAnswered, neighbours_answered) /* ARP, ND for hosts behind peers */       \
  X(kFloodsPassed, floods_passed)             /* of other members, to neighbours */      \
  X(kFdbLearned, fdb_learned)                                                            \
  X(kFdbMoved, fdb_moved)                                                                \
  X(kPingsTx, pings_tx)                                                                  \
  X(kPongsRx, pongs_rx)                                                                  \
  X(kGsoFallbacks, gso_fallbacks)                                                        \
  X(kBlackHoles, black_holes) /* sizes that stopped getting through */                   \
  X(kTcpAccepted, tcp_accepted)                                                          \
  X(kTcpRefused, tcp_refused) /* accepted and ended: too many, or from inside */         \
  X(kTcpConnected, tcp_connected)                                                        \
  X(kJoinProbes, join_probes) /* after a refused joined frame */                         \
  X(kRekeys, rekeys)          /* phases above 0 in which something arrived */            \
  X(kRelayed, relayed)        /* datagrams passed on for others */                       \
  X(kTxWakeups, tx_wakeups)                                                              \
  X(kRxWakeups, rx_wakeups)                                                              \
  X(kRxqOverflow, rxq_overflow)

namespace overlayd::core {

enum class Counter : uint8_t {
#define OVERLAYD_X(enumerator, name) enumerator,
  OVERLAYD_COUNTERS(OVERLAYD_X)
#undef OVERLAYD_X
};

inline constexpr const char* kCounterNames[] = {
#define OVERLAYD_X(enumerator, name) #name,
    OVERLAYD_COUNTERS(OVERLAYD_X)
#undef OVERLAYD_X
};

inline constexpr size_t kCounterCount = sizeof kCounterNames / sizeof kCounterNames[0];

/// Counters of one thread. One writer, any readers: the writer adds without a locked instruction,
/// and a reader sees some recent value of each counter (relaxed: no order between counters is
/// promised).
class alignas(64) CounterBlock {
 public:
  void Add(Counter counter, uint64_t amount = 1) {
    Bump(totals_[static_cast<size_t>(counter)], amount);
  }
  void Drop(DropReason reason, uint64_t amount = 1) {
    Bump(drops_[static_cast<size_t>(reason)], amount);
  }
  [[nodiscard]] uint64_t Total(Counter counter) const {
    return totals_[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
  }
  [[nodiscard]] uint64_t Dropped(DropReason reason) const {
    return drops_[static_cast<size_t>(reason)].load(std::memory_order_relaxed);
  }

 private:
  static void Bump(std::atomic<uint64_t>& slot, uint64_t amount) {
    slot.store(slot.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  std::atomic<uint64_t> totals_[kCounterCount] = {};
  std::atomic<uint64_t> drops_[kDropReasonCount] = {};
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_COUNTERS_H_
