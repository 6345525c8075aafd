#ifndef OVERLAYD_NATIVE_ENGINE_PATH_STATE_H_
#define OVERLAYD_NATIVE_ENGINE_PATH_STATE_H_

#include <atomic>
#include <cstdint>
#include <mutex>

#include "native/core/echo.h"
#include "native/core/path_clock.h"
#include "native/core/retry_switch.h"
#include "native/core/size_watch.h"
#include "native/core/spin_lock.h"
#include "native/core/train_health.h"
#include "native/engine/slot_array.h"

namespace overlayd::engine {

/// What a path remembers across table snapshots. Counters are written by any thread, once a train.
struct alignas(64) PathState {
  std::atomic<uint64_t> tx_datagrams{0};
  std::atomic<uint64_t> tx_bytes{0};
  std::atomic<uint64_t> rx_datagrams{0};
  std::atomic<uint64_t> rx_bytes{0};
  std::atomic<uint64_t> last_frame_ms{0};    // last time frames left or came on it
  std::atomic<uint64_t> last_relayed_ms{0};  // last time it carried a datagram of others
  /// Largest datagram the kernel still takes: lowered at once by EMSGSIZE, reset when control sets the path again.
  std::atomic<uint32_t> limit_bytes{UINT32_MAX};

  /// Whether trains may leave as one message: off when the kernel refused one on this way, and tried again later.
  core::RetrySwitch gso{60'000};
  /// Whether they arrive; reports under `mutex`.
  core::TrainHealth trains;

  std::atomic<uint32_t> next_probe{0};
  /// Longest datagram sent since the last receiver report.
  std::atomic<uint32_t> largest_sent{0};
  /// Something that not every path carries was sent since the housekeeper looked.
  std::atomic<bool> has_sent_large{false};

  void NoteSize(size_t datagram_bytes) {
    if (datagram_bytes > core::SizeWatch::kFloorBytes &&
        !has_sent_large.load(std::memory_order_relaxed)) {
      has_sent_large.store(true, std::memory_order_relaxed);
    }
  }

  core::SpinLock received_lock;  // a datagram of the rx thread, or a report of the housekeeper
  core::ReceiveStatistics received;
  uint32_t received_phase = 0;
  bool has_received = false;

  std::mutex mutex;  // for what follows; taken once a PING, PONG or report, never per frame
  core::PathClock clock;
  core::SizeWatch size_watch;
  core::SourceAddress observed;  // how the peer sees us on this path
  uint64_t last_seen_frame_ms = 0;
  uint32_t reports_too_small = 0;  // in a row, that show nothing of the size we send
};

/// Whether more than one datagram may leave in one message on this path.
[[nodiscard]] inline bool MaySendTrains(const PathState& state, uint64_t now_ms) {
  return state.gso.IsOn(now_ms) && state.trains.IsOn(now_ms);
}

inline constexpr uint32_t kMaxPaths = 16384;

using PathStates = SlotArray<PathState, kMaxPaths>;

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_PATH_STATE_H_
