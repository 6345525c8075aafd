#ifndef OVERLAYD_NATIVE_CORE_COOKIE_JAR_H_
#define OVERLAYD_NATIVE_CORE_COOKIE_JAR_H_

#include <cstdint>
#include <functional>
#include <span>

#include "native/core/handshake_layout.h"
#include "native/core/source_address.h"

namespace overlayd::core {

/// Fills the span with unpredictable bytes; injected, since core makes no syscalls.
using RandomBytes = std::function<void(std::span<uint8_t>)>;

/// Makes and checks cookies without remembering anyone: keyed BLAKE2b-128(secret, address || port
/// || sender_index). The secret is replaced every 120 s, the one before still accepted, so a cookie
/// lives 120 to 240 s. Not thread-safe.
class CookieJar {
 public:
  static constexpr uint64_t kRotateMs = 120'000;

  explicit CookieJar(RandomBytes random);
  ~CookieJar();
  CookieJar(const CookieJar&) = delete;
  CookieJar& operator=(const CookieJar&) = delete;

  void Make(const SourceAddress& from, uint32_t sender_index, uint64_t now_ms,
            std::span<uint8_t, kCookieBytes> out);

  /// Constant-time in the cookie's value.
  [[nodiscard]] bool Verify(const SourceAddress& from, uint32_t sender_index,
                            std::span<const uint8_t, kCookieBytes> cookie, uint64_t now_ms);

 private:
  static constexpr size_t kSecretBytes = 32;

  void Rotate(uint64_t now_ms);

  RandomBytes random_;
  uint8_t current_[kSecretBytes];
  uint8_t previous_[kSecretBytes];
  uint64_t rotated_ms_ = 0;
  bool is_started_ = false;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_COOKIE_JAR_H_
