#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "native/engine/engine.h"
#include "native/test/test_node.h"

/*
 * Networks of two engines with their threads, over TAPs of this kernel: who holds raw sockets at the TAPs of one
 * network, and may write whatever he likes, is seen in no other. Needs root, for a network namespace of its own.
 *
 *   raw sockets ── TAPs of a ── a ══ 127.0.0.1 / 127.0.0.2 ══ b ── TAPs of b ── raw sockets
 */
namespace overlayd::engine {
namespace {

using test::Bytes;
using test::KeyNumber;

constexpr uint32_t kBlue = 5;
constexpr uint32_t kRed = 0xab0005;
constexpr auto kPatience = std::chrono::seconds(30);

/// Every frame of every protocol on one interface.
class RawSocket {
 public:
  explicit RawSocket(const std::string& name)
      : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(0x0003))) {
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(0x0003);
    at.sll_ifindex = static_cast<int>(::if_nametoindex(name.c_str()));
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0) << name;
  }
  bool Send(const Bytes& frame) {
    ++sent_;
    return ::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
  }
  [[nodiscard]] size_t sent() const { return sent_; }
  /// One that came in from the device, or empty.
  Bytes Take() {
    Bytes frame(65536);
    for (;;) {
      sockaddr_ll from{};
      socklen_t size = sizeof from;
      const ssize_t got = ::recvfrom(fd_.get(), frame.data(), frame.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 0) return {};
      if (from.sll_pkttype == PACKET_OUTGOING) continue;
      frame.resize(static_cast<size_t>(got));
      return frame;
    }
  }

 private:
  io::Fd fd_;
  size_t sent_ = 0;
};

void BringUp(const std::string& name) {
  std::ofstream("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6") << 1;
  const io::Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  ASSERT_EQ(::ioctl(fd.get(), SIOCGIFFLAGS, &request), 0) << name;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  ASSERT_EQ(::ioctl(fd.get(), SIOCSIFFLAGS, &request), 0) << name;
}

void DeleteLink(const std::string& name) {
  // Somebody else's hand: the engine is not asked.
  ASSERT_EQ(std::system(("ip link del " + name).c_str()), 0);
}

Bytes Numbered(uint32_t number, size_t size = 64) {
  Bytes frame(size, 0x11);
  core::StoreMac(frame.data(), core::kMaxMac);
  core::StoreMac(frame.data() + 6, 0x020000000007);
  core::StoreBe16(frame.data() + 12, 0x88b5);
  core::StoreLe32(frame.data() + 14, number);
  return frame;
}

struct Node {
  explicit Node(char letter, const std::string& address) : letter(letter), address(address) {}

  void Open() {
    EngineConfig config;
    config.tap_name = TapOf(0);
    config.bind = {address};
    config.suites = {core::Suite::kAes256Gcm, core::Suite::kChaCha20Poly1305};
    config.queue_pairs = 2;
    OpenFailure failure;
    ASSERT_TRUE(engine.Open(config, &info, &failure)) << failure.step << failure.what;
    BringUp(TapOf(0));
  }
  void OpenNetwork(uint32_t network) {
    OpenFailure failure;
    ASSERT_TRUE(engine.OpenNetwork({network, TapOf(network), {}}, &failure))
        << failure.step << failure.what << std::strerror(failure.error);
    BringUp(TapOf(network));
  }
  void Apply(std::vector<TableEntry> entries) {
    size_t refused = 0;
    ASSERT_EQ(engine.Apply(entries, &refused), "");
  }
  [[nodiscard]] std::string TapOf(uint32_t network) const {
    return std::string("tap") + letter + std::to_string(network);
  }

  char letter;
  std::string address;
  Engine engine{[] {}};
  EngineInfo info;
};

void Link(Node& own, Node& peer, bool is_first) {
  const auto suite = core::Suite::kChaCha20Poly1305;
  own.Apply({SessionInstall{is_first ? 101U : 201U, 1, is_first ? 201U : 101U, suite,
                            KeyNumber(is_first ? 1 : 2), KeyNumber(is_first ? 2 : 1)},
             PathSet{11, 1, is_first ? 101U : 201U, peer.info.local_addresses.front(), 1400},
             PeerSet{1, is_first ? 101U : 201U, 11}, MembersSet{kBlue, {1}},
             MembersSet{kRed, {1}}});
}

/// Runs the story in a network namespace of its own.
void InNamespace(const std::function<void()>& story) {
  std::thread thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << "needs root";
    BringUp("lo");
    story();
  });
  thread.join();
}

bool Until(const std::function<bool()>& is_done) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!is_done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// Sends the frame until its like has come out there: at the start a path may not stand.
bool Arrives(RawSocket& in, RawSocket& out, const Bytes& frame) {
  return Until([&] {
    in.Send(frame);
    for (Bytes got = out.Take(); !got.empty(); got = out.Take()) {
      if (got == frame) return true;
    }
    return false;
  });
}

