#include "native/engine/relay_path.h"

#include <gtest/gtest.h>

#include <random>

#include "native/core/relay_header.h"
#include "native/engine/control_message.h"
#include "native/test/test_node.h"

namespace overlayd::engine {
namespace {

using core::Counter;
using core::DropReason;
using core::InnerKind;
using core::kRelayHeaderSize;
using test::Bytes;
using test::Message;
using test::Relation;
using test::TestNode;
using test::Underlay;

constexpr uint32_t kA1 = 0xa1;
constexpr uint32_t kB1 = 0xb1;
constexpr uint32_t kB2 = 0xb2;
constexpr uint32_t kC1 = 0xc1;

/// a - b - c: neighbours have sessions and paths; a and c have a session and reach each other under labels of b.
/// Slots: a 1, b 2, c 3.
class RelayPathTest : public testing::Test {
 protected:
  void SetUp() override {
    Neighbours(a_, 1, b_, 2, 12);
    Neighbours(b_, 2, c_, 3, 23);
    ASSERT_EQ(a_.Apply({LabelSet{kA1, 2, kB1, 0}}), "");
    ASSERT_EQ(b_.Apply({LabelSet{kB1, 1, kA1, kB2}, LabelSet{kB2, 3, kC1, kB1}}), "");
    ASSERT_EQ(c_.Apply({LabelSet{kC1, 2, kB2, 0}}), "");
    const Relation a_to_c{3, 1300, 3100, 130, 131, 132, 1452, core::Suite::kAes256Gcm};
    Ends(a_, a_to_c, kA1);
    Relation c_to_a = test::Mirrored(a_to_c);
    c_to_a.slot = 1;
    Ends(c_, c_to_a, kC1);
  }

  static void Neighbours(TestNode& x, uint32_t x_slot, TestNode& y, uint32_t y_slot,
                         uint32_t number) {
    const Relation there{y_slot, number * 100, number * 100 + 1,
                         number, number * 2,   number * 2 + 1};
    Relation back = test::Mirrored(there);
    back.slot = x_slot;
    ASSERT_EQ(x.Apply(test::EntriesOf(there, y)), "");
    ASSERT_EQ(y.Apply(test::EntriesOf(back, x)), "");
  }
  static void Ends(TestNode& own, const Relation& relation, uint32_t label) {
    std::vector<TableEntry> entries = test::EntriesOf(relation, own);
    std::get<PathSet>(entries[1]).endpoint = core::SourceFromLabel(label);
    entries.push_back(FdbSet{0, relation.slot == 3 ? kMacOfC : kMacOfA, relation.slot});
    ASSERT_EQ(own.Apply(std::move(entries)), "");
  }

  static Bytes Relayed(uint8_t ttl, uint32_t label, const Bytes& inner) {
    Bytes out(kRelayHeaderSize);
    core::WriteRelayHeader(out.data(), {ttl, label});
    out.insert(out.end(), inner.begin(), inner.end());
    return out;
  }
  /// At b, as if sent from 192.0.2.`host`; a train when it is longer than `stride`.
  void ArriveAtB(const Bytes& bytes, uint8_t host = 1, size_t stride = 0) {
    if (stride == 0) stride = bytes.size();
    b_.udp->Enqueue({Underlay(host), b_.udp->address(), bytes, stride,
                     (bytes.size() + stride - 1) / stride, 0});
    b_.DrainRx();
  }
  void ExpectOnlyDropAtB(DropReason reason, uint64_t count = 1) {
    EXPECT_EQ(b_.RxDropped(reason), count) << core::DropReasonName(reason);
    EXPECT_EQ(b_.AllDropped(), count) << core::DropReasonName(reason);
    EXPECT_TRUE(net_.Take().empty());
  }

  static constexpr core::Mac kMacOfA = 0x020000000001;
  static constexpr core::Mac kMacOfC = 0x020000000002;
  test::FakeNet net_;
  TestNode a_{net_, 1};
  TestNode b_{net_, 2};
  TestNode c_{net_, 3};
};

Bytes FrameTo(core::Mac to, size_t payload) {
  Bytes frame = test::Build(test::Packet{.payload = Bytes(payload, 5)});
  for (size_t i = 0; i < 6; ++i) frame[i] = static_cast<uint8_t>(to >> (40 - 8 * i));
  return frame;
}

TEST_F(RelayPathTest, AFrameGoesThroughUntouched) {
  const Bytes frame = FrameTo(kMacOfC, 100);
  a_.Send(frame);
  a_.DrainTx();
  b_.DrainRx();
  c_.DrainRx();
  const std::vector<Message> sent = net_.Take();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].to, b_.udp->address());
  EXPECT_EQ(sent[1].to, c_.udp->address());
  EXPECT_EQ(Bytes(sent[0].bytes.begin(), sent[0].bytes.begin() + 8), Relayed(4, kB1, {}));
  EXPECT_EQ(Bytes(sent[1].bytes.begin(), sent[1].bytes.begin() + 8), Relayed(3, kC1, {}));
  EXPECT_EQ(Bytes(sent[0].bytes.begin() + 8, sent[0].bytes.end()),
            Bytes(sent[1].bytes.begin() + 8, sent[1].bytes.end()));
  const std::vector<Bytes> got = test::Delivered(c_.tap.Take());
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0], frame);
  EXPECT_EQ(b_.RxTotal(Counter::kOpened), 0u);
  EXPECT_EQ(b_.RxTotal(Counter::kRelayed), 1u);
}

