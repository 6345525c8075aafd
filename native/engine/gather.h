#ifndef OVERLAYD_NATIVE_ENGINE_GATHER_H_
#define OVERLAYD_NATIVE_ENGINE_GATHER_H_

#include <cstdint>

/*
 * Leaving small frames at the TAP for a moment, so that one turn takes many.
 *
 *   sender   f f f f f f f f ...         f f f f f f f f ...
 *   tx       wake, 1, sleep, wake, 1 ... | pause      | 8 in one train | pause
 *
 * Who takes each frame as it comes sleeps after each and is woken by the next: two switches, a send and a wake-up of the
 * receiver for a frame, and the sender waits for all that where they share a CPU. So it falls behind, and what it then
 * sends at once is more than the queue of a socket holds at the far side. A pause between turns makes a train of what
 * comes meanwhile, and the bursts small.
 *
 * A frame waits up to the pause for that. So there is one only where so many small frames came of late that several come
 * in a pause, and while a turn finds few: a queue that is full is not left to itself. Super-frames of TCP are large.
 */
namespace overlayd::engine {

class Gather {
 public:
  static constexpr uint32_t kPauseUs = 200;
  /// So many frames a millisecond, of this mean size at most, are worth a pause.
  static constexpr uint64_t kDensePerMs = 40;
  static constexpr uint64_t kSmallBytes = 512;
  /// A turn that moved so many goes on at once.
  static constexpr uint64_t kManyAtOnce = 64;

  /// To be asked after each turn, with what was read until then in all. Microseconds; 0: no pause.
  [[nodiscard]] uint32_t PauseUs(uint64_t frames, uint64_t bytes, uint64_t now_ms) {
    if (now_ms != since_ms_) {
      const uint64_t count = frames - frames_then_;
      is_dense_ =
          count >= kDensePerMs * (now_ms - since_ms_) && bytes - bytes_then_ <= count * kSmallBytes;
      since_ms_ = now_ms;
      frames_then_ = frames;
      bytes_then_ = bytes;
    }
    const uint64_t in_turn = frames - frames_before_;
    frames_before_ = frames;
    return is_dense_ && in_turn < kManyAtOnce ? kPauseUs : 0;
  }

 private:
  bool is_dense_ = false;
  uint64_t since_ms_ = 0;  // of the count that is under way
  uint64_t frames_then_ = 0;
  uint64_t bytes_then_ = 0;
  uint64_t frames_before_ = 0;  // this turn
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_GATHER_H_
