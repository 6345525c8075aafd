#include "native/engine/tx_path.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <thread>

#include "native/core/multicast.h"
#include "native/test/test_node.h"

namespace overlayd::engine {
namespace {

using core::Counter;
using core::DropReason;
using test::Build;
using test::Bytes;
using test::Connect;
using test::Delivered;
using test::Packet;
using test::Relation;
using test::TestNode;

constexpr size_t kOverhead = core::kDatagramOverhead;

class TxPathTest : public testing::Test {
 protected:
  void Cross() {
    a_.DrainTx();
    b_.DrainRx();
  }
  /// Counters of one session and phase never repeat on the wire, and leave in order.
  void ExpectCountersInOrder(const std::vector<test::WireDatagram>& datagrams) {
    for (size_t i = 1; i < datagrams.size(); ++i) {
      EXPECT_EQ(datagrams[i].header.counter, datagrams[i - 1].header.counter + 1);
    }
  }

  test::FakeNet net_;
  TestNode a_{net_, 1};
  TestNode b_{net_, 2};
  std::mt19937_64 rng_{test::TestSeed()};
};

Packet Tcp(size_t payload) {
  Packet packet;
  packet.payload = Bytes(payload, 3);
  return packet;
}

Packet Udp(size_t payload) {
  Packet packet = Tcp(payload);
  packet.is_udp = true;
  return packet;
}

TEST_F(TxPathTest, SuperFramesComeOutIdentical) {
  OVERLAYD_TRACE_SEED();
  Connect(a_, b_, {.datagram_bytes = 9000});
  ASSERT_EQ(a_.Apply({FdbSet{0, 0x020000000001, 1}}), "");
  for (int round = 0; round < 300; ++round) {
    net_.coalesces = round % 2 == 0;
    const Packet packet = test::RandomPacket(rng_, 60000);
    const size_t least = packet.payload.size() / 64 + 1;  // more segments are two writes
    const size_t gso = std::min<size_t>(least + rng_() % 1400, 8700);
    const Bytes frame = Build(packet);
    a_.SendPartial(frame, gso);
    Cross();
    const std::vector<test::TapFrame> got = b_.tap.Take();
    if (!net_.coalesces || packet.payload.size() <= gso) {  // may end at the end of a batch
      ASSERT_TRUE(test::SameFrames(Delivered(got), test::NaiveSegments(frame, gso)));
      continue;
    }
    ASSERT_EQ(got.size(), 1u);
    ASSERT_EQ(got[0].bytes, frame);
    const core::OffloadHeader expected = TestNode::OffloadOf(frame, gso);
    EXPECT_EQ(got[0].offload.gso_type, expected.gso_type);
    EXPECT_EQ(got[0].offload.gso_size, expected.gso_size);
    EXPECT_EQ(got[0].offload.flags, expected.flags);
    EXPECT_EQ(got[0].offload.checksum_start, expected.checksum_start);
  }
  EXPECT_EQ(a_.AllDropped() + b_.AllDropped(), 0u);
  ExpectCountersInOrder(test::Datagrams(net_.Take()));
}

TEST_F(TxPathTest, EverySuiteCarriesFrames) {
  for (const auto suite :
       {core::Suite::kChaCha20Poly1305, core::Suite::kAes256Gcm, core::Suite::kXSalsa20Poly1305}) {
    test::FakeNet net;
    TestNode a(net, 1);
    TestNode b(net, 2);
    Connect(a, b, {.suite = suite});
    const Bytes frame = Build(Tcp(20000));
    a.SendPartial(frame, 1348);
    a.DrainTx();
    b.DrainRx();
    const auto got = b.tap.Take();
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].bytes, frame);
  }
}

TEST_F(TxPathTest, SmallPathsCutTcpSmallerAndFragmentTheRest) {
  OVERLAYD_TRACE_SEED();
  for (const uint32_t datagram : {548U, 700U, 1200U}) {
    SCOPED_TRACE(datagram);
    test::FakeNet net;
    TestNode a(net, 1);
    TestNode b(net, 2);
    Connect(a, b, {.datagram_bytes = datagram});
    const size_t max_frame = datagram - kOverhead;
    for (int round = 0; round < 60; ++round) {
      Packet packet = test::RandomPacket(rng_, 1300);
      packet.tcp_flags &= 0xff - core::kTcpCwr;  // an RFC 3168 flag of the first segment only
      const Bytes frame = Build(packet);
      const bool is_plain = round % 3 == 0;
      Bytes complete = frame;
      test::NaiveComplete(complete);
      if (is_plain) {
        a.Send(complete);  // its checksum is done: nobody may cut it
      } else {
        a.SendPartial(frame);
      }
      a.DrainTx();
      b.DrainRx();
      const bool is_cut = !is_plain && !packet.is_udp && frame.size() > max_frame;
      const std::vector<Bytes> expected =
          is_cut ? test::NaiveSegments(frame, max_frame - packet.Headers())
                 : std::vector<Bytes>{complete};
      ASSERT_TRUE(test::SameFrames(Delivered(b.tap.Take()), expected));
    }
    for (const size_t size : {60, 547, 1402, 1514, 9000}) {
      const Bytes frame = test::RandomFrame(rng_, size);
      a.Send(frame);
      a.DrainTx();
      b.DrainRx();
      ASSERT_TRUE(test::SameFrames(Delivered(b.tap.Take()), std::vector<Bytes>{frame}));
    }
    for (const auto& sent : test::Datagrams(net.Take())) EXPECT_LE(sent.bytes.size(), datagram);
    EXPECT_EQ(a.AllDropped() + b.AllDropped(), 0u);
    EXPECT_NE(a.TxTotal(Counter::kFragmentsTx), 0u);
    EXPECT_EQ(b.RxTotal(Counter::kFragmentsRx), a.TxTotal(Counter::kFragmentsTx));
  }
}

