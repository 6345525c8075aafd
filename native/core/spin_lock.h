#ifndef OVERLAYD_NATIVE_CORE_SPIN_LOCK_H_
#define OVERLAYD_NATIVE_CORE_SPIN_LOCK_H_

#include <atomic>
#include <cstdint>

namespace overlayd::core {

/// One byte, no pointers: may live in memory that is handed to another process. For sections of
/// some tens of instructions only; meets the Lockable requirements as far as std::lock_guard needs
/// them.
class SpinLock {
 public:
  void lock() {
    // Acquire pairs with the release of unlock: what the last owner wrote is visible.
    while (is_locked_.exchange(1, std::memory_order_acquire) != 0) {
      while (is_locked_.load(std::memory_order_relaxed) != 0) Pause();
    }
  }
  void unlock() { is_locked_.store(0, std::memory_order_release); }

 private:
  static void Pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  std::atomic<uint8_t> is_locked_{0};
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_SPIN_LOCK_H_