/// As Arrives, but sends it again only after a second: there is never much to do.
bool ArrivesAlone(RawSocket& in, RawSocket& out, const Bytes& frame) {
  auto again = std::chrono::steady_clock::now();
  return Until([&] {
    if (std::chrono::steady_clock::now() >= again) {
      in.Send(frame);
      again += std::chrono::seconds(1);
    }
    for (Bytes got = out.Take(); !got.empty(); got = out.Take()) {
      if (got == frame) return true;
    }
    return false;
  });
}

TEST(EngineNetworks, RawSocketsInOneAreNotSeenInAnother) {
  InNamespace([] {
    Node a('a', "127.0.0.1");
    Node b('b', "127.0.0.2");
    ASSERT_NO_FATAL_FAILURE(a.Open());
    ASSERT_NO_FATAL_FAILURE(b.Open());
    for (const uint32_t network : {kBlue, kRed}) {
      ASSERT_NO_FATAL_FAILURE(a.OpenNetwork(network));
      ASSERT_NO_FATAL_FAILURE(b.OpenNetwork(network));
    }
    Link(a, b, true);
    Link(b, a, false);
    RawSocket blue_a(a.TapOf(kBlue));
    RawSocket red_a(a.TapOf(kRed));
    RawSocket blue_b(b.TapOf(kBlue));
    RawSocket red_b(b.TapOf(kRed));
    RawSocket default_a(a.TapOf(0));
    RawSocket default_b(b.TapOf(0));

    // Whatever he writes: noise, tags, what looks like our own headers, oversize, MACs that red knows.
    ASSERT_TRUE(Arrives(red_a, red_b, Numbered(1)));
    std::mt19937_64 rng(test::TestSeed());
    for (int i = 0; i < 300; ++i) {
      Bytes frame = test::RandomBytes(rng, 14 + rng() % 1'400);
      if (i % 3 == 0) core::StoreMac(frame.data(), 0x020000000007);
      if (i % 3 == 1) core::StoreMac(frame.data(), core::kMaxMac);
      frame[6] &= 0xfe;
      if (i % 5 == 0) test::Put16(frame, 12, 0x8100);
      if (i % 7 == 0 && frame.size() > 24)
        core::WriteInnerHeader(&frame[14], core::InnerKind::kFrame, 0, kRed);
      if (blue_a.Send(frame) && i % 16 == 0) std::this_thread::yield();
    }
    // What comes behind the last of them at each TAP has nothing of them before it.
    ASSERT_TRUE(Arrives(blue_a, blue_b, Numbered(2)));
    size_t seen = 0;
    for (const auto& pipe : {std::pair{&red_a, &red_b}, std::pair{&default_a, &default_b}}) {
      RawSocket& in = *pipe.first;
      RawSocket& out = *pipe.second;
      const Bytes last = Numbered(3);
      ASSERT_TRUE(Until([&] {
        in.Send(last);
        for (Bytes got = out.Take(); !got.empty(); got = out.Take()) {
          if (got == last) return true;
          seen += got != Numbered(1) ? 1 : 0;
        }
        return false;
      }));
    }
    EXPECT_EQ(seen, 0u);
    EXPECT_EQ(b.engine.Dropped(core::DropReason::kInnerNetwork), 0u);
  });
}

TEST(EngineNetworks, ATapThatIsDeletedTakesNoOtherWithIt) {
  InNamespace([] {
    Node a('a', "127.0.0.1");
    Node b('b', "127.0.0.2");
    ASSERT_NO_FATAL_FAILURE(a.Open());
    ASSERT_NO_FATAL_FAILURE(b.Open());
    for (const uint32_t network : {kBlue, kRed}) {
      ASSERT_NO_FATAL_FAILURE(a.OpenNetwork(network));
      ASSERT_NO_FATAL_FAILURE(b.OpenNetwork(network));
    }
    Link(a, b, true);
    Link(b, a, false);
    const auto lost = [&](uint32_t network) {
      size_t count = 0;
      for (const Event& event : a.engine.Drain()) {
        const bool is_lost = event.kind == EventKind::kFault && event.network == network;
        count += is_lost && std::string(event.code) == "OVL_TAP_LOST" ? 1 : 0;
      }
      return count;
    };
    DeleteLink(a.TapOf(kBlue));
    EXPECT_TRUE(Until([&] { return lost(kBlue) != 0; }));
    RawSocket red_a(a.TapOf(kRed));
    RawSocket red_b(b.TapOf(kRed));
    EXPECT_TRUE(Arrives(red_a, red_b, Numbered(1)));
    DeleteLink(a.TapOf(0));
    EXPECT_TRUE(Until([&] { return lost(0) != 0; }));
    // Threads that lost a TAP are not woken by it again and again.
    const auto wakeups = [&] {
      return a.engine.Total(core::Counter::kTxWakeups) + a.engine.Total(core::Counter::kRxWakeups);
    };
    constexpr uint64_t kOthers = 2'000;  // PINGs and the like
    const uint64_t woken = wakeups();
    const size_t sent = red_a.sent();
    for (uint32_t i = 0; i < 100; ++i) EXPECT_TRUE(Arrives(red_a, red_b, Numbered(10 + i)));
    EXPECT_LE(wakeups() - woken, 2 * (red_a.sent() - sent) + kOthers);
    // Closed and opened anew it is as before.
    a.engine.CloseNetwork(kBlue);
    ASSERT_NO_FATAL_FAILURE(a.OpenNetwork(kBlue));
    RawSocket blue_a(a.TapOf(kBlue));
    RawSocket blue_b(b.TapOf(kBlue));
    EXPECT_TRUE(Arrives(blue_a, blue_b, Numbered(3)));
    // The default one under the threads that lost it; then again, whether or not they have noticed.
    for (uint32_t i = 0; i < 3; ++i) {
      OpenFailure failure;
      ASSERT_TRUE(a.engine.ReopenTap(&failure)) << failure.step << std::strerror(failure.error);
      BringUp(a.TapOf(0));
      RawSocket default_a(a.TapOf(0));
      RawSocket default_b(b.TapOf(0));
      EXPECT_TRUE(Arrives(default_a, default_b, Numbered(20 + i)));
      EXPECT_TRUE(Arrives(default_b, default_a, Numbered(30 + i)));
      if (i < 2) DeleteLink(a.TapOf(0));
    }
    EXPECT_TRUE(Arrives(red_a, red_b, Numbered(4)));
  });
}

TEST(EngineNetworks, ComeAndGoWhileFramesFlow) {
  InNamespace([] {
    Node a('a', "127.0.0.1");
    Node b('b', "127.0.0.2");
    ASSERT_NO_FATAL_FAILURE(a.Open());
    ASSERT_NO_FATAL_FAILURE(b.Open());
    ASSERT_NO_FATAL_FAILURE(b.OpenNetwork(kBlue));
    ASSERT_NO_FATAL_FAILURE(b.OpenNetwork(kRed));
    ASSERT_NO_FATAL_FAILURE(a.OpenNetwork(kRed));
    Link(a, b, true);
    Link(b, a, false);
    std::atomic<bool> is_over = false;
    RawSocket red_a(a.TapOf(kRed));
    RawSocket red_b(b.TapOf(kRed));
    ASSERT_TRUE(Arrives(red_a, red_b, Numbered(1)));
    std::thread red([&] {
      while (!is_over) {
        red_a.Send(Numbered(1));
        std::this_thread::yield();
      }
    });
    for (uint32_t round = 0; round < 12; ++round) {
      a.OpenNetwork(kBlue);
      RawSocket blue_a(a.TapOf(kBlue));
      RawSocket blue_b(b.TapOf(kBlue));
      EXPECT_TRUE(Arrives(blue_a, blue_b, Numbered(100 + round))) << round;
      for (int i = 0; i < 50; ++i) blue_a.Send(Numbered(2));
      a.engine.CloseNetwork(kBlue);
    }
    is_over = true;
    red.join();
    for (Bytes got = red_b.Take(); !got.empty(); got = red_b.Take()) EXPECT_EQ(got, Numbered(1));
  });
}

// Much at once, and the tx thread takes the TAP over; one frame at a time, and the rx thread has it back.
TEST(EngineThreads, TheTapChangesHandsWhileFramesFlow) {
  InNamespace([] {
    Node a('a', "127.0.0.1");
    Node b('b', "127.0.0.2");
    ASSERT_NO_FATAL_FAILURE(a.Open());
    ASSERT_NO_FATAL_FAILURE(b.Open());
    Link(a, b, true);
    Link(b, a, false);
    RawSocket in(a.TapOf(0));
    RawSocket out(b.TapOf(0));
    uint32_t number = 1;
    ASSERT_TRUE(Arrives(in, out, Numbered(number)));
    const auto by_tx = [&] { return a.engine.Total(core::Counter::kTxWakeups); };
    for (int round = 0; round < 3; ++round) {
      const uint64_t before = by_tx();
      EXPECT_TRUE(Until([&] {
        for (int i = 0; i < 64; ++i) in.Send(Numbered(++number));
        return by_tx() != before;
      })) << round;
      EXPECT_TRUE(Until([&] {
        const uint64_t woken = by_tx();
        return ArrivesAlone(in, out, Numbered(++number)) && by_tx() == woken;
      })) << round;
    }
  });
}

}  // namespace
}  // namespace overlayd::engine