TEST_F(TxPathTest, TcpSuperFramesAreCutToASmallPath) {
  Connect(a_, b_, {.datagram_bytes = 700});
  const Bytes frame = Build(Tcp(30000));
  a_.SendPartial(frame, 1348);
  Cross();
  EXPECT_TRUE(
      test::SameFrames(Delivered(b_.tap.Take()), test::NaiveSegments(frame, 700 - kOverhead - 54)));
  EXPECT_EQ(a_.AllDropped() + b_.AllDropped(), 0u);
}

TEST_F(TxPathTest, UdpSegmentsTooBigForThePathAreFragmentedOneByOne) {
  Connect(a_, b_, {.datagram_bytes = 700});
  // The last of them is short: it fits, alone among them.
  for (const size_t last : {1, 300, 618, 619, 700, 1400}) {
    const Bytes frame = Build(Udp(1400 * 3 + last));
    a_.SendPartial(frame, 1400);
    Cross();
    EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), test::NaiveSegments(frame, 1400)))
        << last;
  }
  EXPECT_EQ(a_.AllDropped() + b_.AllDropped(), 0u);
}

TEST_F(TxPathTest, FloodsOneEqualCopyToEachPeer) {
  TestNode c(net_, 3);
  TestNode d(net_, 4);
  Connect(a_, b_);
  Connect(a_, c, {.slot = 2, .session = 102, .remote = 202, .path = 12, .tx_key = 3, .rx_key = 4});
  Connect(a_, d,
          {.slot = 3,
           .session = 103,
           .remote = 203,
           .path = 13,
           .tx_key = 5,
           .rx_key = 6,
           .datagram_bytes = 600});
  Packet broadcast = Udp(4000);
  Bytes frame = Build(broadcast);
  std::fill_n(frame.begin(), 6, 0xff);
  a_.SendPartial(frame, 1300);
  a_.DrainTx();
  for (TestNode* node : {&b_, &c, &d}) {
    node->DrainRx();
    EXPECT_TRUE(test::SameFrames(Delivered(node->tap.Take()), test::NaiveSegments(frame, 1300)));
    EXPECT_EQ(node->AllDropped(), 0u);
  }
  EXPECT_EQ(a_.TxTotal(Counter::kFlooded), 1u);
  EXPECT_EQ(a_.AllDropped(), 0u);
}

TEST_F(TxPathTest, KnownDestinationsGoToTheirPeerOnly) {
  TestNode c(net_, 3);
  Connect(a_, b_);
  Connect(a_, c, {.slot = 2, .session = 102, .remote = 202, .path = 12, .tx_key = 3, .rx_key = 4});
  ASSERT_EQ(a_.Apply({FdbSet{0, 0x020000000001, 2}}), "");
  a_.Send(Build(Tcp(100)));
  a_.DrainTx();
  EXPECT_TRUE(b_.udp->IsIdle());
  EXPECT_FALSE(c.udp->IsIdle());
  // Learned from what comes back; a declared entry is asked first.
  ASSERT_EQ(a_.Apply({FdbRemove{0, 0x020000000001}}), "");
  Packet reply = Tcp(1);
  reply.source_mac = 1;
  reply.destination_mac = 2;
  b_.Send(Build(reply));
  b_.DrainTx();
  a_.DrainRx();
  c.DrainRx();
  a_.Send(Build(Tcp(100)));
  a_.DrainTx();
  EXPECT_TRUE(c.udp->IsIdle());
  EXPECT_FALSE(b_.udp->IsIdle());
  // Local evidence wins: the MAC sends from here now.
  b_.DrainRx();
  a_.Send(Build(reply));
  a_.DrainTx();
  b_.DrainRx();
  c.DrainRx();
  a_.Send(Build(Tcp(100)));
  a_.DrainTx();
  EXPECT_FALSE(c.udp->IsIdle());
}

TEST_F(TxPathTest, TrainsObeyUdpSegmentAndKeepOrder) {
  OVERLAYD_TRACE_SEED();
  TestNode c(net_, 3);
  Connect(a_, b_, {.datagram_bytes = 9000});
  Connect(a_, c,
          {.slot = 2,
           .session = 102,
           .remote = 202,
           .path = 12,
           .tx_key = 3,
           .rx_key = 4,
           .datagram_bytes = 700});
  ASSERT_EQ(a_.Apply({FdbSet{0, 0x020000000001, 1}, FdbSet{0, 0x020000000003, 2}}), "");
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 200; ++i) {
      Packet packet = test::RandomPacket(rng_, i % 20 == 0 ? 60000 : 600);
      packet.destination_mac = rng_() % 2 == 0 ? 1 : 3;
      a_.SendPartial(Build(packet), i % 20 == 0 ? 100 + rng_() % 1300 : 0);
    }
    a_.DrainTx();
  }
  // FakeUdp has checked stride, count and bytes of each train.
  std::map<uint32_t, uint64_t> next;
  bool has_train = false;
  const auto messages = net_.Take();
  for (const auto& message : messages) has_train |= message.count > 1;
  EXPECT_TRUE(has_train);
  for (const auto& datagram : test::Datagrams(messages)) {
    EXPECT_EQ(datagram.header.counter, next[datagram.header.receiver_index]++);
  }
  EXPECT_EQ(a_.AllDropped(), 0u);
}

