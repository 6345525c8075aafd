#include "native/core/source_table.h"

namespace overlayd::core {

SourceTable::SourceTable(HashSeed seed) : seed_(seed), places_(kPlaces) {}

SourceTable::Place* SourceTable::SetOf(const SourceKey& key) {
  return &places_[HashPair(seed_, key.high, key.low) % kSets * kWays];
}

SourceBuckets* SourceTable::Find(const SourceAddress& from) {
  const SourceKey key = SourceKeyOf(from);
  Place* set = SetOf(key);
  for (size_t way = 0; way < kWays; ++way) {
    if (set[way].is_used && set[way].key == key) return &set[way].buckets;
  }
  return nullptr;
}

SourceBuckets& SourceTable::FindOrAdd(const SourceAddress& from, uint64_t now_ms) {
  if (SourceBuckets* found = Find(from)) return *found;
  const SourceKey key = SourceKeyOf(from);
  Place* set = SetOf(key);
  Place* chosen = nullptr;
  uint32_t most_tokens = 0;
  for (size_t way = 0; way < kWays; ++way) {
    Place& place = set[way];
    if (!place.is_used ||
        (place.buckets.guesses.IsFull(now_ms) && place.buckets.inits.IsFull(now_ms))) {
      chosen = &place;
      break;
    }
    const uint32_t tokens = place.buckets.guesses.Tokens(now_ms);
    if (chosen == nullptr || tokens > most_tokens) {
      chosen = &place;
      most_tokens = tokens;
    }
  }
  *chosen = Place{key, true, {}};
  return chosen->buckets;
}

}  // namespace overlayd::core
