#ifndef OVERLAYD_NATIVE_CORE_TOKEN_BUCKET_H_
#define OVERLAYD_NATIVE_CORE_TOKEN_BUCKET_H_

#include <algorithm>
#include <cstdint>

namespace overlayd::core {

/// `burst` tokens at most, refilled by `milli_per_second` thousandths of a token each second.
struct TokenRate {
  uint32_t burst;
  uint32_t milli_per_second;
};

/// Token bucket in integers (millionths of a token), full at first. Flat, one thread or the owner's
/// lock. Time that stands still or goes back refills nothing.
class TokenBucket {
 public:
  constexpr explicit TokenBucket(TokenRate rate) : rate_(rate), micro_(Capacity()) {}

  /// All of them or none.
  [[nodiscard]] bool TryTake(uint64_t now_ms, uint32_t tokens = 1) {
    Refill(now_ms);
    if (micro_ < tokens * kToken) return false;
    micro_ -= tokens * kToken;
    return true;
  }

  /// Gives one back, up to the burst.
  void Return() { micro_ = std::min(micro_ + kToken, Capacity()); }

  /// Whole tokens there now.
  [[nodiscard]] uint32_t Tokens(uint64_t now_ms) const {
    return static_cast<uint32_t>(MicroAt(now_ms) / kToken);
  }

  /// Full means: as if never used.
  [[nodiscard]] bool IsFull(uint64_t now_ms) const { return MicroAt(now_ms) >= Capacity(); }

  [[nodiscard]] bool IsHalfFull(uint64_t now_ms) const { return MicroAt(now_ms) * 2 >= Capacity(); }

 private:
  static constexpr uint64_t kToken = 1'000'000;

  [[nodiscard]] constexpr uint64_t Capacity() const { return rate_.burst * kToken; }

  [[nodiscard]] uint64_t MicroAt(uint64_t now_ms) const {
    if (now_ms <= updated_ms_) return micro_;
    const uint64_t elapsed_ms = now_ms - updated_ms_;
    // One thousandth a second is one millionth a millisecond. Comparing first keeps the product
    // from overflowing.
    const uint64_t missing = Capacity() - micro_;
    if (rate_.milli_per_second == 0) return micro_;
    if (elapsed_ms > missing / rate_.milli_per_second) return Capacity();
    return micro_ + elapsed_ms * rate_.milli_per_second;
  }

  void Refill(uint64_t now_ms) {
    micro_ = MicroAt(now_ms);
    updated_ms_ = std::max(updated_ms_, now_ms);
  }

  TokenRate rate_;
  uint64_t micro_;
  uint64_t updated_ms_ = 0;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_TOKEN_BUCKET_H_
