#include "native/os/password_hash.h"

#include <sodium.h>

namespace overlayd::os {

bool HashPassword(std::span<const uint8_t> password, std::span<const uint8_t> salt, uint64_t passes,
                  size_t memory_bytes, std::span<uint8_t> out) {
  // It also chooses the implementation for this processor; repeated calls do nothing.
  if (sodium_init() < 0 || salt.size() != crypto_pwhash_argon2id_SALTBYTES) return false;
  return crypto_pwhash_argon2id(out.data(), out.size(),
                                reinterpret_cast<const char*>(password.data()), password.size(),
                                salt.data(), passes, memory_bytes,
                                crypto_pwhash_argon2id_ALG_ARGON2ID13) == 0;
}

}  // namespace overlayd::os
