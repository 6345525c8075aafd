#ifndef OVERLAYD_NATIVE_CORE_SIZE_WATCH_H_
#define OVERLAYD_NATIVE_CORE_SIZE_WATCH_H_

#include <cstdint>

/*
 * Whether the size in use still gets through one path (RFC 8899 §4.3, black hole detection; docs/protocol.md §8).
 *
 * While large datagrams leave, and only then, a PING padded to the size in use is asked every 750 ms. An unanswered one
 * is repeated soon; the size is lost when enough of them stay unanswered while an ordinary PING, sent after the first of
 * them, was answered: what is swallowed is size, not the path.
 *
 *               large datagrams leave, 750 ms over            unanswered for max(100 ms, patience)
 *     quiet ────────────────────────────────────────> asking ───────────┐ repeated, small PINGs go along
 *       ^                  answered                    │  ^─────────────┘
 *       └──────────────────────────────────────────────┤
 *       └── 3 + one for each 5 % of loss unanswered, and a small one answered: lost, told once
 *
 * Large datagrams that are lost at random, as small ones are, are no black hole: hence the more repetitions the more
 * PINGs get lost. Flat, no pointers, the owner's lock. Time in µs of a monotonic clock.
 */
namespace overlayd::core {

class SizeWatch {
 public:
  static constexpr uint64_t kEveryUs = 750'000;
  static constexpr uint64_t kLeastPatienceUs = 100'000;
  /// A machine that stood still answers everything in one go, the small ones perhaps first.
  static constexpr uint64_t kSettleUs = 50'000;
  static constexpr uint32_t kUnanswered = 3;
  static constexpr uint32_t kUnansweredMost = 12;
  static constexpr uint32_t kLossPermillePerMore = 50;
  /// What every path carries (docs/protocol.md §8): not watched.
  static constexpr uint32_t kFloorBytes = 548;

  /// What is known of the path.
  struct Path {
    uint32_t bytes = 0;          ///< Size in use, of the UDP payload; 0: nothing to watch.
    bool carries_large = false;  ///< Datagrams above the floor left since the last Tick.
    uint64_t patience_us = 0;    ///< How long an answer may take.
    uint32_t loss_permille = 0;  ///< Of ordinary PINGs.
  };
  struct TickResult {
    bool ask = false;      ///< Send a PING padded to `bytes` and call OnAsked.
    bool is_lost = false;  ///< The size does not get through any more.
    uint64_t next_deadline_us = UINT64_MAX;
  };

  TickResult Tick(uint64_t now_us, const Path& path);
  void OnAsked(uint64_t now_us);
  /// A padded PING came back, whoever wanted it.
  void OnAnswered(uint32_t received_bytes) {
    if (received_bytes >= bytes_) Rest();
  }
  /// An ordinary PING was answered that was sent then.
  void OnSmallAnswered(uint64_t now_us, uint64_t sent_us);

  /// Ordinary PINGs are wanted beside the padded ones.
  [[nodiscard]] bool IsAsking() const { return unanswered_ != 0; }

 private:
  void Rest() {
    unanswered_ = 0;
    has_small_answer_ = false;
  }
  [[nodiscard]] uint64_t EnoughUs() const { return small_answer_us_ + kSettleUs; }

  uint32_t bytes_ = 0;
  uint32_t unanswered_ = 0;
  uint64_t first_asked_us_ = 0;  // of those unanswered
  uint64_t last_asked_us_ = 0;
  uint64_t small_answer_us_ = 0;  // the first one
  bool has_asked_ = false;
  bool carries_large_ = false;
  bool has_small_answer_ = false;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_SIZE_WATCH_H_
