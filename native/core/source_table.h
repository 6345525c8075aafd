#ifndef OVERLAYD_NATIVE_CORE_SOURCE_TABLE_H_
#define OVERLAYD_NATIVE_CORE_SOURCE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "native/core/keyed_hash.h"
#include "native/core/source_address.h"
#include "native/core/token_bucket.h"

/*
 * The buckets of each source that recently asked to join: one per SourceKey.
 *
 * 4096 places, 512 sets of 8, the set chosen by a hash under a random seed. A source without a
 * place has full buckets, so a place whose buckets are full again may be given away: nothing is
 * forgotten by that.
 *
 * Many sources cannot push out one that matters: the gate makes a place only when it takes a node
 * token too (64, then 8 a second), and a source bucket is full again after 25 s, so at most 64 + 8
 * * 25 = 264 of 4096 places are in use in the sense above. If by chance all 8 of a set are, the one
 * nearest to full is given away - the least is forgotten, at most that source's five guesses, and
 * the node bucket still counts every guess of everybody.
 */
namespace overlayd::core {

struct SourceBuckets {
  /// Guesses: 5, one more every 5 s.
  static constexpr TokenRate kGuessRate{5, 200};
  /// INITs at all: 20/s.
  static constexpr TokenRate kInitRate{20, 20'000};

  TokenBucket guesses{kGuessRate};
  TokenBucket inits{kInitRate};
};

class SourceTable {
 public:
  static constexpr size_t kPlaces = 4096;

  explicit SourceTable(HashSeed seed);

  /// The buckets of this source, or null when they are full (it has no place). Borrowed until the
  /// next FindOrAdd.
  [[nodiscard]] SourceBuckets* Find(const SourceAddress& from);
  [[nodiscard]] SourceBuckets& FindOrAdd(const SourceAddress& from, uint64_t now_ms);

 private:
  static constexpr size_t kWays = 8;
  static constexpr size_t kSets = kPlaces / kWays;

  struct Place {
    SourceKey key;
    bool is_used = false;
    SourceBuckets buckets;
  };

  Place* SetOf(const SourceKey& key);

  HashSeed seed_;
  std::vector<Place> places_;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_SOURCE_TABLE_H_
