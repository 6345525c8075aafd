#ifndef OVERLAYD_NATIVE_ENGINE_LABEL_STATE_H_
#define OVERLAYD_NATIVE_ENGINE_LABEL_STATE_H_

#include <atomic>
#include <cstdint>

#include "native/core/spin_lock.h"
#include "native/core/token_bucket.h"
#include "native/engine/slot_array.h"

namespace overlayd::engine {

/// Datagrams a label may bring to be passed on: far above what one path carries, below what would starve all others.
inline constexpr core::TokenRate kRelayRate{.burst = 200'000, .milli_per_second = 1'000'000'000};

/// What a label remembers across table snapshots.
struct alignas(64) LabelState {
  std::atomic<uint64_t> datagrams{0};  // received under it
  std::atomic<uint64_t> bytes{0};
  core::SpinLock lock;  // several rx threads; taken once a train
  core::TokenBucket bucket{kRelayRate};
};

inline constexpr uint32_t kMaxLabels = 16384;

using LabelStates = SlotArray<LabelState, kMaxLabels>;

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_LABEL_STATE_H_