TEST_F(TxPathTest, ShortDatagramClosesATrain) {
  Connect(a_, b_);
  for (const size_t size : {500, 500, 300, 300, 500, 500}) a_.Send(test::RandomFrame(rng_, size));
  a_.DrainTx();
  std::vector<std::pair<size_t, size_t>> trains;
  for (const auto& message : net_.Take()) trains.emplace_back(message.stride, message.count);
  const std::vector<std::pair<size_t, size_t>> expected = {
      {500 + kOverhead, 3}, {300 + kOverhead, 1}, {500 + kOverhead, 2}};
  EXPECT_EQ(trains, expected);
}

TEST_F(TxPathTest, ReportsTellWhatCameAloneFromWhatContinuedATrain) {
  OVERLAYD_TRACE_SEED();
  Connect(a_, b_);
  PathState& state = b_.plane.paths[b_.store->Paths()[0].state];
  const auto report = [&] { return state.received.Take(1000); };
  for (int i = 0; i < 3; ++i) {  // each in a call of its own
    a_.Send(test::RandomFrame(rng_, 100));
    Cross();
  }
  core::ReceiverReport now = report();
  EXPECT_EQ(std::pair(now.singles, now.train_segments), std::pair(3u, 0u));
  for (int i = 0; i < 3; ++i) a_.Send(test::RandomFrame(rng_, 100));  // one size: one send
  Cross();
  now = report();
  EXPECT_EQ(std::pair(now.singles, now.train_segments), std::pair(4u, 2u));
  a_.Send(test::RandomFrame(rng_, 100));
  a_.Send(test::RandomFrame(rng_, 200));  // longer: begins another
  Cross();
  now = report();
  EXPECT_EQ(std::pair(now.singles, now.train_segments), std::pair(6u, 2u));
  a_.SendPartial(Build(Tcp(5 * 1000)), 1000);
  Cross();
  now = report();
  EXPECT_EQ(std::pair(now.singles, now.train_segments), std::pair(7u, 6u));
  a_.Send(test::RandomFrame(rng_, 4000));  // three fragments
  Cross();
  now = report();
  EXPECT_EQ(std::pair(now.singles, now.train_segments), std::pair(8u, 8u));
  EXPECT_EQ(now.lost, 0u);
  EXPECT_EQ(b_.AllDropped(), 0u);
}

TEST_F(TxPathTest, ControlBetweenFramesIsNotLost) {
  OVERLAYD_TRACE_SEED();
  Connect(a_, b_);
  Sealer sealer(a_.plane, a_.sockets, a_.tx_counters);
  a_.Send(test::RandomFrame(rng_, 100));
  Cross();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(
        sealer.Send(a_.SessionOf(101), core::InnerKind::kKeepalive, {}, b_.udp->address(), 1200));
  }
  a_.Send(test::RandomFrame(rng_, 100));
  Cross();
  PathState& state = b_.plane.paths[b_.store->Paths()[0].state];
  EXPECT_EQ(state.received.Take(1000).lost, 0u);
}

TEST_F(TxPathTest, TrainEndsAt64DatagramsAndAtOneUdpPayload) {
  Connect(a_, b_, {.datagram_bytes = 1452});
  for (int i = 0; i < 65; ++i) a_.Send(test::RandomFrame(rng_, 100));
  a_.DrainTx();
  auto messages = net_.Take();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].count, 64u);
  for (int i = 0; i < 33; ++i) a_.Send(test::RandomFrame(rng_, 1400));
  a_.DrainTx();
  for (const auto& message : net_.Take()) EXPECT_LE(message.bytes.size(), 65507u);
}

// --- what sending can answer ---

/// A kernel that refuses trains with `*error`, while that is not 0; `*tried` counts them.
std::function<int(const io::OutTrain*, size_t)> RefusesTrains(const int* error, int* tried) {
  return [=](const io::OutTrain* trains, size_t count) {
    if (trains[0].count == 1) return static_cast<int>(count);
    ++*tried;
    return *error != 0 ? -*error : static_cast<int>(count);
  };
}

TEST_F(TxPathTest, RefusedTrainsGoSinglyAndAreTriedAgainLater) {
  for (const int refusal : {EIO, EINVAL}) {
    test::FakeNet net;
    TestNode a(net, 1);
    TestNode b(net, 2);
    Connect(a, b);
    a.is_clock_still = true;
    int error = refusal;
    int tried = 0;
    a.udp->on_send = RefusesTrains(&error, &tried);
    const Bytes frame = Build(Tcp(10000));
    const auto cross = [&] {
      a.SendPartial(frame, 1348);
      a.DrainTx();
      b.DrainRx();
      EXPECT_TRUE(test::SameFrames(Delivered(b.tap.Take()), test::NaiveSegments(frame, 1348)));
    };
    cross();
    EXPECT_EQ(a.TxTotal(Counter::kGsoFallbacks), 1u);
    auto events = a.plane.events.Drain();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, EventKind::kFault);
    EXPECT_STREQ(events[0].code, "OVL_GSO_OFF");
    EXPECT_EQ(events[0].error, refusal);
    EXPECT_EQ(events[0].path, 11u);
    a.passed_ms = 59'000;
    cross();
    EXPECT_EQ(tried, 1) << "not before the pause is over";
    a.passed_ms = 61'000;
    cross();
    cross();
    EXPECT_EQ(tried, 2);
    EXPECT_EQ(a.CountEvents(EventKind::kFault), 0u) << "told once";
    a.passed_ms += 119'000;
    cross();
    EXPECT_EQ(tried, 2) << "the pause doubled";
    a.passed_ms += 2'000;
    error = 0;
    for (int i = 0; i < 3; ++i) cross();
    EXPECT_EQ(tried, 5) << "on again";
    EXPECT_EQ(a.TxTotal(Counter::kGsoFallbacks), 2u);
    error = refusal;
    cross();
    EXPECT_EQ(a.CountEvents(EventKind::kFault), 1u) << "it had worked in between";
    EXPECT_EQ(a.AllDropped() + b.AllDropped(), 0u);
    EXPECT_EQ(a.TxTotal(Counter::kUdpTxDatagrams), 9 * 8u);
  }
}

