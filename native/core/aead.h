// The three suites of docs/protocol.md §3, each by the fastest provider of this machine.
//
// A datagram is sealed as  header 16 (= AAD) · ciphertext · tag 16.  The header holds type, key phase, receiver index
// and counter, so nonce and AAD both come from it:
//
//   chacha20poly1305, aes256gcm   nonce = iv[0..12) XOR (0^4 || counter)
//   xsalsa20poly1305              nonce = iv[0..24) XOR (header 16 || 0^8), NaCl secretbox, no AAD: each header bit
//                                 selects another one-time key, so the header is authenticated all the same
#ifndef OVERLAYD_NATIVE_CORE_AEAD_H_
#define OVERLAYD_NATIVE_CORE_AEAD_H_

#include <cstddef>
#include <cstdint>

#include "native/core/wire.h"

namespace overlayd::core {

inline constexpr size_t kAeadKeySize = 32;
inline constexpr size_t kAeadIvSize = 24;

enum class Suite : uint8_t { kChaCha20Poly1305 = 1, kAes256Gcm = 2, kXSalsa20Poly1305 = 4 };

// An expanded key of one direction and phase. Flat, so that it may live in a mapping shared with a successor process;
// providers want 64-byte alignment of `state` (ipsec-mb stores to it with aligned vectors).
struct alignas(64) AeadKey {
  uint8_t state[1024];
  uint8_t iv[kAeadIvSize];
};

// Per-thread working memory of the providers.
struct alignas(64) AeadScratch {
  uint8_t bytes[256];
};

struct Aead {
  const char* provider;
  Suite suite;
  void (*expand)(AeadKey* key, const uint8_t secret[kAeadKeySize], const uint8_t iv[kAeadIvSize]);
  // Seals `size` bytes at `plain` to `out`, and the tag behind it. `out` may equal `plain`; else they do not overlap.
  void (*seal)(const AeadKey& key, AeadScratch& scratch, const uint8_t header[kDataHeaderSize],
               uint64_t counter, const uint8_t* plain, size_t size, uint8_t* out);
  // Opens in place: `size` bytes of ciphertext followed by the tag. False (and garbage) when the tag is wrong.
  bool (*open)(const AeadKey& key, AeadScratch& scratch, const uint8_t header[kDataHeaderSize],
               uint64_t counter, uint8_t* data, size_t size);
};

// Which providers may be used; the benchmark asks for one by name.
enum class ProviderChoice : uint8_t { kFastest, kLibsodiumOnly };

// The implementation of a suite on this machine, or nullptr when it has none (AES without hardware). Safe to call from
// one thread at a time; call once at start, before any thread uses the result.
const Aead* FindAead(Suite suite, ProviderChoice choice);

// Nanoseconds to seal one packet of `size` bytes, the best of a few short rounds (about 1 ms in all).
double MeasureSealNs(const Aead& aead, size_t size);

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_AEAD_H_
