#ifndef OVERLAYD_NATIVE_ENGINE_TAP_DUTY_H_
#define OVERLAYD_NATIVE_ENGINE_TAP_DUTY_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "native/core/counters.h"
#include "native/io/fd.h"

/*
 * Which thread of a queue pair reads the TAP.
 *
 *            much to do, or a full socket
 *   rx thread ───────────────────────────► tx thread
 *             ◄───────────────────────────
 *               little to do for kCalmMs
 *
 * One thread is quicker where little happens: the kernel answers a ping inside our write to the TAP, and who wrote can
 * take the answer along without another thread being woken. Two carry more. So the rx thread has the TAP until there is
 * much to do, in either direction, and gets it back when it was calm for a while.
 *
 * The TxPath and its counters belong to whoever has the duty; handing over is a release, taking over an acquire.
 */
namespace overlayd::engine {

class TapDuty {
 public:
  /// Little again for this long: the rx thread takes over.
  static constexpr uint64_t kCalmMs = 100;
  /// A socket that was full makes one thread wait for both directions: not again soon.
  static constexpr uint64_t kAfterFullMs = 10'000;
  /// What one turn may move and still count as little: a few frames, and no super-frames.
  static constexpr uint64_t kFewFrames = 4;
  static constexpr uint64_t kLittleBytes = 16 * 1024;

  /// False: no eventfd to be had.
  bool Open() {
    rx_bell_ = io::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    tx_bell_ = io::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    return rx_bell_.is_open() && tx_bell_.is_open();
  }

  [[nodiscard]] bool IsWithTx() const { return is_with_tx_.load(std::memory_order_acquire); }
  void GiveToTx() {
    is_with_tx_.store(true, std::memory_order_release);
    Ring(tx_bell_);
  }
  void GiveToRx() {
    is_with_tx_.store(false, std::memory_order_release);
    Ring(rx_bell_);
  }

  /// The rx thread shall see what has changed. Any thread.
  void WakeRx() { Ring(rx_bell_); }

  /// Readable when the rx thread was given the duty, or shall look; Silence it then.
  [[nodiscard]] int rx_bell() const { return rx_bell_.get(); }
  [[nodiscard]] int tx_bell() const { return tx_bell_.get(); }
  static void Silence(int bell) {
    uint64_t count;
    if (::read(bell, &count, sizeof count) < 0) return;  // silent already
  }

 private:
  static void Ring(const io::Fd& bell) {
    const uint64_t one = 1;
    if (::write(bell.get(), &one, sizeof one) < 0) return;  // cannot happen: far below its limit
  }

  std::atomic<bool> is_with_tx_{false};
  io::Fd rx_bell_;
  io::Fd tx_bell_;
};

/// How much went through a path since the last look. Belongs to the thread that moves it.
class Workload {
 public:
  Workload(const core::CounterBlock& counters, core::Counter frames, core::Counter bytes)
      : counters_(counters),
        frames_counter_(frames),
        bytes_counter_(bytes),
        frames_(counters.Total(frames)),
        bytes_(counters.Total(bytes)) {}

  [[nodiscard]] bool IsMuch() {
    const uint64_t frames = counters_.Total(frames_counter_);
    const uint64_t bytes = counters_.Total(bytes_counter_);
    const bool is_much =
        frames - frames_ > TapDuty::kFewFrames || bytes - bytes_ > TapDuty::kLittleBytes;
    frames_ = frames;
    bytes_ = bytes;
    return is_much;
  }

 private:
  const core::CounterBlock& counters_;
  core::Counter frames_counter_;
  core::Counter bytes_counter_;
  uint64_t frames_;
  uint64_t bytes_;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_TAP_DUTY_H_
