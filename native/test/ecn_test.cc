#include "native/core/ecn.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "native/test/test_node.h"

namespace overlayd::core {
namespace {

using test::Build;
using test::Bytes;
using test::Packet;
using test::TestNode;

// RFC 6040 §4.2, row by row: what leaves the tunnel for an inner and an outer field; -1: dropped.
constexpr int kDropped = -1;
constexpr int kTable[4][4] = {
    // outer Not-ECT, ECT(1), ECT(0), CE
    {0, 0, 0, kDropped},  // inner Not-ECT
    {1, 1, 1, 3},         // ECT(1)
    {2, 1, 2, 3},         // ECT(0)
    {3, 3, 3, 3},         // CE
};

Bytes FrameWith(int ip_version, uint8_t ecn) {
  Packet packet;
  packet.ip_version = ip_version;
  packet.tos = ecn;
  packet.payload = Bytes(200, 5);
  return Build(packet);
}

uint8_t EcnIn(const Bytes& frame) {
  FrameInfo info;
  EXPECT_TRUE(ParseFrame(frame.data(), frame.size(), &info));
  return EcnOf(frame.data(), frame.size(), info);
}

TEST(Ecn, CombinesAsTheTableSaysAndKeepsTheChecksumRight) {
  for (const int version : {4, 6}) {
    for (uint8_t inner = 0; inner < 4; ++inner) {
      for (uint8_t outer = 0; outer < 4; ++outer) {
        SCOPED_TRACE(testing::Message() << version << " " << int{inner} << " " << int{outer});
        Bytes frame = FrameWith(version, inner);
        const int expected = kTable[inner][outer];
        FrameInfo info;
        ASSERT_TRUE(ParseFrame(frame.data(), frame.size(), &info));
        ASSERT_EQ(CombineEcn(frame.data(), frame.size(), info, outer), expected != kDropped);
        if (expected == kDropped) continue;
        EXPECT_EQ(frame, FrameWith(version, static_cast<uint8_t>(expected)));
      }
    }
  }
}

TEST(Ecn, AWrongHeaderChecksumStaysWrong) {
  Bytes frame = FrameWith(4, kEcnCapable0);
  frame[14 + 10] ^= 0x55;
  FrameInfo info;
  ASSERT_TRUE(ParseFrame(frame.data(), frame.size(), &info));
  ASSERT_TRUE(CombineEcn(frame.data(), frame.size(), info, kEcnCongested));
  EXPECT_NE(test::NaiveSum(frame, 14, 34), 0xffff);
}

TEST(Ecn, LeavesAloneWhatIsNoWholeIpHeader) {
  for (size_t size = 14; size < 34; ++size) {
    Bytes frame = FrameWith(4, kEcnCapable0);
    frame.resize(size);
    const Bytes before = frame;
    FrameInfo info;
    ASSERT_TRUE(ParseFrame(frame.data(), frame.size(), &info));
    EXPECT_EQ(EcnOf(frame.data(), frame.size(), info), kEcnNotCapable);
    EXPECT_TRUE(CombineEcn(frame.data(), frame.size(), info, kEcnCongested));
    EXPECT_EQ(frame, before);
  }
}

class EcnThroughTunnel : public testing::Test {
 protected:
  void SetUp() override { test::Connect(a_, b_); }
  void Cross() {
    a_.DrainTx();
    b_.DrainRx();
  }

  test::FakeNet net_;
  TestNode a_{net_, 1};
  TestNode b_{net_, 2};
};

TEST_F(EcnThroughTunnel, TheOuterHeaderHasTheInnerFieldAndTrainsDoNotMix) {
  for (const uint8_t ecn : {2, 2, 0, 1, 3, 3}) a_.SendPartial(FrameWith(4, ecn));
  Cross();
  std::vector<std::pair<int, size_t>> trains;
  for (const auto& message : net_.Take()) trains.emplace_back(message.ecn, message.count);
  EXPECT_EQ(trains, (std::vector<std::pair<int, size_t>>{{2, 2}, {0, 1}, {1, 1}, {3, 2}}));
}

TEST_F(EcnThroughTunnel, AMarkOnTheWayArrivesInTheFrame) {
  net_.filter = [](test::Message& message) {
    message.ecn = kEcnCongested;
    return true;
  };
  a_.SendPartial(FrameWith(4, kEcnCapable0));
  a_.SendPartial(FrameWith(6, kEcnCapable1));
  a_.SendPartial(FrameWith(4, kEcnNotCapable));
  Cross();
  const std::vector<Bytes> got = test::Delivered(b_.tap.Take());
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(EcnIn(got[0]), kEcnCongested);
  EXPECT_EQ(EcnIn(got[1]), kEcnCongested);
  EXPECT_EQ(b_.RxDropped(DropReason::kEcn), 1u);
}

TEST_F(EcnThroughTunnel, FragmentsAreNotCapableAndTheWholeKeepsItsField) {
  Packet packet;
  packet.payload = Bytes(3000, 9);
  packet.is_udp = true;
  Bytes frame = Build(packet);
  frame[15] = static_cast<uint8_t>(frame[15] | kEcnCapable0);
  a_.Send(frame);
  Cross();
  const auto sent = net_.Take();
  ASSERT_FALSE(sent.empty());
  for (const auto& message : sent) EXPECT_EQ(message.ecn, kEcnNotCapable);
  const auto got = b_.tap.Take();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(EcnIn(got[0].bytes), kEcnCapable0);
}

}  // namespace
}  // namespace overlayd::core