TEST_F(TxPathTest, RefusalOnOnePathLeavesTheOthersTheirTrains) {
  TestNode c(net_, 3);
  Relation other{.slot = 2, .session = 102, .remote = 202, .path = 12, .tx_key = 3, .rx_key = 4};
  Connect(a_, b_);
  Connect(a_, c, other);
  const auto refused = b_.udp->address();
  a_.udp->on_send = [=](const io::OutTrain* trains, size_t count) {
    size_t sent = 0;
    while (sent < count && (trains[sent].count == 1 || !(trains[sent].to == refused))) ++sent;
    return sent == 0 ? -EIO : static_cast<int>(sent);
  };
  Packet flooded = Tcp(5000);
  flooded.destination_mac = 9;  // nobody's: to both
  for (int i = 0; i < 2; ++i) {
    a_.SendPartial(Build(flooded), 1000);
    Cross();
    c.DrainRx();
    size_t trains = 0;
    for (const auto& message : net_.Take()) {
      EXPECT_EQ(message.count > 1, message.to == c.udp->address());
      trains += message.count > 1 ? 1 : 0;
    }
    EXPECT_EQ(trains, 1u);
    EXPECT_EQ(Delivered(b_.tap.Take()).size(), 5u);
    EXPECT_EQ(Delivered(c.tap.Take()).size(), 5u);
  }
  EXPECT_EQ(a_.TxTotal(Counter::kGsoFallbacks), 1u);
}

// EINVAL is also what a segment larger than the device's MTU gets: the path is too small, not GSO missing.
TEST_F(TxPathTest, EinvalOfSegmentsTooLargeKeepsGso) {
  Connect(a_, b_);
  constexpr size_t kMtu = 1300;
  a_.udp->on_send = [&](const io::OutTrain* trains, size_t count) {
    if (trains[0].stride <= kMtu) return static_cast<int>(count);
    return trains[0].count > 1 ? -EINVAL : -EMSGSIZE;
  };
  const Bytes frame = Build(Tcp(10000));
  a_.SendPartial(frame, 1348);
  Cross();
  EXPECT_EQ(a_.CountEvents(EventKind::kPathTooBig), 1u);
  EXPECT_EQ(a_.TxTotal(Counter::kGsoFallbacks), 0u);
  net_.Take();
  a_.SendPartial(frame, 1348);
  Cross();
  EXPECT_EQ(net_.Take().size(), 1u) << "one train, cut smaller";
}

TEST_F(TxPathTest, EnobufsIsLossAndWhatFollowsGoesOn) {
  Connect(a_, b_);
  int calls = 0;
  a_.udp->on_send = [&](const io::OutTrain*, size_t count) {
    return ++calls == 1 ? -ENOBUFS : static_cast<int>(count);
  };
  const Bytes lost = Build(Tcp(5000));
  std::vector<Bytes> others;
  a_.SendPartial(lost, 1348);
  for (int i = 0; i < 3; ++i) {
    others.push_back(test::RandomFrame(rng_, 1200U + 100U * static_cast<unsigned>(i)));
    a_.Send(others.back());
  }
  Cross();
  EXPECT_EQ(a_.TxDropped(DropReason::kSendEnobufs), 4u);
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), others));
  EXPECT_EQ(a_.plane.paths[a_.store->Paths()[0].state].tx_datagrams.load(), 3u);
  EXPECT_TRUE(a_.plane.events.Drain().empty());
}

TEST_F(TxPathTest, EmsgsizeLowersTheLimitAndTellsOnce) {
  Connect(a_, b_);
  size_t mtu = 1300;
  a_.udp->on_send = [&](const io::OutTrain* trains, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      if (trains[i].stride > mtu) return i == 0 ? -EMSGSIZE : static_cast<int>(i);
    }
    return static_cast<int>(count);
  };
  const Bytes frame = Build(Tcp(10000));
  a_.SendPartial(frame, 1348);
  Cross();
  EXPECT_EQ(a_.TxDropped(DropReason::kTooBig), 8u);
  auto events = a_.plane.events.Drain();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, EventKind::kPathTooBig);
  EXPECT_EQ(events[0].path, 11u);
  EXPECT_EQ(events[0].value, 1200u);
  // The next ones are cut to what certainly passes.
  a_.SendPartial(frame, 1348);
  Cross();
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()),
                               test::NaiveSegments(frame, 1200 - kOverhead - 54)));
  EXPECT_EQ(a_.CountEvents(EventKind::kPathTooBig), 0u);
  // A path that does not even carry that goes to the floor at once.
  mtu = 600;
  a_.SendPartial(frame, 1348);
  Cross();
  a_.SendPartial(frame, 1348);
  Cross();
  EXPECT_TRUE(
      test::SameFrames(Delivered(b_.tap.Take()), test::NaiveSegments(frame, 548 - kOverhead - 54)));
  EXPECT_EQ(a_.CountEvents(EventKind::kPathTooBig), 1u);
  mtu = 100;
  a_.SendPartial(frame, 1348);
  a_.DrainTx();
  EXPECT_EQ(a_.CountEvents(EventKind::kPathTooBig), 0u);
  // Control sets the path again: its size is tried anew.
  mtu = 1452;
  ASSERT_EQ(a_.Apply({PathSet{11, 1, 101, b_.udp->address(), 1452}}), "");
  a_.SendPartial(frame, 1348);
  Cross();
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), test::NaiveSegments(frame, 1348)));
}

