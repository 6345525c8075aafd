#include "native/core/checksum.h"

#include <gtest/gtest.h>

#include "native/test/packets.h"

namespace overlayd::core {
namespace {

using test::Build;
using test::Bytes;

FrameInfo Parse(const Bytes& frame) {
  FrameInfo info;
  EXPECT_TRUE(ParseFrame(frame.data(), frame.size(), &info));
  EXPECT_EQ(info.frame_class, FrameClass::kTransport);
  return info;
}

// RFC 1071 §3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
TEST(SumBytes, ExampleOfRfc1071) {
  const Bytes data = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(FoldSum(SumBytes(data.data(), data.size())), 0xddf2);
}

TEST(SumBytes, EqualsTheNaiveSumForEverySizeAndAlignment) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (size_t size = 0; size < 200; ++size) {
    for (size_t offset = 0; offset < 5; ++offset) {
      Bytes data = test::RandomBytes(rng, offset + size);
      if (rng() % 4 == 0) std::fill(data.begin(), data.end(), 0xff);
      EXPECT_EQ(FoldSum(SumBytes(data.data() + offset, size)),
                test::NaiveSum(data, offset, data.size()))
          << size;
    }
  }
  const Bytes ones(65600, 0xff);  // the largest sum there is
  EXPECT_EQ(FoldSum(SumBytes(ones.data(), ones.size())), 0xffff);
}

TEST(SumBytes, AddsTheSeed) {
  const Bytes data = {0x12, 0x34, 0x56};
  EXPECT_EQ(FoldSum(SumBytes(data.data(), 3, 0xfffe)), test::NaiveSum(data, 0, 3, 0xfffe));
}

TEST(FoldSum, KeepsTheResidue) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (int round = 0; round < 10000; ++round) {
    const uint64_t value = rng() >> (rng() % 64);
    EXPECT_EQ(FoldSum(value) % 0xffff, value % 0xffff);
    EXPECT_EQ(FoldSum(value) == 0, value == 0);
  }
  EXPECT_EQ(FoldSum(UINT64_MAX), 0xffff);
}

TEST(Checksum, PartialPlusCompletionIsTheWholeOne) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (int round = 0; round < 2000; ++round) {
    Bytes frame = Build(test::RandomPacket(rng, round % 50 == 0 ? 60000 : 200));
    const FrameInfo info = Parse(frame);
    EXPECT_EQ(PseudoHeaderSum(frame.data(), info, info.ip_end - info.l4_offset),
              test::NaivePseudoSum(frame, test::Walk(frame)));
    Bytes expected = frame;
    test::NaiveComplete(expected);
    CompleteChecksum(frame.data(), info);
    ASSERT_EQ(frame, expected);
    EXPECT_TRUE(HasValidChecksum(frame.data(), info));
    const size_t at = info.l4_offset + rng() % (frame.size() - info.l4_offset);
    frame[at] ^= static_cast<uint8_t>(1U << (rng() % 8));
    EXPECT_FALSE(HasValidChecksum(frame.data(), info)) << at;
  }
}

// RFC 768: a sum that comes out as 0 is sent as ffff, for 0 means that there is none.
TEST(Checksum, UdpSumOfZeroIsSentAsOnes) {
  test::Packet packet;
  packet.is_udp = true;
  packet.payload = Bytes(2, 0);
  Bytes frame = Build(packet);
  test::NaiveComplete(frame);
  const size_t field = packet.L4() + 6;
  // The payload takes what the sum lacked, so that the sum over all is ffff and its complement 0.
  const uint16_t lacking = test::Get16(frame, field);
  packet.payload = {static_cast<uint8_t>(lacking >> 8), static_cast<uint8_t>(lacking)};
  frame = Build(packet);
  CompleteChecksum(frame.data(), Parse(frame));
  EXPECT_EQ(test::Get16(frame, field), 0xffff);
  EXPECT_TRUE(HasValidChecksum(frame.data(), Parse(frame)));
  test::Put16(frame, field, 0);
  EXPECT_FALSE(HasValidChecksum(frame.data(), Parse(frame)));
}

TEST(Checksum, Ipv4HeaderWithOptions) {
  for (size_t options = 0; options <= 40; options += 4) {
    test::Packet packet;
    packet.ip_options = options;
    const Bytes expected = Build(packet);
    Bytes frame = expected;
    test::Put16(frame, 14 + 10, 0xbeef);
    WriteIpv4HeaderChecksum(frame.data() + 14);
    EXPECT_EQ(frame, expected);
  }
}

}  // namespace
}  // namespace overlayd::core
