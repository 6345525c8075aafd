#ifndef OVERLAYD_NATIVE_TEST_PACKETS_H_
#define OVERLAYD_NATIVE_TEST_PACKETS_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

/*
 * Packets for tests, and the slow second opinion on them: a builder, a checksum (RFC 1071) and a
 * segmenter (what a kernel does with a GSO frame) that share no code with native/core and move
 * bytes one at a time.
 */
namespace overlayd::test {

using Bytes = std::vector<uint8_t>;

inline uint16_t Get16(const Bytes& in, size_t at) {
  return static_cast<uint16_t>(in.at(at) << 8 | in.at(at + 1));
}
inline uint32_t Get32(const Bytes& in, size_t at) {
  return static_cast<uint32_t>(Get16(in, at)) << 16 | Get16(in, at + 2);
}
inline void Put16(Bytes& out, size_t at, uint32_t value) {
  out.at(at) = static_cast<uint8_t>(value >> 8);
  out.at(at + 1) = static_cast<uint8_t>(value);
}
inline void Put32(Bytes& out, size_t at, uint32_t value) {
  Put16(out, at, value >> 16);
  Put16(out, at + 2, value);
}

/// RFC 1071 §1 to the letter: 16-bit words, end-around carry, an odd byte padded with zero. Not
/// inverted.
inline uint16_t NaiveSum(const Bytes& data, size_t from, size_t to, uint16_t seed = 0) {
  uint32_t sum = seed;
  for (size_t at = from; at < to; at += 2) {
    sum += static_cast<uint32_t>(data.at(at) << 8);
    if (at + 1 < to) sum += data.at(at + 1);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return static_cast<uint16_t>(sum);
}

/// What the builder makes a packet of. Sizes in bytes; option sizes are multiples of 4.
struct Packet {
  int ip_version = 4;
  bool is_udp = false;
  size_t vlan_tags = 0;
  size_t ip_options = 0;
  size_t tcp_options = 0;
  uint8_t tcp_flags = 0x10;
  bool dont_fragment = true;
  uint16_t ip_id = 1;
  uint8_t tos = 0;
  uint8_t ttl = 64;
  uint32_t sequence = 1000;
  uint32_t acknowledgement = 77;
  uint16_t window = 500;
  uint16_t urgent = 0;
  uint16_t source_port = 1234;
  uint16_t destination_port = 80;
  uint16_t vlan = 5;
  uint8_t option_byte = 1;
  uint8_t source_mac = 2;
  uint8_t destination_mac = 1;
  uint8_t source_ip = 2;
  Bytes payload;

  [[nodiscard]] size_t L3() const { return 14 + 4 * vlan_tags; }
  [[nodiscard]] size_t L4() const { return L3() + (ip_version == 4 ? 20 + ip_options : 40); }
  [[nodiscard]] size_t Headers() const { return L4() + (is_udp ? 8 : 20 + tcp_options); }
};

/// Where things lie in a frame made by Build, found again by walking it.
struct Layout {
  size_t l3 = 14;
  size_t l4 = 0;
  size_t payload = 0;
  int ip_version = 4;
  bool is_udp = false;
};

inline Layout Walk(const Bytes& frame) {
  Layout out;
  while (Get16(frame, out.l3 - 2) == 0x8100 || Get16(frame, out.l3 - 2) == 0x88a8) out.l3 += 4;
  out.ip_version = frame.at(out.l3) >> 4;
  out.l4 = out.l3 + (out.ip_version == 4 ? (frame.at(out.l3) & 15U) * 4 : 40);
  const uint8_t protocol = frame.at(out.l3 + (out.ip_version == 4 ? 9 : 6));
  out.is_udp = protocol == 17;
  out.payload = out.l4 + (out.is_udp ? 8 : (frame.at(out.l4 + 12) >> 4) * 4U);
  return out;
}

inline uint16_t NaivePseudoSum(const Bytes& frame, const Layout& at) {
  const uint16_t addresses = at.ip_version == 4 ? NaiveSum(frame, at.l3 + 12, at.l3 + 20)
                                                : NaiveSum(frame, at.l3 + 8, at.l3 + 40);
  const size_t l4_size = frame.size() - at.l4;
  const Bytes rest = {0, static_cast<uint8_t>(at.is_udp ? 17 : 6),
                      static_cast<uint8_t>(l4_size >> 8), static_cast<uint8_t>(l4_size)};
  return NaiveSum(rest, 0, 4, addresses);
}

inline size_t ChecksumField(const Layout& at) { return at.l4 + (at.is_udp ? 6 : 16); }

/// The transport checksum computed from nothing.
inline void NaiveComplete(Bytes& frame) {
  const Layout at = Walk(frame);
  Put16(frame, ChecksumField(at), 0);
  auto sum =
      static_cast<uint16_t>(~NaiveSum(frame, at.l4, frame.size(), NaivePseudoSum(frame, at)));
  if (sum == 0 && at.is_udp) sum = 0xffff;
  Put16(frame, ChecksumField(at), sum);
}

inline void NaivePartial(Bytes& frame) {
  const Layout at = Walk(frame);
  Put16(frame, ChecksumField(at), NaivePseudoSum(frame, at));
}

inline void NaiveFixLengths(Bytes& frame) {
  const Layout at = Walk(frame);
  if (at.ip_version == 4) {
    Put16(frame, at.l3 + 2, static_cast<uint32_t>(frame.size() - at.l3));
    Put16(frame, at.l3 + 10, 0);
    Put16(frame, at.l3 + 10, static_cast<uint16_t>(~NaiveSum(frame, at.l3, at.l4)));
  } else {
    Put16(frame, at.l3 + 4, static_cast<uint32_t>(frame.size() - at.l3 - 40));
  }
  if (at.is_udp) Put16(frame, at.l4 + 4, static_cast<uint32_t>(frame.size() - at.l4));
}

/// A frame with right lengths and IP checksum; the transport checksum is partial.
inline Bytes Build(const Packet& packet) {
  Bytes out(packet.Headers());
  out[0] = 2;
  out[5] = packet.destination_mac;
  out[6] = 2;
  out[11] = packet.source_mac;
  size_t type = 12;
  for (size_t i = 0; i < packet.vlan_tags; ++i) {
    Put16(out, type, i + 1 < packet.vlan_tags ? 0x88a8 : 0x8100);
    Put16(out, type + 2, packet.vlan);
    type += 4;
  }
  Put16(out, type, packet.ip_version == 4 ? 0x0800 : 0x86dd);
  const size_t ip = packet.L3();
  const size_t l4 = packet.L4();
  const uint8_t protocol = packet.is_udp ? 17 : 6;
  if (packet.ip_version == 4) {
    out[ip] = static_cast<uint8_t>(0x40 | (l4 - ip) / 4);
    out[ip + 1] = packet.tos;
    Put16(out, ip + 4, packet.ip_id);
    out[ip + 6] = packet.dont_fragment ? 0x40 : 0;
    out[ip + 8] = packet.ttl;
    out[ip + 9] = protocol;
    out[ip + 12] = 10;
    out[ip + 15] = packet.source_ip;
    out[ip + 16] = 10;
    out[ip + 19] = 1;
    for (size_t at = ip + 20; at < l4; ++at) out[at] = packet.option_byte;
  } else {
    out[ip] = static_cast<uint8_t>(0x60 | packet.tos >> 4);
    out[ip + 1] = static_cast<uint8_t>(packet.tos << 4);
    out[ip + 6] = protocol;
    out[ip + 7] = packet.ttl;
    out[ip + 8] = 0xfd;
    out[ip + 23] = packet.source_ip;
    out[ip + 24] = 0xfd;
    out[ip + 39] = 1;
  }
  Put16(out, l4, packet.source_port);
  Put16(out, l4 + 2, packet.destination_port);
  if (!packet.is_udp) {
    Put32(out, l4 + 4, packet.sequence);
    Put32(out, l4 + 8, packet.acknowledgement);
    out[l4 + 12] = static_cast<uint8_t>((20 + packet.tcp_options) / 4 << 4);
    out[l4 + 13] = packet.tcp_flags;
    Put16(out, l4 + 14, packet.window);
    Put16(out, l4 + 18, packet.urgent);
    for (size_t at = l4 + 20; at < packet.Headers(); ++at) out[at] = packet.option_byte;
  }
  out.insert(out.end(), packet.payload.begin(), packet.payload.end());
  NaiveFixLengths(out);
  NaivePartial(out);
  return out;
}

/// What a kernel makes of a GSO frame: segments of `segment_payload` with complete checksums.
inline std::vector<Bytes> NaiveSegments(const Bytes& frame, size_t segment_payload) {
  const Layout at = Walk(frame);
  std::vector<Bytes> out;
  size_t done = 0;
  const size_t total = frame.size() - at.payload;
  do {
    const size_t now = std::min(segment_payload, total - done);
    Bytes segment(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(at.payload));
    const auto from = frame.begin() + static_cast<ptrdiff_t>(at.payload + done);
    segment.insert(segment.end(), from, from + static_cast<ptrdiff_t>(now));
    if (at.ip_version == 4) {
      Put16(segment, at.l3 + 4, static_cast<uint32_t>(Get16(frame, at.l3 + 4) + out.size()));
    }
    if (!at.is_udp) {
      Put32(segment, at.l4 + 4, static_cast<uint32_t>(Get32(frame, at.l4 + 4) + done));
      uint8_t flags = frame[at.l4 + 13];
      if (!out.empty()) flags &= 0x7f;             // CWR
      if (done + now != total) flags &= 0xff - 9;  // FIN, PSH
      segment[at.l4 + 13] = flags;
    }
    NaiveFixLengths(segment);
    NaiveComplete(segment);
    out.push_back(std::move(segment));
    done += now;
  } while (done < total);
  return out;
}

inline Bytes RandomBytes(std::mt19937_64& rng, size_t size) {
  Bytes out(size);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(rng());
  return out;
}

/// Any packet that may be cut and joined: super-frames up to `max_payload`.
inline Packet RandomPacket(std::mt19937_64& rng, size_t max_payload) {
  Packet out;
  out.ip_version = rng() % 2 == 0 ? 4 : 6;
  out.is_udp = rng() % 3 == 0;
  out.vlan_tags = rng() % 3;
  out.ip_options = out.ip_version == 4 && rng() % 4 == 0 ? 4 * (rng() % 11) : 0;
  out.tcp_options = rng() % 2 == 0 ? 12 : 4 * (rng() % 11);
  out.tcp_flags =
      static_cast<uint8_t>(0x10 | (rng() % 2 != 0 ? 0x08 : 0) | (rng() % 8 == 0 ? 0x01 : 0) |
                           (rng() % 4 == 0 ? 0x40 : 0) | (rng() % 4 == 0 ? 0x80 : 0));
  out.dont_fragment = rng() % 2 == 0;
  out.ip_id = rng() % 2 == 0 ? 0xfffa : static_cast<uint16_t>(rng());  // wraps within a train
  out.tos = static_cast<uint8_t>(rng());
  out.ttl = static_cast<uint8_t>(rng());
  out.sequence = rng() % 2 == 0 ? 0xffffff00 : static_cast<uint32_t>(rng());
  out.acknowledgement = static_cast<uint32_t>(rng());
  out.window = static_cast<uint16_t>(rng());
  out.source_port = static_cast<uint16_t>(rng());
  out.destination_port = static_cast<uint16_t>(rng());
  out.vlan = static_cast<uint16_t>(rng() % 4096);
  out.option_byte = static_cast<uint8_t>(rng());
  out.payload = RandomBytes(rng, 1 + rng() % max_payload);
  return out;
}

/// Equality of frames that says where they differ instead of printing them.
inline testing::AssertionResult SameFrames(const std::vector<Bytes>& got,
                                           const std::vector<Bytes>& expected) {
  if (got.size() != expected.size()) {
    return testing::AssertionFailure() << got.size() << " frames, expected " << expected.size();
  }
  for (size_t i = 0; i < got.size(); ++i) {
    if (got[i].size() != expected[i].size()) {
      return testing::AssertionFailure() << "frame " << i << " has " << got[i].size()
                                         << " bytes, expected " << expected[i].size();
    }
    for (size_t at = 0; at < got[i].size(); ++at) {
      if (got[i][at] == expected[i][at]) continue;
      return testing::AssertionFailure()
             << "frame " << i << " of " << got.size() << ", byte " << at << " of " << got[i].size()
             << " is " << int{got[i][at]} << ", expected " << int{expected[i][at]};
    }
  }
  return testing::AssertionSuccess();
}

/// Printed with a failure; OVERLAYD_TEST_SEED repeats it.
inline uint64_t TestSeed() {
  static const uint64_t seed = [] {
    const char* asked = std::getenv("OVERLAYD_TEST_SEED");
    return asked != nullptr ? std::strtoull(asked, nullptr, 0) : std::random_device{}();
  }();
  return seed;
}
#define OVERLAYD_TRACE_SEED() \
  SCOPED_TRACE("OVERLAYD_TEST_SEED=" + std::to_string(::overlayd::test::TestSeed()))

/// "00 1f..." to bytes; blanks are skipped.
inline Bytes FromHex(const std::string& text) {
  std::string digits;
  for (const char c : text) {
    if (std::isxdigit(static_cast<unsigned char>(c)) != 0) digits += c;
  }
  Bytes out;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    out.push_back(static_cast<uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  }
  return out;
}

}  // namespace overlayd::test

#endif  // OVERLAYD_NATIVE_TEST_PACKETS_H_
