#include "native/core/aead.h"

#include <sodium.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#if !defined(OVERLAYD_NO_IPSEC_MB) && defined(__x86_64__) && __has_include(<intel-ipsec-mb.h>)
#define OVERLAYD_HAS_IPSEC_MB 1
#include <intel-ipsec-mb.h>
#endif

namespace overlayd::core {
namespace {

void StoreNonce12(const AeadKey& key, uint64_t counter, uint8_t nonce[12]) {
  std::memcpy(nonce, key.iv, 12);
  for (int i = 0; i < 8; ++i) nonce[4 + i] ^= static_cast<uint8_t>(counter >> (8 * i));
}

// --- libsodium: the portable base ---

void SodiumExpandRaw(AeadKey* key, const uint8_t secret[kAeadKeySize],
                     const uint8_t iv[kAeadIvSize]) {
  std::memcpy(key->state, secret, kAeadKeySize);
  std::memcpy(key->iv, iv, kAeadIvSize);
}

void SodiumChaChaSeal(const AeadKey& key, AeadScratch&, const uint8_t header[kDataHeaderSize],
                      uint64_t counter, const uint8_t* plain, size_t size, uint8_t* out) {
  uint8_t nonce[12];
  StoreNonce12(key, counter, nonce);
  crypto_aead_chacha20poly1305_ietf_encrypt_detached(out, out + size, nullptr, plain, size, header,
                                                     kDataHeaderSize, nullptr, nonce, key.state);
}

bool SodiumChaChaOpen(const AeadKey& key, AeadScratch&, const uint8_t header[kDataHeaderSize],
                      uint64_t counter, uint8_t* data, size_t size) {
  uint8_t nonce[12];
  StoreNonce12(key, counter, nonce);
  return crypto_aead_chacha20poly1305_ietf_decrypt_detached(data, nullptr, data, size, data + size,
                                                            header, kDataHeaderSize, nonce,
                                                            key.state) == 0;
}

void StoreNonce24(const AeadKey& key, const uint8_t header[kDataHeaderSize], uint8_t nonce[24]) {
  std::memcpy(nonce, key.iv, 24);
  for (size_t i = 0; i < kDataHeaderSize; ++i) nonce[i] ^= header[i];
}

void SodiumSecretboxSeal(const AeadKey& key, AeadScratch&, const uint8_t header[kDataHeaderSize],
                         uint64_t, const uint8_t* plain, size_t size, uint8_t* out) {
  uint8_t nonce[24];
  StoreNonce24(key, header, nonce);
  crypto_secretbox_detached(out, out + size, plain, size, nonce, key.state);
}

bool SodiumSecretboxOpen(const AeadKey& key, AeadScratch&, const uint8_t header[kDataHeaderSize],
                         uint64_t, uint8_t* data, size_t size) {
  uint8_t nonce[24];
  StoreNonce24(key, header, nonce);
  return crypto_secretbox_open_detached(data, data, data + size, size, nonce, key.state) == 0;
}

static_assert(sizeof(crypto_aead_aes256gcm_state) <= sizeof(AeadKey::state));

void SodiumAesExpand(AeadKey* key, const uint8_t secret[kAeadKeySize],
                     const uint8_t iv[kAeadIvSize]) {
  auto* state = reinterpret_cast<crypto_aead_aes256gcm_state*>(key->state);
  crypto_aead_aes256gcm_beforenm(state, secret);
  std::memcpy(key->iv, iv, kAeadIvSize);
}

void SodiumAesSeal(const AeadKey& key, AeadScratch&, const uint8_t header[kDataHeaderSize],
                   uint64_t counter, const uint8_t* plain, size_t size, uint8_t* out) {
  uint8_t nonce[12];
  StoreNonce12(key, counter, nonce);
  crypto_aead_aes256gcm_encrypt_detached_afternm(
      out, out + size, nullptr, plain, size, header, kDataHeaderSize, nullptr, nonce,
      reinterpret_cast<const crypto_aead_aes256gcm_state*>(key.state));
}

bool SodiumAesOpen(const AeadKey& key, AeadScratch&, const uint8_t header[kDataHeaderSize],
                   uint64_t counter, uint8_t* data, size_t size) {
  uint8_t nonce[12];
  StoreNonce12(key, counter, nonce);
  return crypto_aead_aes256gcm_decrypt_detached_afternm(
             data, nullptr, data, size, data + size, header, kDataHeaderSize, nonce,
             reinterpret_cast<const crypto_aead_aes256gcm_state*>(key.state)) == 0;
}

constexpr Aead kSodiumChaCha{"libsodium", Suite::kChaCha20Poly1305, SodiumExpandRaw,
                             SodiumChaChaSeal, SodiumChaChaOpen};
constexpr Aead kSodiumSecretbox{"libsodium", Suite::kXSalsa20Poly1305, SodiumExpandRaw,
                                SodiumSecretboxSeal, SodiumSecretboxOpen};
constexpr Aead kSodiumAes{"libsodium", Suite::kAes256Gcm, SodiumAesExpand, SodiumAesSeal,
                          SodiumAesOpen};

// --- ipsec-mb: made for packets; the direct API, one call a packet ---

#ifdef OVERLAYD_HAS_IPSEC_MB

// Constant time: 16 bytes.
bool EqualTags(const uint8_t* a, const uint8_t* b) {
  uint64_t x[2];
  uint64_t y[2];
  std::memcpy(x, a, 16);
  std::memcpy(y, b, 16);
  return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

static_assert(sizeof(gcm_key_data) <= sizeof(AeadKey::state));
static_assert(sizeof(gcm_context_data) <= sizeof(AeadScratch));
static_assert(sizeof(chacha20_poly1305_context_data) <= sizeof(AeadScratch));

// The manager is only a table of function pointers for the direct API: one serves all threads.
IMB_MGR* Manager() {
  static IMB_MGR* manager = [] {
    IMB_MGR* created = alloc_mb_mgr(0);
    if (created == nullptr) return created;
    init_mb_mgr_auto(created, nullptr);
    if (created->gcm256_enc == nullptr || imb_get_errno(created) != 0) {
      free_mb_mgr(created);
      created = nullptr;
    }
    return created;
  }();
  return manager;
}

IMB_MGR* g_manager = nullptr;

const gcm_key_data* GcmKey(const AeadKey& key) {
  return reinterpret_cast<const gcm_key_data*>(key.state);
}

void ImbAesExpand(AeadKey* key, const uint8_t secret[kAeadKeySize], const uint8_t iv[kAeadIvSize]) {
  IMB_AES256_GCM_PRE(g_manager, secret, reinterpret_cast<gcm_key_data*>(key->state));
  std::memcpy(key->iv, iv, kAeadIvSize);
}

void ImbAesSeal(const AeadKey& key, AeadScratch& scratch, const uint8_t header[kDataHeaderSize],
                uint64_t counter, const uint8_t* plain, size_t size, uint8_t* out) {
  uint8_t nonce[12];
  StoreNonce12(key, counter, nonce);
  auto* context = reinterpret_cast<gcm_context_data*>(scratch.bytes);
  IMB_AES256_GCM_ENC(g_manager, GcmKey(key), context, out, plain, size, nonce, header,
                     kDataHeaderSize, out + size, kTagSize);
}

bool ImbAesOpen(const AeadKey& key, AeadScratch& scratch, const uint8_t header[kDataHeaderSize],
                uint64_t counter, uint8_t* data, size_t size) {
  uint8_t nonce[12];
  StoreNonce12(key, counter, nonce);
  auto* context = reinterpret_cast<gcm_context_data*>(scratch.bytes);
  uint8_t tag[kTagSize];
  IMB_AES256_GCM_DEC(g_manager, GcmKey(key), context, data, data, size, nonce, header,
                     kDataHeaderSize, tag, kTagSize);
  return EqualTags(tag, data + size);
}

void ImbChaChaSeal(const AeadKey& key, AeadScratch& scratch, const uint8_t header[kDataHeaderSize],
                   uint64_t counter, const uint8_t* plain, size_t size, uint8_t* out) {
  uint8_t nonce[12];
  StoreNonce12(key, counter, nonce);
  auto* context = reinterpret_cast<chacha20_poly1305_context_data*>(scratch.bytes);
  IMB_CHACHA20_POLY1305_INIT(g_manager, key.state, context, nonce, header, kDataHeaderSize);
  IMB_CHACHA20_POLY1305_ENC_UPDATE(g_manager, key.state, context, out, plain, size);
  IMB_CHACHA20_POLY1305_ENC_FINALIZE(g_manager, context, out + size, kTagSize);
}

bool ImbChaChaOpen(const AeadKey& key, AeadScratch& scratch, const uint8_t header[kDataHeaderSize],
                   uint64_t counter, uint8_t* data, size_t size) {
  uint8_t nonce[12];
  StoreNonce12(key, counter, nonce);
  auto* context = reinterpret_cast<chacha20_poly1305_context_data*>(scratch.bytes);
  alignas(16) uint8_t tag[kTagSize];
  IMB_CHACHA20_POLY1305_INIT(g_manager, key.state, context, nonce, header, kDataHeaderSize);
  IMB_CHACHA20_POLY1305_DEC_UPDATE(g_manager, key.state, context, data, data, size);
  IMB_CHACHA20_POLY1305_DEC_FINALIZE(g_manager, context, tag, kTagSize);
  return EqualTags(tag, data + size);
}

constexpr Aead kImbAes{"ipsec-mb", Suite::kAes256Gcm, ImbAesExpand, ImbAesSeal, ImbAesOpen};
constexpr Aead kImbChaCha{"ipsec-mb", Suite::kChaCha20Poly1305, SodiumExpandRaw, ImbChaChaSeal,
                          ImbChaChaOpen};

#endif  // OVERLAYD_HAS_IPSEC_MB

}  // namespace

const Aead* FindAead(Suite suite, ProviderChoice choice) {
  if (sodium_init() < 0) return nullptr;
#ifdef OVERLAYD_HAS_IPSEC_MB
  const bool has_packet_provider = suite == Suite::kAes256Gcm || suite == Suite::kChaCha20Poly1305;
  if (choice == ProviderChoice::kFastest && has_packet_provider) {
    if (g_manager == nullptr) g_manager = Manager();
    // Without AES-NI the manager runs table look-ups, which leak through the cache: libsodium refuses those, so do we.
    if (g_manager != nullptr && (g_manager->features & IMB_FEATURE_AESNI) != 0) {
      return suite == Suite::kAes256Gcm ? &kImbAes : &kImbChaCha;
    }
  }
#else
  (void)choice;
#endif
  switch (suite) {
    case Suite::kChaCha20Poly1305:
      return &kSodiumChaCha;
    case Suite::kAes256Gcm:
      return crypto_aead_aes256gcm_is_available() != 0 ? &kSodiumAes : nullptr;
    case Suite::kXSalsa20Poly1305:
      return &kSodiumSecretbox;
  }
  return nullptr;
}

double MeasureSealNs(const Aead& aead, size_t size) {
  constexpr int kRounds = 5;
  constexpr int kPacketsPerRound = 100;
  const uint8_t secret[kAeadKeySize] = {1};
  const uint8_t iv[kAeadIvSize] = {2};
  const uint8_t header[kDataHeaderSize] = {3};
  AeadKey key;
  AeadScratch scratch;
  aead.expand(&key, secret, iv);
  std::vector<uint8_t> plain(size);
  std::vector<uint8_t> out(size + kTagSize);
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kPacketsPerRound; ++i) {
      aead.seal(key, scratch, header, static_cast<uint64_t>(i), plain.data(), size, out.data());
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / kPacketsPerRound);
  }
  return best;
}

}  // namespace overlayd::core
