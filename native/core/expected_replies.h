#ifndef OVERLAYD_NATIVE_CORE_EXPECTED_REPLIES_H_
#define OVERLAYD_NATIVE_CORE_EXPECTED_REPLIES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "native/core/keyed_hash.h"

namespace overlayd::core {

/// Indexes of ours in handshakes we sent lately. They are random, so only those who saw the
/// datagram can answer with one; a stranger who forges RESPs or FINs has to guess 32 bits. 1024
/// sets of 4 places; what is noted when all four are live replaces the oldest, which then is
/// treated like a stranger's. Not thread-safe.
class ExpectedReplies {
 public:
  /// Longer than any handshake lasts: 5 s of INITs, 4 s of FINs.
  static constexpr uint64_t kLifetimeMs = 15'000;
  /// Answers to one index, so that somebody on the path cannot flood with one he saw.
  static constexpr uint16_t kAnswers = 32;

  explicit ExpectedReplies(HashSeed seed);

  void Note(uint32_t index, uint64_t now_ms);

  /// True when the index is noted and has answers left; takes one.
  [[nodiscard]] bool Take(uint32_t index, uint64_t now_ms);

 private:
  static constexpr size_t kWays = 4;
  static constexpr size_t kSets = 1024;

  struct Place {
    uint64_t until_ms = 0;
    uint32_t index = 0;
    uint16_t left = 0;
  };

  Place* SetOf(uint32_t index) { return &places_[HashPair(seed_, index, 0) % kSets * kWays]; }

  HashSeed seed_;
  std::vector<Place> places_;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_EXPECTED_REPLIES_H_
