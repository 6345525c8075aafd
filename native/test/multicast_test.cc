#include "native/core/multicast.h"

#include <gtest/gtest.h>

#include "native/test/packets.h"

namespace overlayd::core {
namespace {

using test::Bytes;

Membership Of(const Bytes& frame) {
  FrameInfo info;
  return ParseFrame(frame.data(), frame.size(), &info)
             ? MembershipOf(frame.data(), frame.size(), info)
             : Membership::kNone;
}

Bytes Igmp(uint8_t type, size_t options = 4) {
  Bytes frame(14 + 20 + options + 8);
  test::Put16(frame, 12, 0x0800);
  frame[14] = static_cast<uint8_t>(0x45 + options / 4);
  test::Put16(frame, 16, static_cast<uint32_t>(frame.size() - 14));
  frame[14 + 9] = 2;
  frame[14 + 20 + options] = type;
  return frame;
}

Bytes Mld(uint8_t type) {
  Bytes frame(14 + 40 + 8 + 24);
  test::Put16(frame, 12, 0x86dd);
  frame[14] = 0x60;
  test::Put16(frame, 18, 8 + 24);
  frame[14 + 40] = 58;
  frame[14 + 48] = type;
  return frame;
}

TEST(MulticastTest, TellsGroupsThatReportFromThoseOfTheLink) {
  EXPECT_TRUE(IsSnooped(0x01005e010203));
  EXPECT_TRUE(IsSnooped(0x01005e000100));
  EXPECT_TRUE(IsSnooped(0x01005e7fffff));
  EXPECT_TRUE(IsSnooped(0x333300010003));
  EXPECT_TRUE(IsSnooped(0x3333fe000001));
  EXPECT_FALSE(IsSnooped(0x01005e000001));
  EXPECT_FALSE(IsSnooped(0x01005e0000fb));
  EXPECT_FALSE(IsSnooped(0x01005e800100)) << "not of IPv4";
  EXPECT_FALSE(IsSnooped(0x3333000000fb));
  EXPECT_FALSE(IsSnooped(0x3333ff010203));
  EXPECT_FALSE(IsSnooped(kMaxMac));
  EXPECT_FALSE(IsSnooped(0x0180c2000000));
  EXPECT_FALSE(IsSnooped(kRouterGroup));
}

TEST(MulticastTest, ReportsAndQueries) {
  for (const uint8_t type : {0x12, 0x16, 0x17, 0x22}) {
    EXPECT_EQ(Of(Igmp(type)), Membership::kReport) << int{type};
    EXPECT_EQ(Of(Igmp(type, 0)), Membership::kReport) << int{type};
  }
  EXPECT_EQ(Of(Igmp(0x11)), Membership::kQuery);
  EXPECT_EQ(Of(Igmp(0x13)), Membership::kNone);
  for (const uint8_t type : {131, 132, 143}) {
    EXPECT_EQ(Of(Mld(type)), Membership::kReport) << int{type};
  }
  EXPECT_EQ(Of(Mld(130)), Membership::kQuery);
  EXPECT_EQ(Of(Mld(135)), Membership::kNone) << "a neighbour solicitation";
}

TEST(MulticastTest, WhatIsNoMembership) {
  Bytes udp = Igmp(0x16);
  udp[14 + 9] = 17;
  EXPECT_EQ(Of(udp), Membership::kNone);
  Bytes fragment = Igmp(0x16);
  fragment[14 + 7] = 1;
  EXPECT_EQ(Of(fragment), Membership::kNone);
  Bytes tagged = Igmp(0x16);
  tagged.insert(tagged.begin() + 12, {0x81, 0, 0, 5});
  EXPECT_EQ(Of(tagged), Membership::kNone);
  Bytes bare = Mld(131);
  bare[14 + 6] = 58;
  EXPECT_EQ(Of(bare), Membership::kNone) << "without its hop-by-hop header";
}

// Whatever is cut off or says a wrong length: nothing is read that is not there (the sanitizers watch).
TEST(MulticastTest, EveryTruncationAndHeaderLength) {
  for (const Bytes& whole : {Igmp(0x16), Mld(131)}) {
    for (size_t size = 0; size <= whole.size(); ++size) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      for (unsigned length = 0; length < 256; ++length) {
        Bytes frame = cut;
        if (frame.size() > 14 + 41) frame[14 + 41] = static_cast<uint8_t>(length);
        if (frame.size() > 14 && whole[12] == 8) frame[14] = static_cast<uint8_t>(length);
        (void)Of(frame);
      }
    }
    EXPECT_EQ(Of(whole), Membership::kReport);
  }
}

}  // namespace
}  // namespace overlayd::core