TEST_F(RelayPathTest, AFrameOfANetworkComesOutThereThoughTheRelayIsNotInIt) {
  constexpr uint32_t kNetwork = 0xab0005;
  test::FakeTap& from = a_.OpenNetwork(1, kNetwork);
  test::FakeTap& to = c_.OpenNetwork(2, kNetwork);
  test::FakeTap& another = c_.OpenNetwork(1, 5);
  ASSERT_EQ(a_.Apply({MembersSet{kNetwork, {3}}}), "");
  const std::vector<Bytes> frames{FrameTo(kMacOfC, 100), FrameTo(kMacOfC, 3'000)};
  for (const Bytes& frame : frames) from.Push({{}, frame});
  a_.DrainNetwork(1);
  b_.DrainRx();
  c_.DrainRx();
  EXPECT_TRUE(test::SameFrames(test::Delivered(to.Take()), frames));
  EXPECT_TRUE(another.Take().empty());
  EXPECT_TRUE(c_.tap.Take().empty());
  EXPECT_TRUE(b_.tap.Take().empty());
}

TEST_F(RelayPathTest, ATrainStaysATrain) {
  test::Packet packet{.payload = Bytes(40'000, 6)};
  Bytes frame = test::Build(packet);
  for (size_t i = 0; i < 6; ++i) frame[i] = static_cast<uint8_t>(kMacOfC >> (40 - 8 * i));
  a_.SendPartial(frame, 1200);
  a_.DrainTx();
  b_.DrainRx();
  c_.DrainRx();
  const std::vector<Message> sent = net_.Take();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].count, 34u);
  EXPECT_EQ(sent[1].count, 34u);
  EXPECT_EQ(sent[1].stride, sent[0].stride);
  EXPECT_EQ(b_.RxTotal(Counter::kUdpTxCalls), 1u);
  EXPECT_EQ(b_.RxTotal(Counter::kRelayed), 34u);
  EXPECT_EQ(c_.RxTotal(Counter::kOpened), 34u);
  EXPECT_EQ(c_.AllDropped(), 0u);
}

TEST_F(RelayPathTest, WithoutOffloadDatagramsGoSingly) {
  b_.udp->DisableGso();
  Bytes train;
  for (int i = 0; i < 3; ++i) {
    const Bytes one = Relayed(4, kB1, Bytes(100, static_cast<uint8_t>(i)));
    train.insert(train.end(), one.begin(), one.end());
  }
  ArriveAtB(train, 1, 108);
  EXPECT_EQ(net_.Take().size(), 3u);
  EXPECT_EQ(b_.RxTotal(Counter::kRelayed), 3u);
}

TEST_F(RelayPathTest, ARefusedTrainGoesSingly) {
  b_.udp->on_send = [](const io::OutTrain* trains, size_t count) {
    return trains[0].count > 1 ? -EINVAL : static_cast<int>(count);
  };
  const Bytes one = Relayed(4, kB1, Bytes(100, 1));
  Bytes train = one;
  train.insert(train.end(), one.begin(), one.end());
  ArriveAtB(train, 1, one.size());
  EXPECT_EQ(net_.Take().size(), 2u);
  EXPECT_EQ(b_.AllDropped(), 0u);
}

TEST_F(RelayPathTest, ARefusedTrainIsNotTriedAgainForAWhile) {
  const Bytes one = Relayed(4, kB1, Bytes(100, 1));
  Bytes train = one;
  train.insert(train.end(), one.begin(), one.end());
  int tried = 0;
  b_.udp->on_send = [&](const io::OutTrain* trains, size_t count) {
    if (trains[0].count == 1) return static_cast<int>(count);
    ++tried;
    return -EIO;
  };
  for (int i = 0; i < 5; ++i) ArriveAtB(train, 1, one.size());
  EXPECT_EQ(tried, 1);
  EXPECT_EQ(net_.Take().size(), 10u);
  const std::vector<Event> events = b_.plane.events.Drain();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_STREQ(events[0].code, "OVL_GSO_OFF");
  EXPECT_EQ(events[0].path, 23u);
  b_.passed_ms = 61'000;
  ArriveAtB(train, 1, one.size());
  EXPECT_EQ(tried, 2);
  EXPECT_EQ(b_.AllDropped(), 0u);
}

TEST_F(RelayPathTest, AMixedTrainIsTakenApart) {
  // Of equal length: to c, to c with another ttl, unknown, and garbage behind them.
  Bytes train;
  for (const Bytes& one :
       {Relayed(4, kB1, Bytes(50, 1)), Relayed(4, kB1, Bytes(50, 2)), Relayed(2, kB1, Bytes(50, 3)),
        Relayed(4, 0x77, Bytes(50, 4)), Bytes(58, 0x66), Relayed(4, kB1, Bytes(50, 5))}) {
    train.insert(train.end(), one.begin(), one.end());
  }
  ArriveAtB(train, 1, 58);
  EXPECT_EQ(b_.RxDropped(DropReason::kRelayUnknown), 1u);
  EXPECT_EQ(b_.RxDropped(DropReason::kUdpType), 1u);
  EXPECT_EQ(b_.RxTotal(Counter::kRelayed), 4u);
  const std::vector<Message> sent = net_.Take();
  ASSERT_EQ(sent.size(), 3u);
  EXPECT_EQ(sent[0].count, 2u);
  EXPECT_EQ(sent[1].bytes[1], 1);  // ttl
  EXPECT_EQ(sent[2].bytes[8], 5);
  EXPECT_EQ(b_.RxTotal(Counter::kUdpRxDatagrams), 6u);
}

TEST_F(RelayPathTest, TheTtlEnds) {
  ArriveAtB(Relayed(1, kB1, Bytes(50, 1)));
  ExpectOnlyDropAtB(DropReason::kRelayTtl);
}

TEST_F(RelayPathTest, ATtlOfZeroEndsToo) {
  ArriveAtB(Relayed(0, kB1, Bytes(50, 1)));
  ExpectOnlyDropAtB(DropReason::kRelayTtl);
}

TEST_F(RelayPathTest, AnInventedTtlIsCut) {
  ArriveAtB(Relayed(255, kB1, Bytes(50, 1)));
  const std::vector<Message> sent = net_.Take();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].bytes[1], 3);
}

