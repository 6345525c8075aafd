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

  enum class Verdict : uint8_t { kNew, kAgain, kTooMany };

  /// Whether to take a flood that a peer hands over, or our TAP, which is 0. What is above its share is not remembered:
  /// a hostile neighbour cannot push out of the memory what is still under way, and what it says too often counts when
  /// another says it.
  Verdict Take(uint32_t via, const core::FloodHeader& header, std::span<const uint8_t> frame,
               uint64_t now_ms) {
    constexpr core::TokenRate kRate{2000, 1'000'000};
    const uint64_t key = memory_.KeyOf(header, frame);
    const std::lock_guard guard(mutex_);
    if (memory_.Has(key)) return Verdict::kAgain;
    if (!rates_.try_emplace(via, kRate).first->second.TryTake(now_ms)) return Verdict::kTooMany;
    memory_.Add(key);
    return Verdict::kNew;
  }
  /// Of our own floods; begins anywhere.
  uint64_t TakeSequence() {
    const std::lock_guard guard(mutex_);
    return next_sequence_++;
  }

 private:
  std::mutex mutex_;
  core::FloodMemory memory_;
  uint64_t next_sequence_;
  std::unordered_map<uint32_t, core::TokenBucket> rates_;  // by slot: 4097 at most
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_FLOOD_STATE_H_