TEST_F(TxPathTest, OtherErrorsAreCountedPerDatagram) {
  Connect(a_, b_);
  int error = ENOBUFS;
  a_.udp->on_send = [&](const io::OutTrain*, size_t) { return -error; };
  a_.SendPartial(Build(Tcp(5000)), 1348);
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kSendEnobufs), 4u);
  error = EPERM;
  a_.SendPartial(Build(Tcp(5000)), 1348);
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kSendError), 4u);
  EXPECT_EQ(a_.TxTotal(Counter::kUdpTxDatagrams), 0u);
}

TEST_F(TxPathTest, PartialProgressGoesOnBehindWhatWasSent) {
  OVERLAYD_TRACE_SEED();
  Connect(a_, b_);
  a_.udp->on_send = [&](const io::OutTrain*, size_t count) {
    return static_cast<int>(1 + rng_() % count);
  };
  std::vector<Bytes> sent;
  for (int i = 0; i < 200; ++i) {
    sent.push_back(test::RandomFrame(rng_, 100 + rng_() % 200));
    a_.Send(sent.back());
  }
  Cross();
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), sent));
  EXPECT_EQ(a_.TxTotal(Counter::kUdpTxDatagrams), 200u);
}

TEST_F(TxPathTest, PartialProgressWhileSendingSinglyToo) {
  Connect(a_, b_);
  a_.udp->DisableGso();
  int calls = 0;
  a_.udp->on_send = [&](const io::OutTrain*, size_t count) {
    ++calls;
    if (calls % 3 == 0) return -EAGAIN;
    return static_cast<int>((count + 1) / 2);
  };
  const Bytes frame = Build(Tcp(30000));
  a_.SendPartial(frame, 1348);
  Cross();
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), test::NaiveSegments(frame, 1348)));
  EXPECT_EQ(a_.TxTotal(Counter::kUdpTxDatagrams), 23u);
}

TEST_F(TxPathTest, DatagramsThatFailedSinglyAreNotCountedAsSent) {
  Connect(a_, b_);
  a_.udp->DisableGso();
  a_.udp->on_send = [&](const io::OutTrain*, size_t) { return -ENOBUFS; };
  a_.SendPartial(Build(Tcp(5000)), 1348);
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kSendEnobufs), 4u);
  EXPECT_EQ(a_.plane.paths[a_.store->Paths()[0].state].tx_datagrams.load(), 0u);
}

TEST_F(TxPathTest, FullQueueIsWaitedForAndNothingIsLost) {
  Connect(a_, b_);
  int refusals = 5;
  a_.udp->on_send = [&](const io::OutTrain*, size_t count) {
    return refusals-- > 0 ? -EAGAIN : static_cast<int>(count);
  };
  const Bytes frame = Build(Tcp(30000));
  a_.SendPartial(frame, 1348);
  Cross();
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), test::NaiveSegments(frame, 1348)));
  EXPECT_EQ(a_.AllDropped(), 0u);
}

// A link that takes nothing for 100 ms loses what waits, so that the control plane can go on.
TEST_F(TxPathTest, QueueThatNeverDrainsLosesWhatWaits) {
  Connect(a_, b_);
  const uint64_t full = UINT64_MAX - 1;  // an eventfd at its limit is not writable
  ASSERT_EQ(::write(a_.udp->fd(), &full, sizeof full), static_cast<ssize_t>(sizeof full));
  a_.udp->on_send = [](const io::OutTrain*, size_t) { return -EAGAIN; };
  a_.SendPartial(Build(Tcp(3000)), 1348);
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kSendEnobufs), 3u);
}

// While a full socket is waited for outside the guard, the path's place may go to another path.
TEST_F(TxPathTest, WhatWaitedIsNotAccountedToAnotherPath) {
  Connect(a_, b_);
  a_.SendPartial(Build(Tcp(3000)), 1348);
  std::thread control;
  std::atomic<bool> is_done = false;
  a_.udp->on_send = [&](const io::OutTrain*, size_t count) {
    if (is_done) return static_cast<int>(count);
    if (!control.joinable()) {
      control = std::thread([&] {
        EXPECT_EQ(a_.Apply({PathRemove{11}}), "");
        EXPECT_EQ(a_.Apply({PathSet{12, 1, 101, b_.udp->address(), 1452}}), "");
        is_done = true;
      });
    }
    return -EAGAIN;
  };
  a_.DrainTx();
  control.join();
  EXPECT_EQ(a_.plane.paths[a_.store->Paths()[0].state].tx_datagrams.load(), 0u);
}

// --- who has which MAC ---

constexpr core::Mac kGuest = 0x020000000002;  // Build's source
constexpr core::Mac kHost = 0x020000000001;   // and destination

std::vector<Event> MacClaims(TestNode& node) {
  std::vector<Event> out;
  for (Event& event : node.plane.events.Drain()) {
    if (event.kind == EventKind::kMacClaim) out.push_back(std::move(event));
  }
  return out;
}

TEST_F(TxPathTest, ALocalSourceIsTakenFromThePeerThatHadIt) {
  Connect(a_, b_);
  a_.plane.fdb.Learn(0, kGuest, 1, static_cast<uint32_t>(a_.NowMs() / 1000));
  a_.Send(Build(Tcp(1)));
  a_.DrainTx();
  EXPECT_EQ(a_.plane.fdb.Lookup(0, kGuest, static_cast<uint32_t>(a_.NowMs() / 1000)), 0u);
  const std::vector<Event> claims = MacClaims(a_);
  ASSERT_EQ(claims.size(), 1u);
  EXPECT_EQ(claims[0].mac, kGuest);
  EXPECT_EQ(claims[0].peer, 1u);
  EXPECT_EQ(claims[0].verdict, MacVerdict::kLocal);
  a_.Send(Build(Tcp(1)));
  a_.DrainTx();
  EXPECT_TRUE(MacClaims(a_).empty());
}

