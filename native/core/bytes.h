#ifndef OVERLAYD_NATIVE_CORE_BYTES_H_
#define OVERLAYD_NATIVE_CORE_BYTES_H_

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "native/core/check.h"

/*
 * Integers in byte strings. Our own protocol is little-endian, Ethernet and IP are big-endian.
 *
 * Two forms of each: from a pointer, where the caller has just compared the length; and from a span
 * with an offset, which checks the bounds itself. Reading outside a span is a bug of ours and stops
 * the process (hostile lengths must have been refused before); `Fits` is the test for that.
 */
namespace overlayd::core {

/// True when `length` bytes lie in `bytes` from `offset` on. Never overflows.
[[nodiscard]] constexpr bool Fits(std::span<const uint8_t> bytes, size_t offset, size_t length) {
  return offset <= bytes.size() && length <= bytes.size() - offset;
}

namespace bytes_internal {

template <std::unsigned_integral T>
constexpr T Swap(T value) {
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

template <std::unsigned_integral T, std::endian kOrder>
inline T Load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (kOrder != std::endian::native) value = Swap(value);
  return value;
}

template <std::unsigned_integral T, std::endian kOrder>
inline void Store(uint8_t* to, T value) {
  if constexpr (kOrder != std::endian::native) value = Swap(value);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace bytes_internal

#define OVL_DEFINE_LOAD_STORE(Name, Type, Order)                                        \
  [[nodiscard]] inline Type Load##Name(const uint8_t* from) {                           \
    return bytes_internal::Load<Type, std::endian::Order>(from);                        \
  }                                                                                     \
  [[nodiscard]] inline Type Load##Name(std::span<const uint8_t> bytes, size_t offset) { \
    OVL_CHECK(Fits(bytes, offset, sizeof(Type)));                                       \
    return bytes_internal::Load<Type, std::endian::Order>(bytes.data() + offset);       \
  }                                                                                     \
  inline void Store##Name(uint8_t* to, Type value) {                                    \
    bytes_internal::Store<Type, std::endian::Order>(to, value);                         \
  }                                                                                     \
  inline void Store##Name(std::span<uint8_t> bytes, size_t offset, Type value) {        \
    OVL_CHECK(Fits(bytes, offset, sizeof(Type)));                                       \
    bytes_internal::Store<Type, std::endian::Order>(bytes.data() + offset, value);      \
  }

OVL_DEFINE_LOAD_STORE(Le16, uint16_t, little)
OVL_DEFINE_LOAD_STORE(Le32, uint32_t, little)
OVL_DEFINE_LOAD_STORE(Le64, uint64_t, little)
OVL_DEFINE_LOAD_STORE(Be16, uint16_t, big)
OVL_DEFINE_LOAD_STORE(Be32, uint32_t, big)
OVL_DEFINE_LOAD_STORE(Be64, uint64_t, big)

#undef OVL_DEFINE_LOAD_STORE

/// 24-bit network id, little-endian, as in the inner header.
[[nodiscard]] inline uint32_t LoadLe24(const uint8_t* from) {
  return static_cast<uint32_t>(from[0]) | static_cast<uint32_t>(from[1]) << 8 |
         static_cast<uint32_t>(from[2]) << 16;
}

inline void StoreLe24(uint8_t* to, uint32_t value) {
  to[0] = static_cast<uint8_t>(value);
  to[1] = static_cast<uint8_t>(value >> 8);
  to[2] = static_cast<uint8_t>(value >> 16);
}

/// True when every byte is zero. Not constant-time: for padding, not for secrets.
[[nodiscard]] inline bool AllZero(std::span<const uint8_t> bytes) {
  uint8_t all = 0;
  for (const uint8_t byte : bytes) all |= byte;
  return all == 0;
}

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_BYTES_H_
