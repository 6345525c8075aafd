#include "native/engine/tcp_hub.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <functional>
#include <thread>

#include "native/test/lockstep.h"
#include "native/test/test_node.h"

/*
 * Hubs over the loopback interface: real connections, everything else as in the other tests of the engine.
 */
namespace overlayd::engine {
namespace {

using test::Bytes;
using test::TestNode;

constexpr uint8_t kLoopback[4] = {127, 0, 0, 1};

/// However long a thread has to wait for a CPU.
constexpr auto kPatience = std::chrono::seconds(60);

bool Until(const std::function<bool()>& is_done) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!is_done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

Bytes Framed(const Bytes& datagram) {
  Bytes out{static_cast<uint8_t>(datagram.size()), static_cast<uint8_t>(datagram.size() >> 8)};
  out.insert(out.end(), datagram.begin(), datagram.end());
  return out;
}

struct Running {
  Running(test::FakeNet& net, uint8_t host)
      : node(net, host), hub(node.plane, 3, node.tap, node.sockets) {
    node.sockets.tcp = &hub;
    const char* step = "";
    static uint16_t next = static_cast<uint16_t>(20'000 + ::getpid() % 20'000);
    for (port = next; hub.Listen("127.0.0.1", port, &step) != 0;) ++port;
    next = static_cast<uint16_t>(port + 1);
    thread = std::thread([this] { hub.Run(stop.get()); });
  }
  ~Running() {
    const uint64_t one = 1;
    EXPECT_EQ(::write(stop.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    thread.join();
  }
  std::vector<Event> Take(EventKind kind) {
    for (Event& event : node.plane.events.Drain()) seen.push_back(std::move(event));
    std::vector<Event> out;
    for (const Event& event : seen) {
      if (event.kind == kind) out.push_back(event);
    }
    return out;
  }
  [[nodiscard]] core::SourceAddress address() const {
    return core::SourceFromIpv4(kLoopback, port);
  }

  TestNode node;
  TcpHub hub;
  uint16_t port = 0;
  io::Fd stop{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::thread thread;
  std::vector<Event> seen;
};

/// A stranger's plain socket.
struct Plain {
  explicit Plain(uint16_t port, uint8_t host = 1, int flags = 0)
      : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
    ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  bool Send(const Bytes& bytes) const {
    return ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  [[nodiscard]] bool IsClosed() const {
    uint8_t byte;
    const ssize_t got = ::recv(fd.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN);
  }

  io::Fd fd;
  bool is_connected = false;
};

class TcpHubTest : public testing::Test {
 protected:
  /// a dials b; both have a session and use the connection.
  void Connect() {
    a_.hub.Connect(7, b_.address());
    ASSERT_TRUE(Until([&] { return !a_.Take(EventKind::kTcpOpened).empty(); }));
    ASSERT_TRUE(Until([&] { return !b_.Take(EventKind::kTcpOpened).empty(); }));
    accepted_ = b_.Take(EventKind::kTcpOpened)[0].value;
    // Who accepts waits for nothing longer before there was an INIT.
    const Bytes init = Init(b_.node);
    ASSERT_EQ(a_.hub.SendOne(init.data(), init.size(), AddressOf(7)), 0);
    ASSERT_TRUE(Until([&] { return !b_.Take(EventKind::kHandshake).empty(); }));
    const test::Relation relation;
    const auto entries = [](const test::Relation& r, uint32_t connection) {
      return std::vector<TableEntry>{
          SessionInstall{r.session, r.slot, r.remote, r.suite, test::KeyNumber(r.rx_key),
                         test::KeyNumber(r.tx_key)},
          PathSet{r.path, r.slot, r.session, AddressOf(connection), 1452},
          PeerSet{r.slot, r.session, r.path}};
    };
    ASSERT_EQ(a_.node.Apply(entries(relation, 7)), "");
    ASSERT_EQ(b_.node.Apply(entries(test::Mirrored(relation), accepted_)), "");
  }
  [[nodiscard]] static core::SourceAddress AddressOf(uint32_t connection) {
    return core::SourceFromNumber(core::AddressFamily::kTcp, connection);
  }
  [[nodiscard]] static Bytes Init(TestNode& node) {
    Bytes init(core::kHandshakeBytes);
    init[0] = core::kTypeInit;
    init[1] = 1;
    init[4] = 9;  // sender_index
    std::copy(node.plane.mesh_id.begin(), node.plane.mesh_id.end(), init.begin() + 8);
    init[40] = 1;
    return init;
  }

  /// Another handshake for each host.
  Bytes InitOf(uint8_t host) {
    Bytes init = Init(b_.node);
    init[24] = host;
    return init;
  }

  test::FakeNet net_;
  Running a_{net_, 1};
  Running b_{net_, 2};
  uint32_t accepted_ = 0;
};

TEST_F(TcpHubTest, FramesCrossBothWaysInOrder) {
  OVERLAYD_TRACE_SEED();
  std::mt19937_64 rng(test::TestSeed());
  Connect();
  ASSERT_GE(accepted_, TcpHub::kFirstAccepted);
  std::vector<Bytes> frames;
  for (int i = 0; i < 40; ++i) {
    frames.push_back(test::RandomFrame(rng, 60 + rng() % 2500));
    a_.node.Send(frames.back());
    a_.node.DrainTx();
  }
  std::vector<Bytes> got;
  EXPECT_TRUE(Until([&] {
    for (auto& write : test::Delivered(b_.node.tap.Take())) got.push_back(std::move(write));
    return got.size() >= frames.size();
  }));
  EXPECT_TRUE(got == frames);
  b_.node.Send(frames[0]);
  b_.node.DrainTx();
  EXPECT_TRUE(Until([&] { return a_.node.tap.Take().size() == 1; }));
  EXPECT_TRUE(net_.Take().empty()) << "no UDP";
}

TEST_F(TcpHubTest, FramesOfANetworkComeOutThere) {
  constexpr uint32_t kNetwork = 0xab0005;
  Connect();
  test::FakeTap& from = a_.node.OpenNetwork(1, kNetwork);
  test::FakeTap& to = b_.node.OpenNetwork(2, kNetwork);
  ASSERT_EQ(a_.node.Apply({MembersSet{kNetwork, {1}}}), "");
  std::mt19937_64 rng(test::TestSeed());
  const std::vector<Bytes> frames{test::RandomFrame(rng, 100), test::RandomFrame(rng, 3'000)};
  for (const Bytes& frame : frames) from.Push({{}, frame});
  a_.node.DrainNetwork(1);
  std::vector<Bytes> got;
  EXPECT_TRUE(Until([&] {
    for (auto& write : test::Delivered(to.Take())) got.push_back(std::move(write));
    return got.size() >= frames.size();
  }));
  EXPECT_TRUE(got == frames);
  EXPECT_TRUE(b_.node.tap.Take().empty());
}

TEST_F(TcpHubTest, RefusedConnectIsTold) {
  a_.hub.Connect(5, core::SourceFromIpv4(kLoopback, 1));
  EXPECT_TRUE(Until([&] { return a_.Take(EventKind::kTcpClosed).size() == 1; }));
  a_.hub.Connect(TcpHub::kFirstAccepted, b_.address());
  EXPECT_TRUE(Until([&] { return a_.Take(EventKind::kTcpClosed).size() == 2; }));
  EXPECT_TRUE(a_.Take(EventKind::kTcpOpened).empty());
}

TEST_F(TcpHubTest, BothEndsHearOfTheEnd) {
  Connect();
  a_.hub.Close(7);
  EXPECT_TRUE(Until([&] { return b_.Take(EventKind::kTcpClosed).size() == 1; }));
  EXPECT_TRUE(a_.Take(EventKind::kTcpClosed).empty()) << "who closes knows";
}

TEST_F(TcpHubTest, InitInPiecesIsHandedUpFromTheConnection) {
  const Plain stranger(b_.port);
  const Bytes bytes = Framed(Init(b_.node));
  for (const uint8_t byte : bytes) ASSERT_TRUE(stranger.Send({byte}));
  ASSERT_TRUE(Until([&] { return !b_.Take(EventKind::kHandshake).empty(); }));
  EXPECT_TRUE(core::IsTcp(b_.Take(EventKind::kHandshake)[0].endpoint));
}

// A cookie belongs to an address: the first INIT of a source needs none, further ones do, over whatever connection.
TEST_F(TcpHubTest, AnotherConnectionIsNoOtherSource) {
  for (uint8_t i = 0; i < 4; ++i) {
    const Plain stranger(b_.port);
    Bytes init = Init(b_.node);
    init[24] = i;  // sid: another handshake
    ASSERT_TRUE(stranger.Send(Framed(init)));
    pollfd wait{stranger.fd.get(), POLLIN, 0};
    if (i != 0) {
      EXPECT_EQ(::poll(&wait, 1, 3000), 1) << "RETRY";
    }
    EXPECT_TRUE(Until([&] { return b_.Take(EventKind::kHandshake).size() == 1; }));
  }
}

TEST_F(TcpHubTest, NonsenseEndsAConnection) {
  for (const Bytes& nonsense : {Bytes{0, 0}, Bytes{1, 2}, Bytes{0xff, 0xff}}) {
    const Plain stranger(b_.port);
    ASSERT_TRUE(stranger.Send(nonsense));
    EXPECT_TRUE(Until([&] { return stranger.IsClosed(); }));
  }
}

TEST_F(TcpHubTest, OneSourceGetsEightOfAThousandAndAnotherStillGetsIn) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<Plain>> strangers;
  for (int i = 0; i < 1000; ++i) {
    strangers.push_back(std::make_unique<Plain>(b_.port, 1, SOCK_NONBLOCK));
  }
  EXPECT_TRUE(Until([&] { return b_.hub.counters().Total(core::Counter::kTcpRefused) > 90; }));
  const Plain honest(b_.port, 2, SOCK_NONBLOCK);
  EXPECT_TRUE(Until([&] {
    honest.Send(Framed(Init(b_.node)));
    return !b_.Take(EventKind::kHandshake).empty();
  }));
  // On a machine that takes its time the eight may be gone for their silence, and eight others come.
  const auto passed = std::chrono::steady_clock::now() - begin;
  const uint64_t generations = 1 + passed / std::chrono::milliseconds(TcpHub::kInitWithinMs);
  EXPECT_LE(b_.hub.counters().Total(core::Counter::kTcpAccepted),
            1 + TcpHub::kMaxStrangersOfSource * generations);
}

/// An INIT that the gate let in, with the cookie it may have asked for.
class Asking {
 public:
  Asking(Running& to, uint8_t host, std::function<Bytes(uint8_t)> init)
      : to_(to), host_(host), init_(std::move(init)) {
    Open();
  }
  [[nodiscard]] bool IsClosed() const { return plain_->IsClosed(); }
  void Open() { plain_ = std::make_unique<Plain>(to_.port, host_, SOCK_NONBLOCK); }
  /// True once it asked; connects again when it was shown out.
  bool HasAsked() {
    if (IsClosed()) {
      Open();
      has_sent_ = false;
    }
    if (!has_sent_) has_sent_ = plain_->Send(Framed(init_(host_)));
    uint8_t answer[2 + core::kShortHandshakeBytes];
    if (::recv(plain_->fd.get(), answer, sizeof answer, MSG_DONTWAIT) == sizeof answer) {
      Bytes init = init_(host_);
      std::copy_n(answer + 2 + core::kRetryCookie, 16, init.begin() + core::kInitCookie);
      plain_->Send(Framed(init));
    }
    sockaddr_in own{};
    socklen_t size = sizeof own;
    ::getsockname(plain_->fd.get(), reinterpret_cast<sockaddr*>(&own), &size);
    const auto here =
        core::SourceFromIpv4(reinterpret_cast<const uint8_t*>(&own.sin_addr), ntohs(own.sin_port));
    for (const Event& event : to_.Take(EventKind::kHandshake)) {
      if (to_.hub.RemoteOf(core::ConnectionOf(event.endpoint)) == here) return true;
    }
    return false;
  }

 private:
  Running& to_;
  uint8_t host_;
  std::function<Bytes(uint8_t)> init_;
  std::unique_ptr<Plain> plain_;
  bool has_sent_ = false;
};

/// How long an honest one has to try while all places are held by INITs with cookies, `of_address` from each address.
std::chrono::steady_clock::duration WaitWhileHeld(Running& node, uint8_t of_address,
                                                  const std::function<Bytes(uint8_t)>& init) {
  std::vector<std::unique_ptr<Asking>> held;
  for (uint8_t i = 0; i < TcpHub::kMaxStrangers; ++i) {
    held.push_back(std::make_unique<Asking>(node, static_cast<uint8_t>(10 + i / of_address), init));
    EXPECT_TRUE(Until([&] { return held.back()->HasAsked(); })) << int{i};
  }
  const auto begin = std::chrono::steady_clock::now();
  Asking honest(node, 200, init);
  EXPECT_TRUE(Until([&] {
    // Whom it pushed out comes back at once.
    for (const auto& each : held) {
      if (each->IsClosed()) each->Open();
    }
    return honest.HasAsked();
  }));
  return std::chrono::steady_clock::now() - begin;
}

constexpr auto kSoon = std::chrono::milliseconds(TcpHub::kProveWithinMs - 5'000);

TEST_F(TcpHubTest, WhoHoldsAllPlacesFromAFewAddressesKeepsNobodyOut) {
  EXPECT_LT(WaitWhileHeld(b_, 4, [&](uint8_t host) { return InitOf(host); }), kSoon);
}

TEST_F(TcpHubTest, WhoHoldsAllPlacesFromAsManyAddressesKeepsThemForTwoSeconds) {
  EXPECT_LT(WaitWhileHeld(b_, 1, [&](uint8_t host) { return InitOf(host); }), kSoon);
}

TEST_F(TcpHubTest, WhoSaysNothingOrDrawsItOutIsGoneAfterFiveSeconds) {
  const auto begin = std::chrono::steady_clock::now();
  const Plain silent(b_.port);
  const Plain slow(b_.port);
  const Bytes bytes = Framed(Init(b_.node));
  size_t at = 0;
  EXPECT_TRUE(Until([&] {
    if (at < 100 && ++at % 10 == 0) slow.Send({bytes[at / 10]});
    return silent.IsClosed() && slow.IsClosed();
  }));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(4500));
}

TEST_F(TcpHubTest, WhoDoesNotReadHoldsUpNobody) {
  OVERLAYD_TRACE_SEED();
  std::mt19937_64 rng(test::TestSeed());
  Connect();
  // A member whose process stands still: connected, its buffers full.
  const Plain stuck(a_.port);
  ASSERT_TRUE(Until([&] { return !a_.Take(EventKind::kTcpOpened).empty(); }));
  uint32_t number = 0;
  ASSERT_TRUE(Until([&] {
    for (const Event& event : a_.Take(EventKind::kTcpOpened)) {
      if (event.value >= TcpHub::kFirstAccepted) number = event.value;
    }
    return number != 0;
  }));
  const Bytes datagram(60'000, 1);
  const auto to = AddressOf(number);
  int dropped = 0;
  int found_no_room = 0;
  for (int i = 0; i < 1000; ++i) {
    const int error = a_.hub.SendOne(datagram.data(), datagram.size(), to);
    dropped += error != 0;
    found_no_room += error == -ENOBUFS;
  }
  EXPECT_GT(dropped, 500);
  EXPECT_GT(found_no_room, 0) << "who waits for room finds some, or the end";
  a_.node.Send(test::RandomFrame(rng, 1000));
  a_.node.DrainTx();
  EXPECT_TRUE(Until([&] { return b_.node.tap.Take().size() == 1; }));
}

// Frames both ways, datagrams down connections that come and go, and the control thread that opens and ends those:
// beside the two hubs' own threads. What goes down the connection that stays arrives whole, in order.
TEST_F(TcpHubTest, ConnectionsComeAndGoWhileThreadsSend) {
  constexpr uint32_t kSteps = 120;
  constexpr uint32_t kFirst = 100;  // numbers of those that come and go
  constexpr uint32_t kLast = kFirst + kSteps;
  Connect();
  const auto frame = [&](const Running& from, uint32_t step) {
    Bytes out(60 + step * 17, 0x44);
    core::StoreMac(out.data(), core::kMaxMac);
    core::StoreMac(out.data() + 6, &from == &a_ ? 0x02000000000a : 0x02000000000b);
    test::Put16(out, 12, 0x88b5);
    test::Put32(out, 14, step);
    return out;
  };
  // Nothing more is sent before it is there: no buffer is ever full.
  const auto pass = [&](Running& from, Running& to, uint32_t step) {
    from.node.Send(frame(from, step));
    from.node.DrainTx();
    std::vector<Bytes> got;
    EXPECT_TRUE(Until([&] {
      for (Bytes& each : test::Delivered(to.node.tap.Take())) got.push_back(std::move(each));
      return !got.empty();
    })) << step;
    EXPECT_EQ(got, std::vector<Bytes>{frame(from, step)});
  };
  test::Lockstep steps(4, kSteps);
  std::thread there([&] {
    for (uint32_t step = 0; steps.Next(0); ++step) pass(a_, b_, step);
  });
  std::thread home([&] {
    for (uint32_t step = 0; steps.Next(1); ++step) pass(b_, a_, step);
  });
  std::thread other([&] {
    const Bytes init = Init(b_.node);
    for (uint32_t step = 0; steps.Next(2); ++step) {
      for (uint32_t back = 0; back < 4; ++back) {
        (void)a_.hub.SendOne(init.data(), init.size(), AddressOf(kFirst + step - back));
      }
    }
  });
  for (uint32_t step = 0; steps.Next(3); ++step) {
    const uint32_t number = kFirst + step;
    a_.hub.Connect(number, b_.address());
    EXPECT_EQ(a_.hub.RemoteOf(7), b_.address());
    (void)a_.hub.RemoteOf(number - 1);
    if (step > 1) a_.hub.Close(number - 2);
    (void)b_.hub.counters().Total(core::Counter::kTcpAccepted);
  }
  there.join();
  home.join();
  other.join();
  for (uint32_t number = kFirst; number < kLast; ++number) a_.hub.Close(number);
  // All that b had of them is over too; who closed hears nothing of it, and the one that stayed still carries.
  EXPECT_TRUE(Until([&] {
    return b_.Take(EventKind::kTcpClosed).size() + 1 == b_.Take(EventKind::kTcpOpened).size();
  }));
  pass(a_, b_, kSteps);
}

}  // namespace
}  // namespace overlayd::engine
