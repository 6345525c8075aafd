#ifndef OVERLAYD_NATIVE_ENGINE_FLOOD_STATE_H_
#define OVERLAYD_NATIVE_ENGINE_FLOOD_STATE_H_

#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_map>

#include "native/core/flood.h"
#include "native/core/token_bucket.h"

namespace overlayd::engine {

/// What the threads of a data plane know together of floods that are passed on. Any thread.
class FloodState {
 public:
  explicit FloodState(core::HashSeed seed)
      : memory_({seed.first ^ 0xbf58476d1ce4e5b9, seed.second ^ 0x94d049bb133111eb}),
        next_sequence_(seed.second) {}

  /// False: it was seen before.
  bool Note(const core::FloodHeader& header, std::span<const uint8_t> frame) {
    const std::lock_guard guard(mutex_);
    return memory_.Note(header, frame);
  }
  /// Of our own floods; begins anywhere.
  uint64_t TakeSequence() {
    const std::lock_guard guard(mutex_);
    return next_sequence_++;
  }
  /// Whether a peer, or our TAP, which is 0, may flood one more.
  bool MayFlood(uint32_t peer, uint64_t now_ms) {
    // So a hostile neighbour cannot push out of the memory what is still under way.
    constexpr core::TokenRate kRate{2000, 1'000'000};
    const std::lock_guard guard(mutex_);
    return rates_.try_emplace(peer, kRate).first->second.TryTake(now_ms);
  }

 private:
  std::mutex mutex_;
  core::FloodMemory memory_;
  uint64_t next_sequence_;
  std::unordered_map<uint32_t, core::TokenBucket> rates_;  // by slot: 4097 at most
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_FLOOD_STATE_H_
