#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "native/core/source_address.h"

namespace overlayd::core {
namespace {

SourceAddress Address(const char* text) {
  uint8_t ip[16];
  if (inet_pton(AF_INET, text, ip) == 1) return SourceFromIpv4(ip, 1);
  EXPECT_EQ(inet_pton(AF_INET6, text, ip), 1) << text;
  return SourceFromIpv6(ip, 1);
}

TEST(AddressPrefixTest, ContainsWhatSharesItsBits) {
  const AddressPrefix pool = PrefixOf(Address("10.32.0.0"), 12);
  EXPECT_TRUE(pool.Contains(Address("10.32.0.0")));
  EXPECT_TRUE(pool.Contains(Address("10.47.255.255")));
  EXPECT_FALSE(pool.Contains(Address("10.31.255.255")));
  EXPECT_FALSE(pool.Contains(Address("10.48.0.0")));
  EXPECT_FALSE(pool.Contains(Address("a20:0::1"))) << "another family";
  const AddressPrefix mesh = PrefixOf(Address("fd12:3456:789a:bcde:1:2:3:4"), 64);
  EXPECT_TRUE(mesh.Contains(Address("fd12:3456:789a:bcde::")));
  EXPECT_FALSE(mesh.Contains(Address("fd12:3456:789a:bcdf::")));
}

TEST(AddressPrefixTest, TakesLengthsAtTheirEnds) {
  EXPECT_TRUE(PrefixOf(Address("0.0.0.0"), 0).Contains(Address("203.0.113.1")));
  EXPECT_FALSE(PrefixOf(Address("0.0.0.0"), 0).Contains(Address("2001:db8::1")));
  EXPECT_TRUE(PrefixOf(Address("::"), 0).Contains(Address("2001:db8::1")));
  EXPECT_TRUE(PrefixOf(Address("192.0.2.1"), 32).Contains(Address("192.0.2.1")));
  EXPECT_FALSE(PrefixOf(Address("192.0.2.1"), 32).Contains(Address("192.0.2.0")));
  EXPECT_FALSE(PrefixOf(Address("192.0.2.1"), 4'000'000'000).Contains(Address("192.0.2.0")));
}

TEST(SourceKeyTest, IsOneForTheAddressesOfOneSource) {
  const auto key = [](const char* text) { return SourceKeyOf(Address(text)); };
  EXPECT_EQ(key("2001:db8:1:200::1"), key("2001:db8:1:2ff:ffff:ffff:ffff:ffff"));
  EXPECT_NE(key("2001:db8:1:2ff::1"), key("2001:db8:1:300::1"));
  EXPECT_NE(key("192.0.2.1"), key("192.0.2.2"));
  EXPECT_NE(key("192.0.2.1"), key("::1")) << "mapped is no IPv6";
  EXPECT_NE(SourceKeyOf(SourceFromLabel(1)), SourceKeyOf(SourceFromLabel(0x1000001)));
}

TEST(PathAddressTest, SurvivesItsEncoding) {
  uint8_t bytes[kEndpointBytes];
  for (const SourceAddress& address :
       {SourceFromLabel(0xdeadbeef), SourceFromNumber(AddressFamily::kTcp, 0x80000001),
        Address("192.0.2.1"), Address("2001:db8::1")}) {
    EncodePathAddress(address, bytes);
    SourceAddress decoded;
    ASSERT_TRUE(DecodePathAddress(bytes, decoded));
    EXPECT_EQ(decoded, address);
  }
  EncodePathAddress(SourceFromLabel(0xdeadbeef), bytes);
  const uint8_t expected[kEndpointBytes] = {1, 0xef, 0xbe, 0xad, 0xde};
  EXPECT_EQ(std::memcmp(bytes, expected, sizeof bytes), 0);
}

TEST(PathAddressTest, RefusesWhatIsNone) {
  SourceAddress decoded;
  const uint8_t zero_label[kEndpointBytes] = {1};
  EXPECT_FALSE(DecodePathAddress(zero_label, decoded));
  for (size_t i = 5; i < kEndpointBytes; ++i) {
    uint8_t bytes[kEndpointBytes] = {1, 1};
    bytes[i] = 1;
    EXPECT_FALSE(DecodePathAddress(bytes, decoded)) << i;
  }
  const uint8_t other_family[kEndpointBytes] = {3, 1};
  EXPECT_FALSE(DecodePathAddress(other_family, decoded));
}

TEST(PathAddressTest, AnEndpointIsNeverALabel) {
  uint8_t bytes[kEndpointBytes] = {6, 0xff, 1, 5};
  SourceAddress decoded;
  ASSERT_TRUE(DecodePathAddress(bytes, decoded));
  EXPECT_FALSE(IsRelayed(decoded));
  EXPECT_EQ(decoded, SourceAddress{});
}

}  // namespace
}  // namespace overlayd::core
