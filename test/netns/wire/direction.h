// One direction of the wire: what happens to each segment, and the frames under way.
#ifndef OVERLAYD_TEST_NETNS_WIRE_DIRECTION_H_
#define OVERLAYD_TEST_NETNS_WIRE_DIRECTION_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "frame.h"

namespace wire {

/** All zero: a plain cable. */
struct Rules {
  int64_t delay_us = 0;
  /** Up to this much more, uniform; the order stays. */
  int64_t jitter_us = 0;
  /** Shares of the segments, 0 to 1. */
  double loss = 0;
  double duplicate = 0;
  double reorder = 0;
  /** How much later a segment comes that is reordered. */
  int64_t reorder_us = 10'000;
  /** Segments whose IP packet is larger are dropped; 0: none. */
  size_t cap_bytes = 0;
  /** Say "too big" to the sender when the cap drops. */
  bool has_icmp = false;
  bool is_cut = false;
  /** Of a train only the first segment goes on, as where a driver cuts it wrongly. */
  bool has_first_only = false;
};

/** In segments, but `frames` (as read) and `bytes` (IP, delivered). */
struct Counters {
  uint64_t frames = 0, segments = 0, delivered = 0, bytes = 0, lost = 0, duplicated = 0;
  uint64_t reordered = 0, capped = 0, cut = 0, tails = 0, icmp = 0, overflowed = 0, refused = 0;
  uint64_t largest = 0;
};

class Direction {
 public:
  /** @param to_fd the TAP that frames leave by
   *  @param back_fd the one they came from, for ICMP */
  Direction(int to_fd, int back_fd, uint64_t seed)
      : to_fd_(to_fd), back_fd_(back_fd), random_(seed) {}

  Rules rules;

  void Accept(const FrameView& frame, int64_t now_ns);

  /** Delivers what is due. */
  void Deliver(int64_t now_ns);

  /** INT64_MAX when nothing is under way. */
  int64_t NextDueNs() const { return under_way_.empty() ? INT64_MAX : under_way_.front().due_ns; }

  std::string CountersJson() const;

 private:
  struct UnderWay {
    int64_t due_ns;
    uint64_t order;
    Frame frame;
    bool operator<(const UnderWay& other) const {  // a heap has its greatest in front
      return due_ns != other.due_ns ? due_ns > other.due_ns : order > other.order;
    }
  };

  bool Happens(double share);
  /** Segments [first, end) go on together. */
  void Forward(const FrameView& frame, size_t first, size_t end, int64_t now_ns);
  void Enqueue(Frame frame, int64_t due_ns);
  void Write(const VnetHeader& header, std::span<const uint8_t> bytes);

  int to_fd_;
  int back_fd_;
  std::mt19937_64 random_;
  std::vector<UnderWay> under_way_;
  size_t under_way_bytes_ = 0;
  int64_t last_due_ns_ = 0;
  uint64_t next_order_ = 0;
  Counters counters_;
};

}  // namespace wire

#endif  // OVERLAYD_TEST_NETNS_WIRE_DIRECTION_H_
