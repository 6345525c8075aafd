#include "native/engine/event_ring.h"

#include <iterator>
#include <utility>

namespace overlayd::engine {

bool EventRing::Push(Ring ring, Event event) {
  bool must_wake = false;
  bool is_taken = true;
  {
    const std::lock_guard guard(mutex_);
    std::deque<Event>& queue = rings_[static_cast<size_t>(ring)];
    constexpr size_t kLimits[] = {kMaxInits, kMaxHandshakes, kMaxAuthenticated};
    is_taken = queue.size() < kLimits[static_cast<size_t>(ring)];
    // Whatever a member can cause at will counts; phases and limits of a session come once.
    const bool is_at_will =
        event.kind != EventKind::kPhaseConfirmed && event.kind != EventKind::kSessionLimit;
    if (is_taken && ring == Ring::kAuthenticated && event.session != 0 && is_at_will) {
      size_t& waiting = by_session_[event.session];
      is_taken =
          waiting < kMaxPerSession && control_bytes_ + event.bytes.size() <= kMaxControlBytes;
      if (is_taken) {
        ++waiting;
        control_bytes_ += event.bytes.size();
      }
    }
    if (is_taken) {
      queue.push_back(std::move(event));
    } else if (ring != Ring::kInit) {
      ++lost_;
    }
    must_wake = !std::exchange(is_told_, true);
  }
  if (must_wake) wake_();
  return is_taken;
}

std::vector<Event> EventRing::Drain() {
  std::vector<Event> out;
  const std::lock_guard guard(mutex_);
  is_told_ = false;
  out.reserve(rings_[0].size() + rings_[1].size() + rings_[2].size() + 1);
  for (size_t ring = rings_.size(); ring-- > 0;) {
    std::move(rings_[ring].begin(), rings_[ring].end(), std::back_inserter(out));
    rings_[ring].clear();
  }
  by_session_.clear();
  control_bytes_ = 0;
  if (lost_ != 0) {
    Event overflow{.kind = EventKind::kOverflow};
    overflow.value = std::exchange(lost_, 0);
    out.push_back(std::move(overflow));
  }
  return out;
}

}  // namespace overlayd::engine
