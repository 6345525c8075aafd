#ifndef OVERLAYD_BENCH_NATIVE_NULL_AEAD_H_
#define OVERLAYD_BENCH_NATIVE_NULL_AEAD_H_

#include <cstring>

#include "bench/native/uncounted.h"
#include "native/core/aead.h"

namespace overlayd::bench {

/// Neither encrypts nor checks: what is left is our own work. The product finds its AEADs by core::FindAead, which does
/// not know this one.
inline constexpr core::Aead kNullAead{
    "null",
    core::Suite::kAes256Gcm,
    [](core::AeadKey* key, const uint8_t*, const uint8_t*) { std::memset(key, 0, sizeof *key); },
    [](const core::AeadKey&, core::AeadScratch&, const uint8_t*, uint64_t, const uint8_t* plain,
       size_t size, uint8_t* out) {
      const Uncounted cipher;
      std::memmove(out, plain, size);
      std::memset(out + size, 0, core::kTagSize);
    },
    [](const core::AeadKey&, core::AeadScratch&, const uint8_t*, uint64_t, uint8_t*, size_t) {
      return true;
    },
};

}  // namespace overlayd::bench

#endif  // OVERLAYD_BENCH_NATIVE_NULL_AEAD_H_
