#ifndef OVERLAYD_NATIVE_CORE_RESUME_TABLE_H_
#define OVERLAYD_NATIVE_CORE_RESUME_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "native/core/handshake_layout.h"
#include "native/core/keyed_hash.h"
#include "native/core/token_bucket.h"

namespace overlayd::core {

/// Resumption hints of known members and the pair keys behind them, set by the control plane. Open
/// addressing with backward-shift deletion, at most kMaxHints in twice as many places. Keys are
/// wiped when they leave. Not thread-safe.
class ResumeTable {
 public:
  static constexpr size_t kMaxHints = 8192;
  /// A hint lets in one attempt to all candidates (4 repeats each), then 2/s.
  static constexpr TokenRate kHintRate{16, 2'000};

  struct Entry {
    std::array<uint8_t, kHintBytes> hint{};
    std::array<uint8_t, kPairKeyBytes> pair_key{};
    TokenBucket inits{kHintRate};
    bool is_used = false;
  };

  explicit ResumeTable(HashSeed seed);
  ~ResumeTable();
  ResumeTable(const ResumeTable&) = delete;
  ResumeTable& operator=(const ResumeTable&) = delete;

  /// False when the table is full.
  [[nodiscard]] bool Set(std::span<const uint8_t, kHintBytes> hint,
                         std::span<const uint8_t, kPairKeyBytes> pair_key);
  void Remove(std::span<const uint8_t, kHintBytes> hint);

  /// Borrowed until the next Set or Remove; null when unknown.
  [[nodiscard]] Entry* Find(std::span<const uint8_t, kHintBytes> hint);

  [[nodiscard]] size_t size() const { return size_; }

 private:
  static constexpr size_t kPlaces = 2 * kMaxHints;

  [[nodiscard]] size_t HomeOf(std::span<const uint8_t, kHintBytes> hint) const;

  HashSeed seed_;
  std::vector<Entry> places_;
  size_t size_ = 0;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_RESUME_TABLE_H_
