#include "native/core/bytes.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "native/core/counters.h"
#include "native/core/drop_reason.h"
#include "native/core/source_address.h"

namespace overlayd::core {
namespace {

TEST(Bytes, LoadAndStoreBothOrders) {
  uint8_t bytes[8];
  StoreLe64(bytes, 0x0102030405060708);
  EXPECT_EQ(bytes[0], 8);
  EXPECT_EQ(LoadBe64(bytes), 0x0807060504030201u);
  StoreBe32(bytes, 0xa1b2c3d4);
  EXPECT_EQ(bytes[0], 0xa1);
  EXPECT_EQ(LoadLe32(bytes), 0xd4c3b2a1u);
  StoreBe16(std::span<uint8_t>(bytes), 6, 0x1234);
  EXPECT_EQ(LoadBe16(std::span<const uint8_t>(bytes), 6), 0x1234);
  EXPECT_EQ(LoadLe16(std::span<const uint8_t>(bytes), 6), 0x3412);
  StoreLe24(bytes, 0xabcdef);
  EXPECT_EQ(LoadLe24(bytes), 0xabcdefu);
}

TEST(Bytes, FitsNeverOverflows) {
  const uint8_t bytes[4] = {};
  EXPECT_TRUE(Fits(bytes, 0, 4));
  EXPECT_TRUE(Fits(bytes, 4, 0));
  EXPECT_FALSE(Fits(bytes, 1, 4));
  EXPECT_FALSE(Fits(bytes, 5, 0));
  EXPECT_FALSE(Fits(bytes, SIZE_MAX, 2));
  EXPECT_FALSE(Fits(bytes, 2, SIZE_MAX));
}

TEST(BytesDeathTest, LoadOutsideASpanStops) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const uint8_t bytes[4] = {};
  EXPECT_DEATH(static_cast<void>(LoadLe32(std::span<const uint8_t>(bytes), 1)), "check failed");
}

TEST(Bytes, AllZeroSeesEveryByte) {
  uint8_t bytes[65] = {};
  EXPECT_TRUE(AllZero(bytes));
  for (uint8_t& byte : bytes) {
    byte = 0x80;
    EXPECT_FALSE(AllZero(bytes));
    byte = 0;
  }
}

TEST(DropReasons, NamesAreUniqueAndInOrder) {
  std::set<std::string> names(std::begin(kDropReasonNames), std::end(kDropReasonNames));
  EXPECT_EQ(names.size(), kDropReasonCount);
  EXPECT_STREQ(DropReasonName(DropReason::kNone), "none");
  EXPECT_STREQ(DropReasonName(DropReason::kTapShort), "tap_short");
  EXPECT_STREQ(DropReasonName(DropReason::kSessionExpired), "session_expired");
  EXPECT_EQ(static_cast<size_t>(DropReason::kSessionExpired), kDropReasonCount - 1);
}

TEST(Counters, BlockCountsTotalsAndDropsApart) {
  CounterBlock block;
  block.Add(Counter::kTapRxFrames);
  block.Add(Counter::kRxqOverflow, 41);
  block.Drop(DropReason::kSessionExpired, 2);
  EXPECT_EQ(block.Total(Counter::kTapRxFrames), 1u);
  EXPECT_EQ(block.Total(Counter::kRxqOverflow), 41u);
  EXPECT_EQ(block.Total(Counter::kSealed), 0u);
  EXPECT_EQ(block.Dropped(DropReason::kSessionExpired), 2u);
  std::set<std::string> names(std::begin(kCounterNames), std::end(kCounterNames));
  EXPECT_EQ(names.size(), kCounterCount);
}

TEST(SourceAddress, EndpointSurvivesTheWire) {
  const uint8_t v4[4] = {192, 0, 2, 7};
  const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
  for (const SourceAddress& source : {SourceFromIpv4(v4, 6783), SourceFromIpv6(v6, 65535)}) {
    uint8_t wire[kEndpointBytes];
    EncodeEndpoint(source, wire);
    SourceAddress decoded;
    ASSERT_TRUE(DecodeEndpoint(wire, decoded));
    EXPECT_EQ(decoded, source);
  }
  uint8_t wire[kEndpointBytes];
  EncodeEndpoint(SourceFromIpv4(v4, 6783), wire);
  EXPECT_EQ(wire[0], 4);
  wire[16] = 1;
  SourceAddress decoded;
  EXPECT_FALSE(DecodeEndpoint(wire, decoded));
  wire[0] = 5;
  EXPECT_FALSE(DecodeEndpoint(wire, decoded));
}

}  // namespace
}  // namespace overlayd::core
