#include "native/io/port_sorter.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include "native/core/handshake_layout.h"
#include "native/test/packets.h"

namespace overlayd::io {
namespace {

using test::Bytes;

/// Sockets of the kernel on the loopback interface.
class PortSorterTest : public testing::TestWithParam<const char*> {
 protected:
  void Open(size_t mains) {
    UdpOptions options;
    const char* step = "";
    for (size_t i = 0; i < mains; ++i) {
      std::unique_ptr<UdpSocket> socket;
      ASSERT_EQ(OpenUdp(GetParam(), &port_, options, &socket, &step), 0) << step;
      mains_.push_back(std::move(socket));
      options.joins_port = true;
    }
    ASSERT_TRUE(AddSideQueues(GetParam(), port_, options, *mains_[0], mains, &side_));
  }

  /// From the n-th source; a train when it is longer than `stride`.
  void Send(const Bytes& bytes, uint8_t source = 1, size_t stride = 0) {
    if (stride == 0) stride = bytes.size();
    uint16_t any_port = 0;
    const char* step = "";
    std::unique_ptr<UdpSocket> sender;
    const std::string from =
        is_ipv6() ? std::string("::1") : "127.0.0." + std::to_string(int{source});
    ASSERT_EQ(OpenUdp(from, &any_port, {}, &sender, &step), 0) << step;
    const iovec part{const_cast<uint8_t*>(bytes.data()), bytes.size()};
    ASSERT_EQ(sender->SendTrain({&part, 1, stride, (bytes.size() + stride - 1) / stride, To()}), 0);
  }
  [[nodiscard]] core::SourceAddress To() const {
    if (!is_ipv6()) {
      const uint8_t ip[4] = {127, 0, 0, 1};
      return core::SourceFromIpv4(ip, port_);
    }
    uint8_t ip[16]{};
    ip[15] = 1;
    return core::SourceFromIpv6(ip, port_);
  }
  /// Bytes that wait at a socket; 0: none.
  static size_t Waiting(UdpSocket& socket) {
    std::vector<uint8_t> buffer(65536);
    InTrain train{buffer.data(), buffer.size(), 0, false, {}};
    return socket.Receive(&train, 1) == 1 ? train.size : 0;
  }
  /// Where the one datagram came that was sent: "main", "strangers", "proven", or "nowhere". Loopback delivers at once.
  std::string Where() {
    std::string found = "nowhere";
    for (auto& main : mains_) {
      if (Waiting(*main) != 0) found = "main";
    }
    if (Waiting(*side_.strangers) != 0) found = "strangers";
    if (Waiting(*side_.proven) != 0) found = "proven";
    return found;
  }
  [[nodiscard]] bool is_ipv6() const { return std::string(GetParam()) == "::1"; }
  static Bytes Init() {
    Bytes init(core::kHandshakeBytes, 0);
    init[0] = core::kTypeInit;
    init[100] = 7;
    return init;
  }

  uint16_t port_ = 0;
  std::vector<std::unique_ptr<UdpSocket>> mains_;
  SideQueues side_;
};

TEST_P(PortSorterTest, InitsHaveQueuesOfTheirOwn) {
  Open(1);
  Send(Init());
  EXPECT_EQ(Where(), "strangers");
  for (size_t at = core::kInitResume; at < core::kInitResume + core::kHintBytes; ++at) {
    Bytes init = Init();
    init[at] = 1;
    Send(init);
    EXPECT_EQ(Where(), "proven") << at;
  }
  for (size_t at = core::kInitCookie; at < core::kInitCookie + core::kCookieBytes; ++at) {
    Bytes init = Init();
    init[at] = 0x80;
    Send(init);
    EXPECT_EQ(Where(), "proven") << at;
  }
}

TEST_P(PortSorterTest, WrongLengthsProveNothing) {
  Open(1);
  Bytes init = Init();
  init.back() = 1;  // in the cookie
  for (const size_t size : {1U, 4U, 76U, 475U, 500U, 511U, 513U, 1400U}) {
    init.resize(size, 1);
    Send(init);
    EXPECT_EQ(Where(), "strangers") << size;
  }
}

TEST_P(PortSorterTest, AllElseStaysTogether) {
  Open(1);
  for (int type = 0; type < 256; ++type) {
    if (type == core::kTypeInit) continue;
    for (const size_t size : {1U, 64U, 512U, 1400U}) {
      Send(Bytes(size, static_cast<uint8_t>(type)));
      EXPECT_EQ(Where(), "main") << type;
    }
  }
}

TEST_P(PortSorterTest, TrainsArriveWhole) {
  Open(1);
  Send(Bytes(40 * 1200, core::kTypeData), 1, 1200);
  EXPECT_EQ(Waiting(*mains_[0]), 40U * 1200);
}

TEST_P(PortSorterTest, ASourceStaysAtOneOfSeveralSockets) {
  Open(4);
  std::set<size_t> used;
  for (uint8_t source = 1; source <= 60; ++source) {
    std::set<size_t> of_source;
    for (int i = 0; i < 4; ++i) {
      Send(Bytes(100, core::kTypeData), source);
      for (size_t main = 0; main < mains_.size(); ++main) {
        if (Waiting(*mains_[main]) != 0) of_source.insert(main);
      }
    }
    EXPECT_EQ(of_source.size(), 1U);
    used.insert(*of_source.begin());
  }
  EXPECT_EQ(used.size(), is_ipv6() ? 1U : 4U);
  Send(Init());
  EXPECT_EQ(Where(), "strangers");
}

TEST_P(PortSorterTest, ThePortIsTakenForOthers) {
  Open(2);
  std::unique_ptr<UdpSocket> other;
  const char* step = "";
  EXPECT_EQ(OpenUdp(GetParam(), &port_, {}, &other, &step), -EADDRINUSE);
}

INSTANTIATE_TEST_SUITE_P(Families, PortSorterTest, testing::Values("127.0.0.1", "::1"),
                         [](const auto& info) { return info.index == 0 ? "Ipv4" : "Ipv6"; });

}  // namespace
}  // namespace overlayd::io
