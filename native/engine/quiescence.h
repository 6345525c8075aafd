#ifndef OVERLAYD_NATIVE_ENGINE_QUIESCENCE_H_
#define OVERLAYD_NATIVE_ENGINE_QUIESCENCE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>

/*
 * Tells the control thread when no worker can still hold what it has replaced (tables, keys).
 *
 * A worker is inside between Enter and Exit, and looks at shared tables only there. Synchronize returns when every
 * worker that was inside has left or re-entered. Workers leave before they block, so that is a matter of one batch.
 * Enter's store and the control thread's look are sequentially consistent: either the worker sees the new tables or
 * the control thread sees the worker.
 */
namespace overlayd::engine {

class Quiescence {
 public:
  static constexpr size_t kMaxWorkers = 64;

  class Guard {
   public:
    Guard(Quiescence& owner, size_t worker) : owner_(owner), worker_(worker) {
      owner_.Enter(worker_);
    }
    ~Guard() { owner_.Exit(worker_); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Quiescence& owner_;
    size_t worker_;
  };

  void Enter(size_t worker) {
    std::atomic<uint64_t>& seen = workers_[worker].seen;
    uint64_t epoch = epoch_.load();
    for (;;) {
      seen.store(epoch);
      // Looked at again behind the store: if Synchronize did not see the store, this load sees its epoch, and with it
      // all that was published before, whatever the order of the loads that follow.
      const uint64_t now = epoch_.load();
      if (now == epoch) return;
      epoch = now;
    }
  }
  void Exit(size_t worker) { workers_[worker].seen.store(0, std::memory_order_release); }

  void Synchronize() {
    const uint64_t epoch = epoch_.fetch_add(1) + 1;
    for (Worker& worker : workers_) {
      for (;;) {
        const uint64_t seen = worker.seen.load();
        if (seen == 0 || seen >= epoch) break;
        const timespec pause{0, 20'000};
        ::nanosleep(&pause, nullptr);
      }
    }
  }

 private:
  struct alignas(64) Worker {
    std::atomic<uint64_t> seen{0};
  };
  std::atomic<uint64_t> epoch_{1};
  std::array<Worker, kMaxWorkers> workers_;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_QUIESCENCE_H_
