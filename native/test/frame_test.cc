#include "native/core/frame.h"

#include <gtest/gtest.h>

#include <memory>

#include "native/test/packets.h"

namespace overlayd::core {
namespace {

using test::Build;
using test::Bytes;
using test::Packet;

/// Parsed from a heap block of exactly this size, so that AddressSanitizer sees any byte too far.
FrameInfo Parse(const Bytes& frame) {
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[frame.size()]);
  std::copy(frame.begin(), frame.end(), exact.get());
  FrameInfo info;
  EXPECT_EQ(ParseFrame(exact.get(), frame.size(), &info), frame.size() >= 14);
  return info;
}

Packet Tcp() {
  Packet packet;
  packet.payload = Bytes(100, 7);
  return packet;
}

TEST(ParseFrame, FindsTheHeadersOfEveryShape) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (int round = 0; round < 3000; ++round) {
    const Packet packet = test::RandomPacket(rng, 300);
    Bytes frame = Build(packet);
    const size_t end = frame.size();
    frame.resize(end + rng() % 20);  // Ethernet padding
    const FrameInfo info = Parse(frame);
    ASSERT_EQ(info.frame_class, FrameClass::kTransport);
    EXPECT_EQ(info.ip_version, packet.ip_version);
    EXPECT_EQ(info.protocol, packet.is_udp ? 17 : 6);
    EXPECT_EQ(info.l3_offset, packet.L3());
    EXPECT_EQ(info.l4_offset, packet.L4());
    EXPECT_EQ(info.payload_offset, packet.Headers());
    EXPECT_EQ(info.ip_end, end);
    EXPECT_EQ(info.has_vlan_tag, packet.vlan_tags != 0);
    EXPECT_EQ(info.has_dont_fragment, packet.ip_version == 6 || packet.dont_fragment);
    if (!packet.is_udp) {
      EXPECT_EQ(info.tcp_flags, packet.tcp_flags);
    }
    EXPECT_EQ(info.IsTcp(), !packet.is_udp);
    EXPECT_EQ(info.IsUdp(), packet.is_udp);
  }
}

TEST(ParseFrame, RefusesWhatIsShorterThanEthernet) {
  FrameInfo info;
  const uint8_t bytes[13] = {};
  EXPECT_FALSE(ParseFrame(bytes, sizeof bytes, &info));
  EXPECT_FALSE(ParseFrame(bytes, 0, &info));
}

TEST(ParseFrame, CutAnywhereIsNoTransportAndReadsNothingBehind) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (int round = 0; round < 40; ++round) {
    const Bytes frame = Build(test::RandomPacket(rng, 60));
    for (size_t size = 14; size < frame.size(); ++size) {
      const Bytes cut(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_EQ(Parse(cut).frame_class, FrameClass::kOther) << size << " of " << frame.size();
    }
  }
}

TEST(ParseFrame, FlippedBytesNeverLeadOutOfTheFrame) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (int round = 0; round < 20000; ++round) {
    Bytes frame = Build(test::RandomPacket(rng, 40));
    for (int flips = 1 + static_cast<int>(rng() % 4); flips > 0; --flips) {
      frame[12 + rng() % (frame.size() - 12)] = static_cast<uint8_t>(rng());
    }
    frame.resize(14 + rng() % (frame.size() - 13));
    const FrameInfo info = Parse(frame);
    if (info.frame_class != FrameClass::kTransport) continue;
    ASSERT_LE(info.ip_end, frame.size());
    ASSERT_LE(info.payload_offset, info.ip_end);
    ASSERT_LT(info.l4_offset, info.payload_offset);
    ASSERT_LE(info.l4_offset + info.ChecksumOffset() + 2U, info.payload_offset);
  }
}

TEST(ParseFrame, FragmentsAreOther) {
  for (const uint8_t bits : {0x20, 0x01, 0x1f}) {
    Bytes frame = Build(Tcp());
    frame[20] = bits;
    EXPECT_EQ(Parse(frame).frame_class, FrameClass::kOther);
  }
  Bytes frame = Build(Tcp());
  frame[21] = 1;
  EXPECT_EQ(Parse(frame).frame_class, FrameClass::kOther);
}

TEST(ParseFrame, Ipv6ExtensionHeadersAreOther) {
  for (const uint8_t next : {0, 43, 44, 60, 59, 50}) {
    Packet packet = Tcp();
    packet.ip_version = 6;
    Bytes frame = Build(packet);
    frame[14 + 6] = next;
    EXPECT_EQ(Parse(frame).frame_class, FrameClass::kOther);
  }
}

TEST(ParseFrame, OtherProtocolsAndTypesAreOther) {
  Bytes frame = Build(Tcp());
  frame[14 + 9] = 1;  // ICMP
  EXPECT_EQ(Parse(frame).frame_class, FrameClass::kOther);
  frame = Build(Tcp());
  frame[13] = 6;  // ARP
  EXPECT_EQ(Parse(frame).ether_type, kEtherTypeArp);
  EXPECT_EQ(Parse(frame).frame_class, FrameClass::kOther);
  Packet triple = Tcp();
  triple.vlan_tags = 3;
  EXPECT_EQ(Parse(Build(triple)).frame_class, FrameClass::kOther);
  Packet jumbo = Tcp();
  jumbo.ip_version = 6;
  frame = Build(jumbo);
  test::Put16(frame, 14 + 4, 0);  // jumbogram
  EXPECT_EQ(Parse(frame).frame_class, FrameClass::kOther);
  frame = Build(Tcp());
  frame[14] = 0x65;  // version 6 in an IPv4 frame
  EXPECT_EQ(Parse(frame).frame_class, FrameClass::kOther);
  frame = Build(Tcp());
  frame[14 + 20 + 12] = 0x40;  // a TCP header of 16 bytes
  EXPECT_EQ(Parse(frame).frame_class, FrameClass::kOther);
}

}  // namespace
}  // namespace overlayd::core
