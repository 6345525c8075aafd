#ifndef OVERLAYD_NATIVE_TEST_LOCKSTEP_H_
#define OVERLAYD_NATIVE_TEST_LOCKSTEP_H_

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace overlayd::test {

/// Lets threads go through the same number of steps, none more than one ahead of another: however the kernel shares out
/// the CPUs, what they do in a step meets what the others do in it.
class Lockstep {
 public:
  Lockstep(size_t threads, size_t steps) : steps_(steps), begun_(threads) {}

  /// Waits for the others, then true; false when the last step is over. `thread`: 0, 1, ...
  bool Next(size_t thread) {
    const size_t step = begun_[thread].load(std::memory_order_relaxed);
    if (step == steps_) return false;
    // Relaxed: whoever waits here shall not be given an order that the code under test does not have.
    begun_[thread].store(step + 1, std::memory_order_relaxed);
    for (const std::atomic<size_t>& other : begun_) {
      while (other.load(std::memory_order_relaxed) < step) std::this_thread::yield();
    }
    return true;
  }

 private:
  const size_t steps_;
  std::vector<std::atomic<size_t>> begun_;
};

}  // namespace overlayd::test

#endif  // OVERLAYD_NATIVE_TEST_LOCKSTEP_H_
