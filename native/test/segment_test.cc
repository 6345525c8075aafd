#include "native/core/segment.h"

#include <gtest/gtest.h>

#include "native/core/joiner.h"
#include "native/test/packets.h"

namespace overlayd::core {
namespace {

using test::Build;
using test::Bytes;
using test::Packet;

constexpr size_t kRoom = 64;

/// Cuts like the tx path: each segment is taken away before the next is made.
std::vector<Bytes> Cut(const Bytes& frame, size_t segment_payload) {
  Bytes work(kRoom);
  work.insert(work.end(), frame.begin(), frame.end());
  FrameInfo info;
  EXPECT_TRUE(ParseFrame(work.data() + kRoom, frame.size(), &info));
  Cutter cutter(work.data() + kRoom, info, segment_payload);
  std::vector<Bytes> out;
  for (size_t i = 0; i < cutter.count(); ++i) {
    const uint8_t* segment = cutter.Make(i);
    EXPECT_GE(segment, work.data() + kRoom);
    out.emplace_back(segment, segment + cutter.FrameSize(i));
    // What precedes a segment is free for its inner header.
    std::fill_n(const_cast<uint8_t*>(segment) - kInnerHeaderSize, kInnerHeaderSize, uint8_t{0xee});
  }
  return out;
}

void ExpectCutAsReference(const Bytes& frame, size_t segment_payload) {
  const std::vector<Bytes> expected = test::NaiveSegments(frame, segment_payload);
  std::vector<Bytes> cut = Cut(frame, segment_payload);
  ASSERT_EQ(cut.size(), expected.size());
  for (size_t i = 0; i < cut.size(); ++i) {
    FrameInfo info;
    ASSERT_TRUE(ParseFrame(cut[i].data(), cut[i].size(), &info));
    EXPECT_TRUE(VerifyPartial(cut[i].data(), info));
    test::NaiveComplete(cut[i]);
    ASSERT_EQ(cut[i], expected[i]) << "segment " << i << " of " << cut.size();
  }
}

TEST(Cutter, EqualsTheNaiveSegmenter) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (int round = 0; round < 1500; ++round) {
    const Packet packet = test::RandomPacket(rng, round % 10 == 0 ? 65000 : 4000);
    const size_t most = std::min<size_t>(65535 - 200, packet.payload.size());
    Packet bounded = packet;
    bounded.payload.resize(most);
    const size_t least = most / 200 + 1;
    ExpectCutAsReference(Build(bounded), least + rng() % (most + 10));
  }
}

TEST(Cutter, OneBytePayloadsSmallerThanTheHeaders) {
  for (const bool is_udp : {false, true}) {
    Packet packet;
    packet.is_udp = is_udp;
    packet.tcp_options = 40;
    for (int i = 0; i < 150; ++i) packet.payload.push_back(static_cast<uint8_t>(i));
    ExpectCutAsReference(Build(packet), 1);
    ExpectCutAsReference(Build(packet), 3);
  }
}

TEST(Cutter, LongestHeadersThereAre) {
  Packet packet;
  packet.vlan_tags = 2;
  packet.ip_options = 40;
  packet.tcp_options = 40;
  packet.payload = Bytes(5000, 9);
  ASSERT_EQ(packet.Headers(), kMaxHeaders);
  ExpectCutAsReference(Build(packet), 1000);
}

TEST(Cutter, WithoutPayloadThereIsOneSegment) {
  const Bytes frame = Build(Packet{});
  EXPECT_EQ(Cut(frame, 1448), std::vector<Bytes>{frame});
}

TEST(Cutter, IdentificationWrapsAndFlagsStandWhereTheyBelong) {
  Packet packet;
  packet.ip_id = 0xffff;
  packet.sequence = 0xffffffff;
  packet.tcp_flags = 0x10 | 0x80 | 0x40 | 0x08 | 0x01;
  packet.payload = Bytes(25, 1);
  const std::vector<Bytes> cut = Cut(Build(packet), 10);
  ASSERT_EQ(cut.size(), 3u);
  const size_t flags = packet.L4() + 13;
  EXPECT_EQ(cut[0][flags], 0x10 | 0x80 | 0x40);
  EXPECT_EQ(cut[1][flags], 0x10 | 0x40);
  EXPECT_EQ(cut[2][flags], 0x10 | 0x40 | 0x08 | 0x01);
  EXPECT_EQ(test::Get16(cut[1], 18), 0);
  EXPECT_EQ(test::Get16(cut[2], 18), 1);
  EXPECT_EQ(test::Get32(cut[1], packet.L4() + 4), 9u);
}

}  // namespace
}  // namespace overlayd::core
