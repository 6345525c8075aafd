#include "native/core/cookie_jar.h"

#include <sodium.h>

#include <cstring>
#include <utility>

#include "native/core/bytes.h"

namespace overlayd::core {
namespace {

void Digest(const uint8_t* secret, size_t secret_bytes, const SourceAddress& from,
            uint32_t sender_index, uint8_t* out) {
  uint8_t input[22];
  std::memcpy(input, from.ip.data(), 16);
  StoreLe16(input + 16, from.port);
  StoreLe32(input + 18, sender_index);
  crypto_generichash(out, kCookieBytes, input, sizeof input, secret, secret_bytes);
}

}  // namespace

CookieJar::CookieJar(RandomBytes random) : random_(std::move(random)) {
  random_(current_);
  random_(previous_);
}

CookieJar::~CookieJar() {
  sodium_memzero(current_, sizeof current_);
  sodium_memzero(previous_, sizeof previous_);
}

void CookieJar::Make(const SourceAddress& from, uint32_t sender_index, uint64_t now_ms,
                     std::span<uint8_t, kCookieBytes> out) {
  Rotate(now_ms);
  Digest(current_, sizeof current_, from, sender_index, out.data());
}

bool CookieJar::Verify(const SourceAddress& from, uint32_t sender_index,
                       std::span<const uint8_t, kCookieBytes> cookie, uint64_t now_ms) {
  Rotate(now_ms);
  uint8_t expected[kCookieBytes];
  Digest(current_, sizeof current_, from, sender_index, expected);
  if (sodium_memcmp(expected, cookie.data(), kCookieBytes) == 0) return true;
  Digest(previous_, sizeof previous_, from, sender_index, expected);
  return sodium_memcmp(expected, cookie.data(), kCookieBytes) == 0;
}

void CookieJar::Rotate(uint64_t now_ms) {
  if (!is_started_) {
    is_started_ = true;
    rotated_ms_ = now_ms;
    return;
  }
  if (now_ms < rotated_ms_ || now_ms - rotated_ms_ < kRotateMs) return;
  // After a quiet time the secret before is too old as well.
  if (now_ms - rotated_ms_ >= 2 * kRotateMs) {
    random_(previous_);
  } else {
    std::memcpy(previous_, current_, sizeof current_);
  }
  random_(current_);
  rotated_ms_ = now_ms;
}

}  // namespace overlayd::core
