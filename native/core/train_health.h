#ifndef OVERLAYD_NATIVE_CORE_TRAIN_HEALTH_H_
#define OVERLAYD_NATIVE_CORE_TRAIN_HEALTH_H_

#include <atomic>
#include <cstdint>

#include "native/core/echo.h"

/*
 * Whether trains (UDP GSO) arrive as well on a path as datagrams that are sent alone. Some kernels, drivers and virtual
 * switches cut them wrongly: all but the first segment is lost, or the whole train, while pings pass.
 *
 *   sent       lone · first of a train · continued
 *   reported   singles (lone or first) · train segments (continued), docs/protocol.md#4
 *
 *   share of trains that arrives = train segments / continued
 *   share of lone ones           = (singles - firsts that may have arrived) / lone
 *
 * The second is reckoned from below: as many firsts as trains arrive, and some more for chance, are taken off, since a
 * report does not tell firsts from lone ones. Judged over at least three reports with enough of both kinds; what stays
 * unclear for ten is forgotten.
 *
 *             trains lose, lone ones do not
 *   trains ───────────────────────────────────> singly for 30 s, told; each further time twice as long, up to an hour
 *     ^  ^────────────── the time is over ─────────────┘ │
 *     └─── singly they are lost as well: not the trains' fault (a shallow queue, say); no suspicion for 10 min
 *
 * Trains that arrive make the next time a first one again. IsOn and the Sent counters: any thread. OnReport: under
 * the owner's lock.
 */
namespace overlayd::core {

class TrainHealth {
 public:
  static constexpr uint64_t kFirstPauseMs = 30'000;
  static constexpr uint64_t kMaxPauseMs = 3'600'000;
  static constexpr uint64_t kNoSuspicionMs = 600'000;
  static constexpr uint32_t kLeastReports = 3;
  static constexpr uint32_t kMostReports = 10;
  static constexpr uint32_t kLeastContinued = 20;
  static constexpr uint32_t kLeastLone = 5;

  enum class Verdict : uint8_t {
    kNone,
    kWell,  ///< Trains arrive.
    kOff,  ///< Trains are off from now on; the first time since they last arrived, so worth telling.
    kStillOff,  ///< Off again.
    kOn,        ///< On again before the time: the trains were not at fault.
  };

  [[nodiscard]] bool IsOn(uint64_t now_ms) const {
    return now_ms >= off_until_ms_.load(std::memory_order_relaxed);
  }

  /// `count` datagrams left in one message, `continued` of them marked as continuing the one before.
  void NoteTrain(uint32_t count, uint32_t continued) {
    if (count == 1) return NoteSingly(1, 0);
    first_.fetch_add(count - continued, std::memory_order_relaxed);
    continued_.fetch_add(continued, std::memory_order_relaxed);
  }
  /// `count` datagrams left each by itself, `continued` of them marked all the same.
  void NoteSingly(uint32_t count, uint32_t continued) {
    lone_.fetch_add(count - continued, std::memory_order_relaxed);
    if (continued != 0) singly_.fetch_add(continued, std::memory_order_relaxed);
  }

  /// `is_size_lost`: the report lacks the size that was sent, which explains the loss of long datagrams by itself.
  Verdict OnReport(const ReceiverReport& report, bool is_size_lost, uint64_t now_ms);

 private:
  /// Totals modulo 2^32, of ours or of the far side.
  struct Totals {
    uint32_t lone = 0;
    uint32_t first = 0;
    uint32_t continued = 0;
    uint32_t singly = 0;
    uint32_t singles = 0;
    uint32_t train_segments = 0;
  };

  [[nodiscard]] Totals TotalsWith(const ReceiverReport& report) const;
  void BeginWith(const Totals& now);
  Verdict JudgeTrains(const Totals& in, uint64_t now_ms);
  Verdict JudgeSingly(const Totals& in, uint64_t now_ms);

  std::atomic<uint32_t> lone_{0};
  std::atomic<uint32_t> first_{0};
  std::atomic<uint32_t> continued_{0};
  std::atomic<uint32_t> singly_{0};
  std::atomic<uint64_t> off_until_ms_{0};

  bool has_begun_ = false;
  Totals begin_;
  uint32_t reports_ = 0;
  uint64_t pause_ms_ = 0;  // the last one; 0: trains arrived since
  uint64_t no_suspicion_until_ms_ = 0;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_TRAIN_HEALTH_H_
