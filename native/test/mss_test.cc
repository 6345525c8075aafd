#include "native/core/mss.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "native/core/bytes.h"

namespace overlayd::core {
namespace {

using Bytes = std::vector<uint8_t>;

struct Shape {
  int vlan_tags = 0;
  bool is_ipv6 = false;
  size_t ip_options = 0;  ///< IPv4 options, or an IPv6 destination header, in bytes
  Bytes tcp_options = {2, 4, 0x05, 0xb4};
  uint8_t tcp_flags = 0x02;
};

struct Packet {
  Bytes frame;
  size_t ip = 0;
  size_t tcp = 0;
};

/// Ones' complement sum over the pseudo-header and the TCP bytes: 0xffff when the checksum is
/// right.
uint16_t Sum(const Packet& packet) {
  const bool is_ipv6 = packet.frame[packet.ip] / 16 == 6;
  const size_t end = packet.ip + (is_ipv6 ? 40 + LoadBe16(&packet.frame[packet.ip + 4])
                                          : LoadBe16(&packet.frame[packet.ip + 2]));
  uint64_t sum = 6 + (end - packet.tcp);
  const size_t addresses = packet.ip + (is_ipv6 ? 8 : 12);
  for (size_t i = 0; i < (is_ipv6 ? 32u : 8u); i += 2)
    sum += LoadBe16(&packet.frame[addresses + i]);
  for (size_t i = packet.tcp; i < end; ++i) {
    sum += (i - packet.tcp) % 2 == 0 ? packet.frame[i] << 8 : packet.frame[i];
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

Packet Make(const Shape& shape, uint32_t salt = 1) {
  std::mt19937 rng(salt);
  Packet packet;
  Bytes& frame = packet.frame;
  frame.assign(12, 0x02);
  for (int tag = 0; tag < shape.vlan_tags; ++tag) {
    const uint8_t type = tag == 0 && shape.vlan_tags == 2 ? 0xa8 : 0x00;
    frame.insert(frame.end(), {static_cast<uint8_t>(type == 0 ? 0x81 : 0x88), type, 0, 100});
  }
  frame.insert(frame.end(), {static_cast<uint8_t>(shape.is_ipv6 ? 0x86 : 0x08),
                             static_cast<uint8_t>(shape.is_ipv6 ? 0xdd : 0x00)});
  packet.ip = frame.size();
  const size_t ip_bytes = (shape.is_ipv6 ? 40 : 20) + shape.ip_options;
  const size_t options = (shape.tcp_options.size() + 3) / 4 * 4;
  const size_t tcp_bytes = 20 + options;
  packet.tcp = packet.ip + ip_bytes;
  frame.resize(packet.tcp + tcp_bytes + 3, 0);
  for (size_t i = packet.ip; i < frame.size(); ++i) frame[i] = static_cast<uint8_t>(rng());
  uint8_t* ip = &frame[packet.ip];
  if (shape.is_ipv6) {
    ip[0] = 0x60;
    StoreBe16(ip + 4, static_cast<uint16_t>(shape.ip_options + tcp_bytes + 3));
    ip[6] = shape.ip_options ? 60 : 6;
    if (shape.ip_options) {
      ip[40] = 6;
      ip[41] = static_cast<uint8_t>(shape.ip_options / 8 - 1);
    }
  } else {
    ip[0] = static_cast<uint8_t>(0x40 + ip_bytes / 4);
    StoreBe16(ip + 2, static_cast<uint16_t>(ip_bytes + tcp_bytes + 3));
    StoreBe16(ip + 6, 0x4000);
    ip[9] = 6;
  }
  uint8_t* tcp = &frame[packet.tcp];
  tcp[12] = static_cast<uint8_t>(tcp_bytes / 4 * 16);
  tcp[13] = shape.tcp_flags;
  std::fill_n(tcp + 20, options, uint8_t{0});
  std::copy(shape.tcp_options.begin(), shape.tcp_options.end(), tcp + 20);
  StoreBe16(tcp + 16, 0);
  StoreBe16(tcp + 16, static_cast<uint16_t>(~Sum(packet)));
  frame.insert(frame.end(), 5, 0);  // Ethernet padding
  EXPECT_EQ(Sum(packet), 0xffff);
  return packet;
}

TEST(ClampMss, LowersInEveryEncapsulationAndKeepsTheChecksumRight) {
  for (const bool is_ipv6 : {false, true}) {
    for (int tags = 0; tags <= 2; ++tags) {
      for (const size_t ip_options : {size_t{0}, size_t{8}, size_t{24}}) {
        for (const uint8_t flags : {0x02, 0x12, 0xc2}) {
          Packet packet = Make({tags, is_ipv6, ip_options, {2, 4, 0x05, 0xb4}, flags});
          EXPECT_TRUE(ClampMss(packet.frame, 1300, false));
          EXPECT_EQ(LoadBe16(&packet.frame[packet.tcp + 22]), 1300 - (is_ipv6 ? 60 : 40));
          EXPECT_EQ(Sum(packet), 0xffff);
          EXPECT_FALSE(ClampMss(packet.frame, 1300, false)) << "nothing more to lower";
        }
      }
    }
  }
}

TEST(ClampMss, FindsTheOptionAtAnyOffsetOddOnesToo) {
  for (size_t nops = 0; nops < 12; ++nops) {
    Bytes options(nops, 1);
    options.insert(options.end(), {2, 4, 0x23, 0x28});
    for (uint32_t salt = 0; salt < 50; ++salt) {
      Packet packet = Make({.tcp_options = options}, salt);
      EXPECT_TRUE(ClampMss(packet.frame, 1388, false));
      EXPECT_EQ(LoadBe16(&packet.frame[packet.tcp + 22 + nops]), 1348);
      EXPECT_EQ(Sum(packet), 0xffff) << nops;
    }
  }
}

TEST(ClampMss, NeverRaises) {
  Packet packet = Make({.tcp_options = {2, 4, 0x02, 0x18}});
  const Bytes before = packet.frame;
  EXPECT_FALSE(ClampMss(packet.frame, 1388, false));
  EXPECT_EQ(packet.frame, before);
}

TEST(ClampMss, LeavesAPartialChecksumAlone) {
  Packet packet = Make({});
  const uint16_t checksum = LoadBe16(&packet.frame[packet.tcp + 16]);
  EXPECT_TRUE(ClampMss(packet.frame, 1300, true));
  EXPECT_EQ(LoadBe16(&packet.frame[packet.tcp + 16]), checksum);
  EXPECT_EQ(LoadBe16(&packet.frame[packet.tcp + 22]), 1260);
}

TEST(ClampMss, LeavesEverythingElse) {
  const auto untouched = [](Packet packet) {
    const Bytes before = packet.frame;
    return !ClampMss(packet.frame, 1300, false) && packet.frame == before;
  };
  EXPECT_TRUE(untouched(Make({.tcp_flags = 0x10}))) << "no SYN";
  EXPECT_TRUE(untouched(Make({.tcp_options = {1, 1, 1, 1}}))) << "no MSS";
  EXPECT_TRUE(untouched(Make({.tcp_options = {0, 2, 4, 0x05, 0xb4}}))) << "behind the end";
  EXPECT_TRUE(untouched(Make({.tcp_options = {2, 3, 0x05, 0xb4}}))) << "wrong length";
  EXPECT_TRUE(untouched(Make({.tcp_options = {8, 0, 2, 4, 5, 0xb4}}))) << "length 0 must not loop";
  EXPECT_TRUE(untouched(Make({.tcp_options = {8, 40, 2, 4, 5, 0xb4}}))) << "beyond the header";
  EXPECT_TRUE(untouched(Make({.vlan_tags = 3}))) << "three tags";
  Packet fragment = Make({});
  StoreBe16(&fragment.frame[fragment.ip + 6], 0x2000);
  EXPECT_TRUE(untouched(fragment)) << "first fragment";
  StoreBe16(&fragment.frame[fragment.ip + 6], 0x0001);
  EXPECT_TRUE(untouched(fragment)) << "later fragment";
  Packet udp = Make({});
  udp.frame[udp.ip + 9] = 17;
  EXPECT_TRUE(untouched(udp));
  Packet tiny = Make({});
  EXPECT_FALSE(ClampMss(tiny.frame, 40, false)) << "no room for a segment";
}

TEST(ClampMss, TruncatedAndFlippedFramesAreSafe) {
  for (const bool is_ipv6 : {false, true}) {
    const Packet packet = Make({1, is_ipv6, 8, {1, 2, 4, 0x05, 0xb4, 3, 3, 7}});
    for (size_t size = 0; size <= packet.frame.size(); ++size) {
      // An exact allocation, so that a read beyond the end is seen by the sanitizer.
      Bytes cut(packet.frame.begin(), packet.frame.begin() + static_cast<ptrdiff_t>(size));
      cut.shrink_to_fit();
      const bool has_changed = ClampMss(cut, 1300, false);
      EXPECT_EQ(has_changed, size + 5 >= packet.frame.size()) << size;
    }
    for (size_t bit = 0; bit < packet.frame.size() * 8; ++bit) {
      Bytes flipped = packet.frame;
      flipped[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
      const Bytes before = flipped;
      if (!ClampMss(flipped, 1300, false)) {
        EXPECT_EQ(flipped, before) << bit;
      }
    }
  }
}

}  // namespace
}  // namespace overlayd::core
