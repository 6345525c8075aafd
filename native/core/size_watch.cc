#include "native/core/size_watch.h"

#include <algorithm>

namespace overlayd::core {

SizeWatch::TickResult SizeWatch::Tick(uint64_t now_us, const Path& path) {
  if (path.bytes != bytes_) {  // another size is another question
    bytes_ = path.bytes;
    carries_large_ = false;
    Rest();
  }
  carries_large_ |= path.carries_large;
  TickResult result;
  if (path.bytes <= kFloorBytes) return result;
  if (unanswered_ == 0) {
    if (!carries_large_) return result;
    const uint64_t due_us = has_asked_ ? last_asked_us_ + kEveryUs : now_us;
    result.ask = now_us >= due_us;
    result.next_deadline_us = result.ask ? now_us + kLeastPatienceUs : due_us;
    return result;
  }
  const uint64_t patience_us = std::max(kLeastPatienceUs, path.patience_us);
  if (now_us < last_asked_us_ + patience_us) {
    result.next_deadline_us = last_asked_us_ + patience_us;
    return result;
  }
  const uint32_t enough =
      std::min(kUnansweredMost, kUnanswered + path.loss_permille / kLossPermillePerMore);
  if (unanswered_ >= enough && has_small_answer_) {
    if (now_us < EnoughUs()) {
      result.next_deadline_us = EnoughUs();
      return result;
    }
    Rest();
    carries_large_ = false;
    result.is_lost = true;
    return result;
  }
  // Without small answers either the path is silent, which is its clock's affair: no hurry then.
  result.ask = unanswered_ < enough || now_us >= last_asked_us_ + kEveryUs;
  result.next_deadline_us = now_us + patience_us;
  return result;
}

void SizeWatch::OnAsked(uint64_t now_us) {
  if (unanswered_ == 0) first_asked_us_ = now_us;
  last_asked_us_ = now_us;
  has_asked_ = true;
  carries_large_ = false;
  ++unanswered_;
}

void SizeWatch::OnSmallAnswered(uint64_t now_us, uint64_t sent_us) {
  if (unanswered_ == 0 || sent_us < first_asked_us_ || has_small_answer_) return;
  has_small_answer_ = true;
  small_answer_us_ = now_us;
}

}  // namespace overlayd::core