TEST_F(RelayPathTest, EveryLengthWithoutContentIsShort) {
  for (size_t size = 1; size <= kRelayHeaderSize; ++size) {
    Bytes bytes = Relayed(4, kB1, {});
    bytes.resize(size);
    ArriveAtB(bytes);
    EXPECT_EQ(b_.RxDropped(DropReason::kUdpShort), size);
  }
  EXPECT_EQ(b_.AllDropped(), kRelayHeaderSize);
}

TEST_F(RelayPathTest, ZerosThatAreNot) {
  Bytes bytes = Relayed(4, kB1, Bytes(50, 1));
  bytes[3] = 1;
  ArriveAtB(bytes);
  ExpectOnlyDropAtB(DropReason::kGateZero);
}

TEST_F(RelayPathTest, AnotherPeersLabel) {
  ArriveAtB(Relayed(4, kB1, Bytes(50, 1)), 3);
  ExpectOnlyDropAtB(DropReason::kRelaySource);
}

TEST_F(RelayPathTest, StrangersAreNotToldAbout) {
  for (uint32_t label = 0; label < 20; ++label) ArriveAtB(Relayed(4, label, Bytes(50, 1)), 77);
  ExpectOnlyDropAtB(DropReason::kRelayUnknown, 20);
  EXPECT_EQ(b_.CountEvents(EventKind::kLabelUnknown), 0u);
}

TEST_F(RelayPathTest, AMemberThatInventsLabelsIsToldAboutAFewTimes) {
  for (uint32_t label = 1000; label < 2000; ++label) {
    ArriveAtB(Relayed(4, label, Bytes(50, 1)), 1);
  }
  ExpectOnlyDropAtB(DropReason::kRelayUnknown, 1000);
  const size_t told = b_.CountEvents(EventKind::kLabelUnknown);
  EXPECT_GE(told, 1u);
  EXPECT_LE(told, 40u);  // 8 a second
  ArriveAtB(Relayed(4, 5000, Bytes(50, 1)), 3);
  EXPECT_EQ(b_.CountEvents(EventKind::kLabelUnknown), 1u);
}

TEST_F(RelayPathTest, NothingNestsAtTheEnd) {
  ASSERT_EQ(b_.Apply({LabelSet{0x55, 1, kA1, 0}}), "");
  ArriveAtB(Relayed(4, 0x55, Relayed(4, kB1, Bytes(50, 1))));
  ExpectOnlyDropAtB(DropReason::kRelayNested);
}