TEST_F(TxPathTest, ALocalSourceDeclaredAtAPeerIsToldAndOneOfOursIsNot) {
  Connect(a_, b_);
  ASSERT_EQ(a_.Apply({FdbSet{0, kGuest, 1}}), "");
  a_.Send(Build(Tcp(1)));
  a_.DrainTx();
  EXPECT_EQ(MacClaims(a_).size(), 1u);
  ASSERT_EQ(a_.Apply({FdbSet{0, kGuest, core::kLocalPeer}}), "");
  a_.Send(Build(Tcp(1)));
  a_.DrainTx();
  EXPECT_TRUE(MacClaims(a_).empty());
}

TEST_F(TxPathTest, MovesAreToldNotMoreOftenThanTheControlPlaneCanHear) {
  Connect(a_, b_);
  ASSERT_EQ(a_.Apply({FdbSet{0, kGuest, 1}}), "");
  for (int i = 0; i < 500; ++i) {
    a_.Send(Build(Tcp(1)));
    a_.DrainTx();
  }
  const size_t claims = MacClaims(a_).size();
  EXPECT_GE(claims, 64u);
  EXPECT_LE(claims, 80u);
}

TEST_F(TxPathTest, FramesToALocalPortStayHere) {
  Connect(a_, b_);
  ASSERT_EQ(a_.Apply({FdbSet{0, kHost, core::kLocalPeer}}), "");
  a_.Send(Build(Tcp(1)));
  Cross();
  EXPECT_EQ(a_.TxDropped(DropReason::kOwnDestination), 1u);
  EXPECT_TRUE(b_.tap.Take().empty());
}

TEST_F(TxPathTest, UnknownUnicastIsFloodedUpToARate) {
  a_.is_clock_still = true;
  Connect(a_, b_);
  const auto send = [&](int count, core::Mac to) {
    for (int i = 0; i < count; ++i) {
      Bytes frame = Build(Udp(1));
      core::StoreMac(frame.data(), to);
      a_.Send(std::move(frame));
      if (i % 200 == 199) Cross();
    }
    Cross();
    return b_.tap.Take().size();
  };
  EXPECT_EQ(send(1000, kHost), 1000u);
  EXPECT_EQ(send(1000, kHost), 0u);
  EXPECT_EQ(a_.TxDropped(DropReason::kUnknownUnicast), 1000u);
  // Broadcasts and what is known are not its business.
  EXPECT_EQ(send(500, core::kMaxMac), 500u);
  ASSERT_EQ(a_.Apply({FdbSet{0, kHost, 1}}), "");
  EXPECT_EQ(send(500, kHost), 500u);
  a_.passed_ms += 500;
  ASSERT_EQ(a_.Apply({FdbRemove{0, kHost}}), "");
  EXPECT_EQ(send(501, kHost), 500u) << "half of it has come back";
}

TEST_F(TxPathTest, SuperFramesToAnUnknownMacCountAsWhatTheyCost) {
  a_.is_clock_still = true;
  Connect(a_, b_);
  for (int i = 0; i < 100; ++i) {
    a_.SendPartial(Build(Tcp(59000)), 1300);
    Cross();
  }
  // 40 units each: the burst holds 25 of them.
  EXPECT_GE(a_.TxDropped(DropReason::kUnknownUnicast), 50u);
}

// --- groups ---

constexpr core::Mac kGroup = 0x01005e010203;

Bytes ToGroup(core::Mac group) {
  Bytes frame = Build(Udp(30));
  test::NaiveComplete(frame);
  core::StoreMac(frame.data(), group);
  return frame;
}

/// IGMP in the frame of an IPv4 packet.
Bytes Igmp(core::Mac group, uint8_t type) {
  Bytes frame = ToGroup(group);
  frame[14 + 9] = 2;
  frame[14 + 20] = type;
  return frame;
}

class GroupTest : public TxPathTest {
 protected:
  void SetUp() override {
    Connect(a_, b_);
    Connect(a_, c_, kOther);
  }
  /// How many frames b and c got.
  std::pair<size_t, size_t> SendAndCount(Bytes frame) {
    a_.Send(std::move(frame));
    a_.DrainTx();
    b_.DrainRx();
    c_.DrainRx();
    return {b_.tap.Take().size(), c_.tap.Take().size()};
  }
  using Counts = std::pair<size_t, size_t>;
  static constexpr Relation kOther{
      .slot = 2, .session = 102, .remote = 202, .path = 12, .tx_key = 3, .rx_key = 4};
  TestNode c_{net_, 3};
};

TEST_F(GroupTest, FramesToAGroupGoToItsListenersAndOthersToAll) {
  EXPECT_EQ(SendAndCount(ToGroup(kGroup)), Counts(1, 1)) << "nobody said anything yet";
  ASSERT_EQ(a_.Apply({GroupSet{0, kGroup, {2}}}), "");
  EXPECT_EQ(SendAndCount(ToGroup(kGroup)), Counts(0, 1));
  EXPECT_EQ(SendAndCount(ToGroup(kGroup + 1)), Counts(1, 1));
  EXPECT_EQ(a_.TxTotal(Counter::kGrouped), 1u);
  ASSERT_EQ(a_.Apply({GroupSet{0, kGroup, {}}}), "");
  EXPECT_EQ(SendAndCount(ToGroup(kGroup)), Counts(0, 0));
  EXPECT_EQ(a_.TxDropped(DropReason::kGroupNobody), 1u);
  ASSERT_EQ(a_.Apply({GroupRemove{0, kGroup}}), "");
  EXPECT_EQ(SendAndCount(ToGroup(kGroup)), Counts(1, 1));
}

