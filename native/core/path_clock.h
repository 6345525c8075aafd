#ifndef OVERLAYD_NATIVE_CORE_PATH_CLOCK_H_
#define OVERLAYD_NATIVE_CORE_PATH_CLOCK_H_

#include <array>
#include <cstddef>
#include <cstdint>

/*
 * The clock of one path: when to PING, how long answers take, whether the path is alive.
 * docs/protocol.md#6.
 *
 *                 answer                       three unanswered and 8 x srtt
 *   unknown ───────────────────> alive ────────────────────────────────────────> dead
 *      │                           ^                                               │
 *      │                           └──────────────────── answer ───────────────────┤
 *      └────── three unanswered and 800 ms: reported dead ─────────────────────────>
 *
 *   PING is due   at once               for a new path, or after Kick
 *                 every 200 ms          while the path carried frames in the last second
 *                 every 15 s            otherwise; but while one is unanswered, again after
 *                                       max(200 ms, the time an answer may take)
 *                 200 ms x 2^n          while dead, after the n-th PING since (n from 0), at most
 *                                       10 s; another limit can be set (60 s, 1 h)
 *
 * Alive means that something we sent was answered; traffic that merely arrives says nothing about
 * our direction. srtt and rttvar by RFC 6298; loss over the last 32 PINGs whose fate is known.
 *
 * The owner calls Tick at the deadline or earlier (as often as it likes), sends a PING when told
 * and then calls OnSent, also when the kernel refused to send: the attempt counts, and a path that
 * cannot send is dead soon. Sequences of path PINGs have the top bit clear; padded probes for the
 * MTU set it, and their answers go to OnProbeAnswered: a lost probe is no loss of the path. Flat,
 * no pointers, one thread or the owner's lock. Time in µs of a monotonic clock.
 */
namespace overlayd::core {

/// Set in the sequence of a padded probe.
inline constexpr uint32_t kProbeSequenceBit = 0x8000'0000;
/// Set beside it when nobody but size_watch.h waits for the answer.
inline constexpr uint32_t kWatchSequenceBit = 0x4000'0000;

class PathClock {
 public:
  static constexpr uint64_t kBusyIntervalUs = 200'000;
  static constexpr uint64_t kIdleIntervalUs = 15'000'000;
  static constexpr uint64_t kBusyForUs = 1'000'000;
  static constexpr uint64_t kBackoffLimitUs = 10'000'000;
  /// Assumed before the first answer; 8 of it make 800 ms.
  static constexpr uint32_t kInitialSrttUs = 100'000;
  static constexpr uint32_t kUnansweredToDie = 3;
  static constexpr size_t kWindow = 32;

  enum class State : uint8_t { kUnknown, kAlive, kDead };

  struct TickResult {
    bool send_ping = false;    ///< Send one with NextSequence() and call OnSent.
    bool became_dead = false;  ///< Report it; once until the next answer.
    uint64_t next_deadline_us =
        0;  ///< Call Tick then at the latest; with send_ping, valid if OnSent follows now.
  };
  struct PongResult {
    bool is_known = false;      ///< Answers one of the last 32 PINGs, for the first time.
    bool became_alive = false;  ///< Report it with the rtt.
    uint32_t rtt_us = 0;
    uint64_t sent_us = 0;
  };

  [[nodiscard]] uint32_t NextSequence() const { return next_sequence_; }

  void OnSent(uint64_t now_us, uint32_t sequence);
  PongResult OnPong(uint64_t now_us, uint32_t sequence);

  /// A padded probe came back: the path is alive, timing and loss are not touched. True: became
  /// alive.
  bool OnProbeAnswered(uint64_t now_us);

  /// `carried_frames`: the path carried frames since the last Tick, in either direction.
  TickResult Tick(uint64_t now_us, bool carried_frames);

  /// News of the peer or of the network: PING at once, back-off from the start.
  void Kick();

  /// Longest pause between PINGs of a dead path.
  void SetBackoffLimit(uint64_t limit_us) { backoff_limit_us_ = limit_us; }

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool IsAlive() const { return state_ == State::kAlive; }
  /// 0 until the first answer.
  [[nodiscard]] uint32_t SrttUs() const { return has_rtt_ ? srtt_us_ : 0; }
  [[nodiscard]] uint32_t RttvarUs() const { return has_rtt_ ? rttvar_us_ : 0; }
  /// Unanswered thousandths of the last 32 PINGs whose fate is known.
  [[nodiscard]] uint32_t LossPermille(uint64_t now_us) const;
  /// How long an answer may reasonably take: srtt + 4 rttvar, at least 20 ms for a busy peer.
  [[nodiscard]] uint64_t PatienceUs() const;

 private:
  /// One of the last 32 PINGs, at its sequence modulo 32.
  struct Sent {
    uint64_t at_us = 0;
    uint32_t sequence = 0;
    bool is_used = false;
    bool is_answered = false;
  };

  /// Doubled by each PING, so the pause behind the first one is 200 ms.
  /// The first PINGs of a path also wait for neighbour resolution and for state in NATs: a second or three that say
  /// nothing about the path.
  static constexpr uint32_t kColdSamples = 4;
  static constexpr uint64_t kFirstBackoffUs = kBusyIntervalUs / 2;

  [[nodiscard]] uint64_t DeathUs(uint64_t third_us) const;
  [[nodiscard]] uint64_t NextPingUs(uint64_t now_us) const;
  [[nodiscard]] bool IsBusy(uint64_t now_us) const;
  void UpdateRtt(uint32_t rtt_us);
  bool BecomeAlive();

  std::array<Sent, kWindow> sent_{};
  uint64_t last_sent_us_ = 0;
  uint64_t last_carried_us_ = 0;
  /// Of the PINGs sent since the last answer: how many, and when the first and the third.
  uint64_t first_unanswered_us_ = 0;
  uint64_t third_unanswered_us_ = 0;
  uint64_t backoff_limit_us_ = kBackoffLimitUs;
  uint64_t backoff_us_ = kFirstBackoffUs;
  uint32_t unanswered_ = 0;
  uint32_t next_sequence_ = 0;
  uint32_t rtt_samples_ = 0;  // up to kColdSamples
  uint32_t srtt_us_ = kInitialSrttUs;
  uint32_t rttvar_us_ = kInitialSrttUs / 2;
  State state_ = State::kUnknown;
  bool has_rtt_ = false;
  bool has_sent_ = false;
  bool has_carried_ = false;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_PATH_CLOCK_H_
