#include "native/os/network_listener.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cstring>
#include <string>
#include <vector>

namespace overlayd::os {
namespace {

void Append(std::vector<uint8_t>* out, const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  out->insert(out->end(), bytes, bytes + size);
  out->resize(NLMSG_ALIGN(out->size()));
}

/// One message: header, its fixed part, one attribute.
template <typename Fixed>
std::vector<uint8_t> Message(uint16_t type, const Fixed& fixed, uint16_t attribute_type,
                             const void* value, size_t value_bytes) {
  std::vector<uint8_t> body;
  Append(&body, &fixed, sizeof fixed);
  rtattr attribute{};
  attribute.rta_type = attribute_type;
  attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(value_bytes));
  Append(&body, &attribute, sizeof attribute);
  Append(&body, value, value_bytes);
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_len = static_cast<uint32_t>(sizeof header + body.size());
  std::vector<uint8_t> out;
  Append(&out, &header, sizeof header);
  Append(&out, body.data(), body.size());
  return out;
}

std::vector<uint8_t> Link(const std::string& name) {
  return Message(RTM_NEWLINK, ifinfomsg{}, IFLA_IFNAME, name.c_str(), name.size() + 1);
}

TEST(NetworkListenerTest, TellsLinksOfOthersFromOurOwn) {
  const NetworkListener listener({"overlay0", "overlay0-t"});
  EXPECT_TRUE(listener.IsRelevant(Link("eth0")));
  EXPECT_TRUE(listener.IsRelevant(Link("overlay")));
  EXPECT_FALSE(listener.IsRelevant(Link("overlay0")));
  EXPECT_FALSE(listener.IsRelevant(Link("overlay0-t")));
  auto both = Link("overlay0");
  const auto other = Link("eth0");
  both.insert(both.end(), other.begin(), other.end());
  EXPECT_TRUE(listener.IsRelevant(both)) << "the second message of a datagram counts too";
}

TEST(NetworkListenerTest, TellsAddressesAndRoutesByTheirInterface) {
  const int loopback = static_cast<int>(if_nametoindex("lo"));
  ASSERT_GT(loopback, 0);
  ifaddrmsg address{};
  address.ifa_index = static_cast<uint32_t>(loopback);
  const uint32_t ip = 0;
  const auto of_address = Message(RTM_NEWADDR, address, IFA_LOCAL, &ip, sizeof ip);
  const auto of_route = Message(RTM_DELROUTE, rtmsg{}, RTA_OIF, &loopback, sizeof loopback);
  EXPECT_TRUE(NetworkListener({"overlay0"}).IsRelevant(of_address));
  EXPECT_TRUE(NetworkListener({"overlay0"}).IsRelevant(of_route));
  EXPECT_FALSE(NetworkListener({"lo"}).IsRelevant(of_address));
  EXPECT_FALSE(NetworkListener({"lo"}).IsRelevant(of_route));
  const auto of_blackhole = Message(RTM_NEWROUTE, rtmsg{}, RTA_DST, &ip, sizeof ip);
  EXPECT_TRUE(NetworkListener({"lo"}).IsRelevant(of_blackhole)) << "a route without interface";
}

TEST(NetworkListenerTest, IgnoresWhatIsCutOrLiesAboutItsLength) {
  const NetworkListener listener({});
  const auto whole = Link("eth0");
  for (size_t size = 0; size < whole.size() - 4; ++size) {
    const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_FALSE(listener.IsRelevant(cut)) << size;
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const uint8_t value : {0, 1, 15, 0x7f, 0xff}) {
      auto changed = whole;
      changed[at] = value;
      (void)listener.IsRelevant(changed);  // the sanitizers judge
    }
  }
}

TEST(NetworkListenerTest, OpensAndHasNothingToTellAtFirst) {
  NetworkListener listener({});
  ASSERT_EQ(listener.Open(), 0);
  EXPECT_GE(listener.fd(), 0);
  (void)listener.Drain();  // somebody else may change this host meanwhile: it must not block
}

}  // namespace
}  // namespace overlayd::os