TEST_F(GroupTest, ListenersOutOfReachAreLeftOut) {
  ASSERT_EQ(a_.Apply({GroupSet{0, kGroup, {1, 2, 7}}, PeerSet{2, 0, 0}}), "");
  EXPECT_EQ(SendAndCount(ToGroup(kGroup)), Counts(1, 0));
  EXPECT_EQ(a_.AllDropped(), 0u);
  ASSERT_EQ(a_.Apply({PeerSet{2, 102, 12}}), "");
  EXPECT_EQ(SendAndCount(ToGroup(kGroup)), Counts(1, 1));
}

TEST_F(GroupTest, GroupsOfTheLinkAndTaggedFramesAreFloodedWhateverTheTableSays) {
  for (const core::Mac group : {0x01005e0000fbULL, 0x3333000000fbULL, 0x3333ff000001ULL}) {
    ASSERT_EQ(a_.Apply({GroupSet{0, group, {2}}}), "");
    EXPECT_EQ(SendAndCount(ToGroup(group)), Counts(1, 1)) << std::hex << group;
  }
  ASSERT_EQ(a_.Apply({GroupSet{0, kGroup, {2}}}), "");
  Packet tagged = Udp(30);
  tagged.vlan_tags = 1;
  Bytes frame = Build(tagged);
  test::NaiveComplete(frame);
  core::StoreMac(frame.data(), kGroup);
  EXPECT_EQ(SendAndCount(frame), Counts(1, 1));
}

TEST_F(GroupTest, ReportsGoToRoutersOnlyOnceThoseAreKnown) {
  const Bytes report = Igmp(kGroup, 0x16);
  EXPECT_EQ(SendAndCount(report), Counts(1, 1));
  ASSERT_EQ(a_.Apply({GroupSet{0, core::kRouterGroup, {1}}, GroupSet{0, kGroup, {2}}}), "");
  EXPECT_EQ(SendAndCount(report), Counts(1, 0));
  EXPECT_EQ(SendAndCount(Igmp(0x01005e000001, 0x11)), Counts(1, 1)) << "queries go to all hosts";
}

TEST_F(GroupTest, ReportsAndQueriesAreToldUpToARate) {
  a_.is_clock_still = true;
  a_.plane.events.Drain();
  const auto memberships = [&] {
    std::vector<Event> out;
    for (Event& event : a_.plane.events.Drain()) {
      if (event.kind == EventKind::kMembership) out.push_back(std::move(event));
    }
    return out;
  };
  const Bytes report = Igmp(kGroup, 0x22);
  SendAndCount(report);
  SendAndCount(ToGroup(kGroup));
  std::vector<Event> told = memberships();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].bytes, report);
  EXPECT_EQ(told[0].value, 0u);
  for (int i = 0; i < 1000; ++i) SendAndCount(report);
  told = memberships();
  EXPECT_EQ(told.size(), 255u);
  a_.passed_ms += 1000;
  SendAndCount(report);
  told = memberships();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_GT(told[0].value, 0u) << "how many it did not hear of";
}

// --- what is refused ---

TEST_F(TxPathTest, PauseFramesAndBpdusStayHere) {
  Connect(a_, b_);
  Bytes pause = Build(Tcp(1));
  test::Put16(pause, 12, 0x8808);
  a_.Send(pause);
  Bytes bpdu = Build(Tcp(1));
  core::StoreMac(bpdu.data(), 0x0180c2000000);
  a_.Send(bpdu);
  Cross();
  EXPECT_EQ(a_.TxDropped(DropReason::kMacControl), 1u);
  EXPECT_EQ(a_.TxDropped(DropReason::kReservedMulticast), 1u);
  EXPECT_TRUE(b_.tap.Take().empty());
}

TEST_F(TxPathTest, DropsWithTheirReasons) {
  a_.Send(Bytes(13, 0));
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kTapShort), 1u);
  a_.Send(Build(Tcp(1)));
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kFloodNoMembers), 1u);
  ASSERT_EQ(a_.Apply({FdbSet{0, 0x020000000001, 1}}), "");
  a_.Send(Build(Tcp(1)));
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kNoPeer), 1u);
  ASSERT_EQ(a_.Apply({PeerSet{1, 0, 0}}), "");
  a_.Send(Build(Tcp(1)));
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kNoSession), 1u);
  Connect(a_, b_);
  ASSERT_EQ(a_.Apply({PathRemove{11}}), "");
  a_.Send(Build(Tcp(1)));
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kNoPath), 1u);
  EXPECT_TRUE(net_.Take().empty());
}

TEST_F(TxPathTest, ReservedMulticastStaysHere) {
  Connect(a_, b_);
  for (int last = 0; last < 16; ++last) {
    Bytes frame = Build(Tcp(1));
    const uint8_t mac[] = {0x01, 0x80, 0xc2, 0, 0, static_cast<uint8_t>(last)};
    std::copy(mac, mac + 6, frame.begin());
    a_.Send(frame);
  }
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kReservedMulticast), 16u);
  EXPECT_TRUE(net_.Take().empty());
}

TEST_F(TxPathTest, KernelOffsetsThatLeadOutOfTheFrameAreRefused) {
  Connect(a_, b_);
  const Bytes frame = test::RandomFrame(rng_, 100);
  for (const auto& [start, offset] : std::vector<std::pair<uint16_t, uint16_t>>{
           {99, 0}, {100, 65535}, {65535, 65535}, {101, 0}, {0, 99}}) {
    a_.Send(frame, {.flags = 1, .checksum_start = start, .checksum_offset = offset});
  }
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kTapParse), 5u);
  // A super-frame that is no TCP or UDP cannot be cut.
  a_.Send(frame, {.gso_type = core::kGsoTcp4, .gso_size = 10});
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kTapParse), 6u);
}

