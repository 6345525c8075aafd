#ifndef OVERLAYD_NATIVE_CORE_SESSION_H_
#define OVERLAYD_NATIVE_CORE_SESSION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "native/core/aead.h"
#include "native/core/replay_window.h"

/*
 * The keys of one handshake and what they have carried. No pointers: a session may live in a mapping that a successor
 * process takes over.
 *
 * Two rx and two tx places, chosen by the lowest bit of the phase. The control thread alone writes keys, and only to a
 * place that is switched off and that no worker can still be reading (TableStore waits for that); it then publishes
 * the place with a release store that the workers' acquire load pairs with.
 */
namespace overlayd::core {

inline constexpr uint32_t kNoTxPhase = UINT32_MAX;

struct RxPhase {
  std::atomic<uint32_t> phase_plus_one{0};  // 0: empty
  std::atomic<bool> is_confirmed{false};    // something authentic arrived in it
  ReplayWindow window;
  AeadKey key;
};

struct TxPhase {
  std::atomic<uint64_t> next_counter{0};
  AeadKey key;
};

struct alignas(64) Session {
  std::atomic<uint32_t> index{0};  // our receiver_index; 0: free
  uint32_t peer = 0;
  uint32_t remote_index = 0;
  uint32_t next_rx_phase = 0;  // lowest that may still be installed; control thread only
  Suite suite = Suite::kChaCha20Poly1305;

  std::atomic<uint32_t> tx_phase{kNoTxPhase};  // selects tx[phase & 1]
  TxPhase tx[2];
  RxPhase rx[2];

  // One line for what rx writes, one for tx: they belong to different threads.
  alignas(64) std::atomic<uint64_t> tx_packets{0};
  std::atomic<uint64_t> tx_bytes{0};
  alignas(64) std::atomic<uint64_t> rx_packets{0};
  std::atomic<uint64_t> rx_bytes{0};
  std::atomic<uint64_t> forged{0};
  std::atomic<uint64_t> replayed{0};
  std::atomic<uint64_t> tap_refused{0};  // its frames that our kernel refused as invalid
  std::atomic<uint64_t> last_rx_ms{0};
  std::atomic<uint64_t> next_endpoint_event_ms{0};
  std::atomic<bool> is_limit_reported{false};
};

/// Reserves `count` counters; the first of them. The caller seals with each exactly once.
inline uint64_t ReserveCounters(TxPhase& phase, uint32_t count) {
  return phase.next_counter.fetch_add(count, std::memory_order_relaxed);
}

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_SESSION_H_
