#ifndef OVERLAYD_NATIVE_TEST_NEIGHBOUR_FRAMES_H_
#define OVERLAYD_NATIVE_TEST_NEIGHBOUR_FRAMES_H_

#include <array>

#include "native/test/packets.h"

/*
 * ARP and neighbour discovery by the letter of RFC 826 and RFC 4861, one byte after the other: 10.32.0.2 and fd01::2 at
 * 02:00:00:00:00:02 ask for 10.32.0.9 and fd01::9.
 */
namespace overlayd::test {

inline constexpr uint64_t kAsker = 0x020000000002;

inline void AppendMac(Bytes& out, uint64_t mac) {
  for (int shift = 40; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(mac >> shift));
}
template <typename Container>
void Append(Bytes& out, const Container& more) {
  out.insert(out.end(), std::begin(more), std::end(more));
}

struct ArpFields {
  uint64_t to_mac = 0xffffffffffff;
  uint64_t sender = kAsker;
  uint8_t operation = 1;
  std::array<uint8_t, 4> from{10, 32, 0, 2};
  std::array<uint8_t, 4> target{10, 32, 0, 9};
};

inline Bytes ArpRequest(const ArpFields& fields) {
  Bytes out;
  AppendMac(out, fields.to_mac);
  AppendMac(out, fields.sender);
  Append(out, Bytes{0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, fields.operation});
  AppendMac(out, fields.sender);
  Append(out, fields.from);
  AppendMac(out, 0);
  Append(out, fields.target);
  out.resize(60);
  return out;
}

inline Bytes ArpReply(uint64_t holder) {
  Bytes out;
  AppendMac(out, kAsker);
  AppendMac(out, holder);
  Append(out, Bytes{0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 2});
  AppendMac(out, holder);
  Append(out, Bytes{10, 32, 0, 9});
  AppendMac(out, kAsker);
  Append(out, Bytes{10, 32, 0, 2});
  out.resize(60);
  return out;
}

inline Bytes UniqueLocal(uint8_t last) {
  Bytes out(16);
  out[0] = 0xfd;
  out[1] = 1;
  out[15] = last;
  return out;
}

/// An ICMPv6 packet of discovery; the checksum is computed here.
inline Bytes Discovery(uint64_t to_mac, uint64_t from_mac, const Bytes& from, const Bytes& to,
                       const Bytes& message) {
  Bytes out;
  AppendMac(out, to_mac);
  AppendMac(out, from_mac);
  Append(out, Bytes{0x86, 0xdd, 0x60, 0, 0, 0, 0, static_cast<uint8_t>(message.size()), 58, 255});
  Append(out, from);
  Append(out, to);
  Append(out, message);
  const Bytes rest{0, 0, 0, static_cast<uint8_t>(message.size()), 0, 0, 0, 58};
  const uint16_t pseudo = NaiveSum(rest, 0, rest.size(), NaiveSum(out, 22, 54));
  Put16(out, 56, static_cast<uint16_t>(~NaiveSum(out, 54, out.size(), pseudo)));
  return out;
}

struct SolicitationFields {
  uint64_t to_mac = 0x3333ff000000;  // completed from the target
  uint8_t type = 135;
  Bytes from = UniqueLocal(2);
  Bytes target = UniqueLocal(9);
};

inline Bytes Solicitation(const SolicitationFields& fields) {
  Bytes group{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  group.insert(group.end(), fields.target.end() - 3, fields.target.end());
  uint64_t to = fields.to_mac;
  if (to == SolicitationFields{}.to_mac) to |= Get32(fields.target, 12) & 0xffffff;
  Bytes message{fields.type, 0, 0, 0, 0, 0, 0, 0};
  Append(message, fields.target);
  Append(message, Bytes{1, 1});
  AppendMac(message, kAsker);
  return Discovery(to, kAsker, fields.from, group, message);
}

inline Bytes Advertisement(uint64_t holder) {
  Bytes message{136, 0, 0, 0, 0x40, 0, 0, 0};
  Append(message, UniqueLocal(9));
  Append(message, Bytes{2, 1});
  AppendMac(message, holder);
  return Discovery(kAsker, holder, UniqueLocal(9), UniqueLocal(2), message);
}

}  // namespace overlayd::test

#endif  // OVERLAYD_NATIVE_TEST_NEIGHBOUR_FRAMES_H_