TEST_F(TxPathTest, SuperFramesOfCrumbsAreRefused) {
  Connect(a_, b_);
  const Bytes frame = Build(Tcp(57600));
  a_.SendPartial(frame, 1);
  a_.SendPartial(frame, 16);
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kTapParse), 2u);
  EXPECT_TRUE(net_.Take().empty());
  a_.SendPartial(frame, 48);  // the least that Linux makes
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kTapParse), 2u);
  EXPECT_EQ(a_.TxTotal(Counter::kSealed), 1200u);
}

TEST_F(TxPathTest, UnfinishedChecksumsOfOtherPacketsAreFinishedHere) {
  Connect(a_, b_);
  // ICMPv6 would do: any sum from `start` to the end, stored at start + offset.
  Bytes frame = test::RandomFrame(rng_, 101);
  a_.Send(frame, {.flags = 1, .checksum_start = 34, .checksum_offset = 4});
  Cross();
  auto sum = static_cast<uint16_t>(~test::NaiveSum(frame, 34, frame.size()));
  if (sum == 0) sum = 0xffff;
  test::Put16(frame, 38, sum);
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), std::vector<Bytes>{frame}));
  EXPECT_EQ(a_.TxTotal(Counter::kChecksumsCompleted), 1u);
}

TEST_F(TxPathTest, SumOfZeroIsFinishedAsOnes) {
  Connect(a_, b_);
  Packet packet = Udp(2);
  packet.payload = {0, 0};
  Bytes frame = Build(packet);
  test::NaiveComplete(frame);
  const uint16_t lacking = test::Get16(frame, packet.L4() + 6);
  packet.payload = {static_cast<uint8_t>(lacking >> 8), static_cast<uint8_t>(lacking)};
  frame = Build(packet);
  const core::OffloadHeader offload = TestNode::OffloadOf(frame, 0);
  frame.resize(60);  // padded: not ours to leave partial
  a_.Send(frame, offload);
  Cross();
  const auto got = b_.tap.Take();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(test::Get16(got[0].bytes, packet.L4() + 6), 0xffff);
}

// A sender whose unfinished field is not the pseudo-header sum (raw sockets may write anything):
// the far side would refuse it as partial, so it is finished here, as the kernel would.
TEST_F(TxPathTest, PartialFieldsOfAnotherKindAreFinishedHere) {
  Connect(a_, b_);
  Packet packet = Udp(50);
  Bytes frame = Build(packet);
  const core::OffloadHeader offload = TestNode::OffloadOf(frame, 0);
  test::Put16(frame, packet.L4() + 6, 0x1234);
  a_.Send(frame, offload);
  Cross();
  EXPECT_EQ(b_.AllDropped(), 0u);
  const auto sum = static_cast<uint16_t>(~test::NaiveSum(frame, packet.L4(), frame.size()));
  test::Put16(frame, packet.L4() + 6, sum);
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), std::vector<Bytes>{frame}));
}

TEST_F(TxPathTest, SynsAreClampedToThePath) {
  Connect(a_, b_, {.datagram_bytes = 700});
  Packet packet;
  packet.tcp_flags = core::kTcpSyn;
  packet.tcp_options = 4;
  Bytes frame = Build(packet);
  test::Put32(frame, packet.L4() + 20, 0x02040000 | 1460);
  a_.SendPartial(frame);
  Cross();
  test::Put32(frame, packet.L4() + 20, 0x02040000 | (700 - kOverhead - 14 - 40));
  test::NaiveComplete(frame);
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), std::vector<Bytes>{frame}));
  EXPECT_EQ(a_.TxTotal(Counter::kMssClamped), 1u);
}

TEST_F(TxPathTest, LostTapIsToldAndEndsTheThread) {
  Connect(a_, b_);
  const Bytes frame = test::RandomFrame(rng_, 100);
  a_.Send(frame);
  a_.tap.FailReads(EBADFD);
  EXPECT_FALSE(a_.tx->Drain());
  b_.DrainRx();
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), std::vector<Bytes>{frame}));
  EXPECT_EQ(a_.CountEvents(EventKind::kFault), 1u);
}

TEST_F(TxPathTest, CountersNearTheirLimitAreToldOnceAndStopForGood) {
  Connect(a_, b_);
  core::Session& session = a_.SessionOf(101);
  session.tx[0].next_counter = (uint64_t{1} << 30) - 1;
  for (int i = 0; i < 3; ++i) a_.Send(test::RandomFrame(rng_, 60));
  a_.DrainTx();
  EXPECT_EQ(a_.CountEvents(EventKind::kSessionLimit), 1u);
  EXPECT_EQ(net_.Take().size(), 1u);  // one train of three
  session.tx[0].next_counter = uint64_t{1} << 40;
  a_.Send(test::RandomFrame(rng_, 60));
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kSessionExpired), 1u);
  EXPECT_TRUE(net_.Take().empty());
  // A rekey makes it go on and tell again.
  ASSERT_EQ(a_.Apply({SessionTxKey{101, 1, test::KeyNumber(9)}}), "");
  EXPECT_EQ(session.tx[1].next_counter.load(), 0u);
  EXPECT_FALSE(session.is_limit_reported.load());
}

TEST_F(TxPathTest, Ipv6EndpointWithoutSocketIsNoPath) {
  Connect(a_, b_);
  const uint8_t ip[16] = {0xfd, 1};
  ASSERT_EQ(a_.Apply({PathSet{11, 1, 101, core::SourceFromIpv6(ip, 6783), 1452}}), "");
  a_.Send(test::RandomFrame(rng_, 60));
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kNoPath), 1u);
}

}  // namespace
}  // namespace overlayd::engine
