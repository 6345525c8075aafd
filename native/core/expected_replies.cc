#include "native/core/expected_replies.h"

namespace overlayd::core {

ExpectedReplies::ExpectedReplies(HashSeed seed) : seed_(seed), places_(kSets * kWays) {}

void ExpectedReplies::Note(uint32_t index, uint64_t now_ms) {
  if (index == 0) return;
  Place* set = SetOf(index);
  Place* chosen = set;
  for (size_t way = 0; way < kWays; ++way) {
    if (set[way].index == index) {
      // A repetition of what was sent: more time, not more answers.
      chosen = &set[way];
      if (now_ms <= chosen->until_ms) {
        chosen->until_ms = now_ms + kLifetimeMs;
        return;
      }
      break;
    }
    if (set[way].until_ms < chosen->until_ms) chosen = &set[way];
  }
  *chosen = {now_ms + kLifetimeMs, index, kAnswers};
}

bool ExpectedReplies::Take(uint32_t index, uint64_t now_ms) {
  if (index == 0) return false;
  Place* set = SetOf(index);
  for (size_t way = 0; way < kWays; ++way) {
    Place& place = set[way];
    if (place.index != index) continue;
    if (now_ms > place.until_ms || place.left == 0) return false;
    --place.left;
    return true;
  }
  return false;
}

}  // namespace overlayd::core
