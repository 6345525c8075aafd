#ifndef OVERLAYD_NATIVE_CORE_RETRY_SWITCH_H_
#define OVERLAYD_NATIVE_CORE_RETRY_SWITCH_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace overlayd::core {

/// A facility that may fail and come back: off for a while after a failure, then tried again. Each failure that
/// follows without a success doubles the while, up to an hour. Any thread.
class RetrySwitch {
 public:
  static constexpr uint64_t kMaxPauseMs = 3'600'000;

  explicit RetrySwitch(uint64_t first_pause_ms) : first_pause_ms_(first_pause_ms) {}

  [[nodiscard]] bool IsOn(uint64_t now_ms) const {
    return now_ms >= off_until_ms_.load(std::memory_order_relaxed);
  }

  /// True: the first failure since it last worked, which is worth telling. One that is off already stays as it is:
  /// threads that fail together fail once.
  bool Fail(uint64_t now_ms) {
    if (!IsOn(now_ms)) return false;
    const uint64_t before = pause_ms_.load(std::memory_order_relaxed);
    const uint64_t pause = before == 0 ? first_pause_ms_ : std::min(2 * before, kMaxPauseMs);
    pause_ms_.store(pause, std::memory_order_relaxed);
    off_until_ms_.store(now_ms + pause, std::memory_order_relaxed);
    return before == 0;
  }

  /// It worked: the next failure is a first one.
  void Succeed() {
    if (pause_ms_.load(std::memory_order_relaxed) != 0) [[unlikely]] {
      pause_ms_.store(0, std::memory_order_relaxed);
    }
  }

 private:
  uint64_t first_pause_ms_;
  std::atomic<uint64_t> off_until_ms_{0};
  std::atomic<uint64_t> pause_ms_{0};
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_RETRY_SWITCH_H_
