#ifndef OVERLAYD_NATIVE_CORE_SOURCE_ADDRESS_H_
#define OVERLAYD_NATIVE_CORE_SOURCE_ADDRESS_H_

#include <array>
#include <cstdint>
#include <cstring>

#include "native/core/bytes.h"

namespace overlayd::core {

/*
 * Where a datagram came from. IPv4 is kept IPv4-mapped (::ffff:a.b.c.d), as a dual-stack socket delivers it, so that one
 * form serves both families. `port` in host order.
 *
 * Addresses that are no endpoint (src/model/path-address.ts) have forms the network cannot produce, since a multicast
 * address is never a source:
 *
 *   ip  0    1          2                             6
 *       ff | family   | label or connection, u32 LE | zeros; port 0        family 1: relayed, 2: TCP
 *
 * So equality, cookies and the gate's rates by source tell labels apart as they do hosts.
 */
struct SourceAddress {
  std::array<uint8_t, 16> ip{};
  uint16_t port = 0;

  friend bool operator==(const SourceAddress&, const SourceAddress&) = default;
};

[[nodiscard]] inline SourceAddress SourceFromIpv4(const uint8_t ipv4[4], uint16_t port) {
  SourceAddress source{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, port};
  std::memcpy(&source.ip[12], ipv4, 4);
  return source;
}

[[nodiscard]] inline SourceAddress SourceFromIpv6(const uint8_t ipv6[16], uint16_t port) {
  SourceAddress source;
  std::memcpy(source.ip.data(), ipv6, 16);
  source.port = port;
  return source;
}

enum class AddressFamily : uint8_t { kRelay = 1, kTcp = 2 };

[[nodiscard]] inline SourceAddress SourceFromNumber(AddressFamily family, uint32_t number) {
  SourceAddress source;
  source.ip[0] = 0xff;
  source.ip[1] = static_cast<uint8_t>(family);
  StoreLe32(&source.ip[2], number);
  return source;
}

/// The relayed address `label`.
[[nodiscard]] inline SourceAddress SourceFromLabel(uint32_t label) {
  return SourceFromNumber(AddressFamily::kRelay, label);
}

/// IPv6 multicast, or no endpoint at all. Nothing the network delivers may come from there.
[[nodiscard]] inline bool IsMulticastOrVirtual(const SourceAddress& source) {
  return source.ip[0] == 0xff;
}

[[nodiscard]] inline bool IsRelayed(const SourceAddress& source) {
  return source.ip[0] == 0xff && source.ip[1] == static_cast<uint8_t>(AddressFamily::kRelay);
}

[[nodiscard]] inline bool IsTcp(const SourceAddress& source) {
  return source.ip[0] == 0xff && source.ip[1] == static_cast<uint8_t>(AddressFamily::kTcp);
}

/// Of a TCP address.
[[nodiscard]] inline uint32_t ConnectionOf(const SourceAddress& source) {
  return LoadLe32(&source.ip[2]);
}

/// Of a relayed address.
[[nodiscard]] inline uint32_t LabelOf(const SourceAddress& source) {
  return LoadLe32(&source.ip[2]);
}

[[nodiscard]] inline bool IsIpv4(const SourceAddress& source) {
  static constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(source.ip.data(), kMappedPrefix, sizeof kMappedPrefix) == 0;
}

/// What counts as one source: whoever has one of these addresses has them all. IPv4 /32, IPv6 /56; each label and each
/// connection by itself.
struct SourceKey {
  uint64_t high = 0;
  uint64_t low = 0;

  friend bool operator==(const SourceKey&, const SourceKey&) = default;
};

[[nodiscard]] inline SourceKey SourceKeyOf(const SourceAddress& source) {
  const uint64_t high = LoadBe64(source.ip.data());
  if (IsIpv4(source)) return {high, LoadBe64(source.ip.data() + 8)};
  return {high & ~uint64_t{0xff}, 0};
}

/// A range of addresses; an IPv4 one is kept mapped, its length counted from the front of the mapped form.
struct AddressPrefix {
  std::array<uint8_t, 16> ip{};
  uint8_t bits = 128;

  [[nodiscard]] bool Contains(const SourceAddress& address) const {
    const size_t whole = bits / 8;
    if (std::memcmp(ip.data(), address.ip.data(), whole) != 0) return false;
    const int rest = bits % 8;
    return rest == 0 || ((ip[whole] ^ address.ip[whole]) >> (8 - rest)) == 0;
  }
};

/// `bits` as written behind the slash of either family; more than the family has counts as all.
[[nodiscard]] inline AddressPrefix PrefixOf(const SourceAddress& base, uint32_t bits) {
  const uint32_t mapped = IsIpv4(base) ? bits + 96 : bits;
  return {base.ip, static_cast<uint8_t>(mapped < 128 ? mapped : 128)};
}

/// Encoded size of an endpoint on the wire: family u8 (4 or 6), address 16 (IPv4 in the first 4,
/// rest zero), port u16 little-endian. The same as `endpointToBytes` in src/model/endpoint.ts.
inline constexpr size_t kEndpointBytes = 19;

inline void EncodeEndpoint(const SourceAddress& source, uint8_t out[kEndpointBytes]) {
  std::memset(out, 0, kEndpointBytes);
  if (IsIpv4(source)) {
    out[0] = 4;
    std::memcpy(out + 1, &source.ip[12], 4);
  } else {
    out[0] = 6;
    std::memcpy(out + 1, source.ip.data(), 16);
  }
  out[17] = static_cast<uint8_t>(source.port);
  out[18] = static_cast<uint8_t>(source.port >> 8);
}

/// False when the family is unknown or an IPv4 address has bytes behind it. An IPv6 multicast address is no endpoint and
/// becomes the unspecified one.
[[nodiscard]] inline bool DecodeEndpoint(const uint8_t in[kEndpointBytes], SourceAddress& source) {
  const uint16_t port = static_cast<uint16_t>(in[17] | in[18] << 8);
  if (in[0] == 4) {
    for (int i = 5; i < 17; ++i) {
      if (in[i] != 0) return false;
    }
    source = SourceFromIpv4(in + 1, port);
    return true;
  }
  if (in[0] != 6) return false;
  source = in[1] == 0xff ? SourceAddress{} : SourceFromIpv6(in + 1, port);
  return true;
}

/// As `pathAddressToBytes` in src/model/path-address.ts: an endpoint, or what is none in families of its own.
inline void EncodePathAddress(const SourceAddress& source, uint8_t out[kEndpointBytes]) {
  if (!IsMulticastOrVirtual(source)) return EncodeEndpoint(source, out);
  std::memset(out, 0, kEndpointBytes);
  std::memcpy(out, &source.ip[1], 5);
}

/// False: malformed.
[[nodiscard]] inline bool DecodePathAddress(const uint8_t in[kEndpointBytes],
                                            SourceAddress& source) {
  if (in[0] != static_cast<uint8_t>(AddressFamily::kRelay) &&
      in[0] != static_cast<uint8_t>(AddressFamily::kTcp)) {
    return DecodeEndpoint(in, source);
  }
  for (size_t i = 5; i < kEndpointBytes; ++i) {
    if (in[i] != 0) return false;
  }
  const uint32_t number = LoadLe32(in + 1);
  if (number == 0) return false;
  source = SourceFromNumber(static_cast<AddressFamily>(in[0]), number);
  return true;
}

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_SOURCE_ADDRESS_H_