TEST_F(RelayPathTest, OtherTypesInsideAreDropped) {
  ASSERT_EQ(b_.Apply({LabelSet{0x55, 1, kA1, 0}}), "");
  ArriveAtB(Relayed(4, 0x55, Bytes(50, 0x77)));
  ExpectOnlyDropAtB(DropReason::kUdpType);
}

TEST_F(RelayPathTest, ALabelCannotBeForgedAsASource) {
  Message message{core::SourceFromLabel(kB1), b_.udp->address(), Bytes(50, 1), 50, 1, 0};
  b_.udp->Enqueue(message);
  b_.DrainRx();
  ExpectOnlyDropAtB(DropReason::kUdpType);
}

TEST_F(RelayPathTest, APairHasARate) {
  const Bytes one = Relayed(4, kB1, Bytes(9, 1));
  Bytes train;
  for (int i = 0; i < 64; ++i) train.insert(train.end(), one.begin(), one.end());
  net_.keeps_log = false;
  for (uint32_t sent = 0; sent < 4 * kRelayRate.burst; sent += 64) {
    b_.udp->Enqueue({Underlay(1), b_.udp->address(), train, one.size(), 64, 0});
  }
  // At one moment, however long it takes.
  const uint64_t now_ms = b_.NowMs();
  while (!b_.udp->IsIdle()) b_.rx->Drain(*b_.udp, now_ms);
  EXPECT_GE(b_.RxTotal(Counter::kRelayed), kRelayRate.burst - 64);
  EXPECT_GT(b_.RxDropped(DropReason::kRelayRate), 0u);
  EXPECT_EQ(b_.RxDropped(DropReason::kRelayRate), b_.AllDropped());
}

TEST_F(RelayPathTest, AFullQueueDropsAndDoesNotWait) {
  b_.udp->on_send = [](const io::OutTrain*, size_t) { return -EAGAIN; };
  ArriveAtB(Relayed(4, kB1, Bytes(50, 1)));
  ExpectOnlyDropAtB(DropReason::kSendEnobufs);
}

TEST_F(RelayPathTest, AMarkOfARouterGoesOn) {
  const Bytes one = Relayed(4, kB1, Bytes(50, 1));
  b_.udp->Enqueue({Underlay(1), b_.udp->address(), one, one.size(), 1, 3});
  b_.DrainRx();
  const std::vector<Message> sent = net_.Take();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].ecn, 3);
}

TEST_F(RelayPathTest, GarbageNeverEscapes) {
  std::mt19937_64 rng(1);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes = test::RandomBytes(rng, 1 + rng() % 200);
    bytes[0] = core::kTypeRelay;
    if (bytes.size() >= 8 && rng() % 2 != 0) {
      bytes[2] = bytes[3] = 0;
      core::StoreLe32(&bytes[4], rng() % 2 != 0 ? kB1 : kB2);
    }
    ArriveAtB(bytes, static_cast<uint8_t>(1 + rng() % 4), 1 + rng() % bytes.size());
  }
  for (const Message& message : net_.Take()) {
    for (size_t at = 0; at < message.bytes.size(); at += message.stride) {
      EXPECT_EQ(message.bytes[at], core::kTypeRelay);
      EXPECT_LE(message.bytes[at + 1], 3);
    }
  }
}

TEST_F(RelayPathTest, PathsAndLabelsFollowEachOther) {
  const Bytes frame = FrameTo(kMacOfC, 100);
  ASSERT_EQ(a_.Apply({LabelRemove{kA1}}), "");
  a_.Send(frame);
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kRelayUnknown), 1u);
  ASSERT_EQ(a_.Apply({LabelSet{kA1, 2, 0x99, 0}}), "");
  a_.Send(frame);
  a_.DrainTx();
  const std::vector<Message> sent = net_.Take();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(core::LoadLe32(&sent[0].bytes[4]), 0x99u);
  ASSERT_EQ(a_.Apply({LabelSet{kA1, 3, 0x99, 0}}), "");  // of a peer behind the relay itself
  a_.Send(frame);
  a_.DrainTx();
  EXPECT_EQ(a_.TxDropped(DropReason::kRelayNested), 1u);
}

TEST_F(RelayPathTest, SlotsOfLabelsAreGivenBack) {
  for (uint32_t round = 0; round < 3; ++round) {
    std::vector<TableEntry> entries;
    for (uint32_t i = 0; i < kMaxLabels - 2; ++i) entries.push_back(LabelSet{1000 + i, 1, 1, 0});
    ASSERT_EQ(b_.Apply(entries), "");
    EXPECT_NE(b_.Apply({LabelSet{7, 1, 1, 0}}), "");
    for (TableEntry& entry : entries) entry = LabelRemove{std::get<LabelSet>(entry).label};
    ASSERT_EQ(b_.Apply(entries), "");
  }
  EXPECT_EQ(b_.store->Labels().size(), 2u);
}

}  // namespace
}  // namespace overlayd::engine
