#ifndef OVERLAYD_NATIVE_CORE_REPLAY_WINDOW_H_
#define OVERLAYD_NATIVE_CORE_REPLAY_WINDOW_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "native/core/spin_lock.h"

/*
 * Which counters of one (session, phase) have been received: RFC 6479, a ring of 64-bit words in
 * which moving forward clears whole words instead of shifting.
 *
 *        too old          |<------------- window ------------->|        new
 *   ----------------------+------------------------------------+-----------------> counter
 *                                                          highest
 *
 * The word being filled shares the ring with the oldest one, so 64 of the kWindowBits are slack: a
 * counter is certainly accepted up to kWindowBits - 64 behind the highest.
 *
 * Check before opening is a hint that saves the AEAD work on replays; Commit after it decides.
 * Commit is itself a test-and-set, so two threads that opened the same datagram at once do not both
 * deliver it.
 */
namespace overlayd::core {

class ReplayWindow {
 public:
  static constexpr uint64_t kWindowBits = 32768;
  static constexpr uint64_t kWindow = kWindowBits - 64;
  /// Never valid: the counter after it could not be told from the first.
  static constexpr uint64_t kLastCounter = UINT64_MAX - 1;

  /// False when the counter was committed or is too old. Any thread; relaxed, so it may be late by
  /// a few commits.
  [[nodiscard]] bool Check(uint64_t counter) const {
    if (counter > kLastCounter) return false;
    const uint64_t next = next_.load(std::memory_order_relaxed);
    if (counter >= next) return true;
    if (next - 1 - counter >= kWindow) return false;
    return (Word(counter).load(std::memory_order_relaxed) & Bit(counter)) == 0;
  }

  /// Marks an authenticated counter as received. False when it already was or is too old: drop the
  /// datagram.
  [[nodiscard]] bool Commit(uint64_t counter) {
    if (counter > kLastCounter) return false;
    const std::lock_guard guard(lock_);
    const uint64_t next = next_.load(std::memory_order_relaxed);
    if (counter >= next) {
      Advance(next, counter);
    } else if (next - 1 - counter >= kWindow) {
      return false;
    }
    std::atomic<uint64_t>& word = Word(counter);
    const uint64_t bits = word.load(std::memory_order_relaxed);
    if ((bits & Bit(counter)) != 0) return false;
    word.store(bits | Bit(counter), std::memory_order_relaxed);
    return true;
  }

  /// Marks `count` contiguous counters from `first` on when all of them lie above the highest: the
  /// common case of a train, one lock for all. False, with nothing marked, in every other case:
  /// then Commit each alone.
  [[nodiscard]] bool CommitRun(uint64_t first, uint32_t count) {
    if (count == 0 || count > kWindow || first > kLastCounter - count) return false;
    const std::lock_guard guard(lock_);
    const uint64_t next = next_.load(std::memory_order_relaxed);
    if (first < next) return false;
    const uint64_t last = first + count - 1;
    Advance(next, last);
    for (uint64_t counter = first; counter <= last;) {
      const uint64_t shift = counter % 64;
      const uint64_t in_word = last - counter < 63 - shift ? last - counter + 1 : 64 - shift;
      const uint64_t ones = in_word == 64 ? ~uint64_t{0} : (uint64_t{1} << in_word) - 1;
      std::atomic<uint64_t>& word = Word(counter);
      word.store(word.load(std::memory_order_relaxed) | ones << shift, std::memory_order_relaxed);
      counter += in_word;
    }
    return true;
  }

  /// True until the first commit.
  [[nodiscard]] bool IsEmpty() const { return next_.load(std::memory_order_relaxed) == 0; }

  /// Highest counter committed; 0 also while empty.
  [[nodiscard]] uint64_t Highest() const {
    const uint64_t next = next_.load(std::memory_order_relaxed);
    return next == 0 ? 0 : next - 1;
  }

  /// Forgets everything. Only while no other thread uses the window (its key is not installed).
  void Reset() {
    for (std::atomic<uint64_t>& word : words_) word.store(0, std::memory_order_relaxed);
    next_.store(0, std::memory_order_relaxed);
  }

 private:
  static constexpr size_t kWords = kWindowBits / 64;

  static uint64_t Bit(uint64_t counter) { return uint64_t{1} << (counter % 64); }
  std::atomic<uint64_t>& Word(uint64_t counter) { return words_[counter / 64 % kWords]; }
  [[nodiscard]] const std::atomic<uint64_t>& Word(uint64_t counter) const {
    return words_[counter / 64 % kWords];
  }

  /// Clears the words between the old and the new highest.
  void Advance(uint64_t next, uint64_t new_highest) {
    // While empty, word 0 counts as entered: all words are clear then.
    const uint64_t from = next == 0 ? 0 : (next - 1) / 64;
    const uint64_t to = new_highest / 64;
    if (to - from >= kWords) {
      for (std::atomic<uint64_t>& word : words_) word.store(0, std::memory_order_relaxed);
    } else {
      for (uint64_t index = from + 1; index <= to; ++index) {
        words_[index % kWords].store(0, std::memory_order_relaxed);
      }
    }
    next_.store(new_highest + 1, std::memory_order_relaxed);
  }

  /// Highest + 1; 0 while empty. Written under lock_, as are the words; atomics only so that Check
  /// may read beside.
  std::atomic<uint64_t> next_{0};
  SpinLock lock_;
  std::atomic<uint64_t> words_[kWords] = {};
};

static_assert(sizeof(ReplayWindow) == 8 + 8 + ReplayWindow::kWindowBits / 8);

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_REPLAY_WINDOW_H_
