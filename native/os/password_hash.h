#ifndef OVERLAYD_NATIVE_OS_PASSWORD_HASH_H_
#define OVERLAYD_NATIVE_OS_PASSWORD_HASH_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace overlayd::os {

/// Argon2id (RFC 9106, version 0x13, one lane) of libsodium: three times faster than its WASM build, and its memory goes
/// back to the system when it ends. Blocks for some 150 ms; any thread. `salt` has 16 bytes, `out` at least 16,
/// `memory_bytes` at least 8192. False: out of memory, or a size that libsodium refuses.
[[nodiscard]] bool HashPassword(std::span<const uint8_t> password, std::span<const uint8_t> salt,
                                uint64_t passes, size_t memory_bytes, std::span<uint8_t> out);

}  // namespace overlayd::os

#endif  // OVERLAYD_NATIVE_OS_PASSWORD_HASH_H_
