#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "native/core/fragment.h"
#include "native/engine/control_message.h"
#include "native/test/test_node.h"

/*
 * Several networks in one data plane: what a TAP reads leaves under its network's id, and arrives at the TAP of that
 * network alone, whatever local index it has there.
 */
namespace overlayd::engine {
namespace {

using core::DropReason;
using core::InnerKind;
using test::Build;
using test::Bytes;
using test::Connect;
using test::Craft;
using test::Delivered;
using test::FakeTap;
using test::Inner;
using test::Packet;
using test::Relation;
using test::TestNode;

constexpr uint32_t kBlue = 5;
constexpr uint32_t kRed = 0xab0005;  // equal in its lower 16 bits

class NetworksTest : public testing::Test {
 protected:
  void SetUp() override {
    Connect(a_, b_);
    ASSERT_EQ(a_.Apply({MembersSet{kBlue, {1}}, MembersSet{kRed, {1}}}), "");
  }

  void CrossFrom(uint32_t index) {
    a_.DrainNetwork(index);
    b_.DrainRx();
  }
  void Arrive(const Bytes& inner) {
    Bytes datagram = Craft(relation_, 0, counter_++, inner);
    const size_t size = datagram.size();
    b_.udp->Enqueue({test::Underlay(1), b_.udp->address(), std::move(datagram), size, 1});
  }
  static Bytes Frame(size_t payload = 50) { return Build(Packet{.payload = Bytes(payload, 4)}); }
  std::vector<Event> EventsOf(TestNode& node, EventKind kind) {
    std::vector<Event> out;
    for (Event& event : node.plane.events.Drain()) {
      if (event.kind == kind) out.push_back(std::move(event));
    }
    return out;
  }

  Relation relation_;
  uint64_t counter_ = 1'000;  // beyond what a_ itself sends
  test::FakeNet net_;
  TestNode a_{net_, 1};
  TestNode b_{net_, 2};
  std::mt19937_64 rng_{test::TestSeed()};
  FakeTap& blue_a_ = a_.OpenNetwork(1, kBlue);
  FakeTap& red_a_ = a_.OpenNetwork(2, kRed);
  // Not at the same indexes: those are nobody else's business.
  FakeTap& red_b_ = b_.OpenNetwork(1, kRed);
  FakeTap& blue_b_ = b_.OpenNetwork(3, kBlue);
};

TEST_F(NetworksTest, FramesComeOutInTheirNetworkAlone) {
  const Bytes in_default = test::RandomFrame(rng_, 100);
  const Bytes in_blue = test::RandomFrame(rng_, 200);
  const Bytes in_red = test::RandomFrame(rng_, 300);
  a_.Send(in_default);
  blue_a_.Push({{}, in_blue});
  red_a_.Push({{}, in_red});
  a_.DrainTx();
  a_.DrainNetwork(2);
  a_.DrainNetwork(1);
  b_.DrainRx();
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), {in_default}));
  EXPECT_TRUE(test::SameFrames(Delivered(blue_b_.Take()), {in_blue}));
  EXPECT_TRUE(test::SameFrames(Delivered(red_b_.Take()), {in_red}));
  EXPECT_EQ(a_.AllDropped() + b_.AllDropped(), 0u);
}

TEST_F(NetworksTest, SuperFramesAndFragmentsStayInTheirNetwork) {
  const Bytes super = Build(Packet{.payload = Bytes(20'000, 3)});
  const Bytes large = test::RandomFrame(rng_, 5'000);
  blue_a_.Push({TestNode::OffloadOf(super, 1'300), super});
  blue_a_.Push({{}, large});
  CrossFrom(1);
  std::vector<Bytes> expected = test::NaiveSegments(super, 1'300);
  expected.push_back(large);
  EXPECT_TRUE(test::SameFrames(Delivered(blue_b_.Take()), expected));
  EXPECT_TRUE(b_.tap.Take().empty());
  EXPECT_TRUE(red_b_.Take().empty());
}

TEST_F(NetworksTest, UnknownNetworkIsDroppedAndCounted) {
  for (const uint32_t network : {6U, 0x0a0005U, 0xffffffU}) {
    Arrive(Inner(InnerKind::kFrame, 0, Frame(), network));
    Arrive(Inner(InnerKind::kFragment, 0, Frame(), network));
  }
  b_.DrainRx();
  EXPECT_EQ(b_.RxDropped(DropReason::kInnerNetwork), 6u);
  EXPECT_EQ(b_.AllDropped(), 6u);
  b_.CloseNetwork(3);
  Arrive(Inner(InnerKind::kFrame, 0, Frame(), kBlue));
  b_.DrainRx();
  EXPECT_EQ(b_.RxDropped(DropReason::kInnerNetwork), 7u);
  EXPECT_TRUE(b_.tap.Take().empty() && red_b_.Take().empty());
}

TEST_F(NetworksTest, ControlBelongsToNone) {
  const Bytes message = MakeControlMessage(99, Bytes(10));
  Arrive(Inner(InnerKind::kControl, 0, message, kBlue));
  Arrive(Inner(InnerKind::kKeepalive, 0, {}, kBlue));
  b_.DrainRx();
  EXPECT_EQ(b_.RxDropped(DropReason::kInnerNetwork), 2u);
  EXPECT_EQ(b_.CountEvents(EventKind::kControl), 0u);
}

TEST_F(NetworksTest, SegmentsOfOneRunAreNotJoinedAcrossNetworks) {
  const std::vector<Bytes> segments =
      test::NaiveSegments(Build(Packet{.payload = Bytes(4'000, 7)}), 1'000);
  ASSERT_EQ(segments.size(), 4u);
  for (size_t i = 0; i < segments.size(); ++i) {
    Bytes partial = segments[i];
    test::NaivePartial(partial);
    const uint8_t flags = core::kFlagPartialChecksum | (i == 0 ? 0 : core::kFlagContinues);
    Arrive(Inner(InnerKind::kFrame, flags, partial, i < 2 ? kBlue : kRed));
  }
  b_.DrainRx();
  const auto blue = blue_b_.Take();
  const auto red = red_b_.Take();
  EXPECT_EQ(blue.size(), 1u) << "joined within the network";
  EXPECT_EQ(red.size(), 1u);
  EXPECT_TRUE(test::SameFrames(Delivered(blue), {segments[0], segments[1]}));
  EXPECT_TRUE(test::SameFrames(Delivered(red), {segments[2], segments[3]}));
}

TEST_F(NetworksTest, FragmentsOfTwoNetworksMakeNoFrame) {
  const Bytes large = test::RandomFrame(rng_, 2'000);
  const core::FragmentPlan plan = core::PlanFragments(large.size(), 1'100);
  ASSERT_EQ(plan.count, 2);
  for (uint8_t i = 0; i < plan.count; ++i) {
    Bytes content(core::kFragmentHeaderBytes);
    core::WriteFragmentHeader(content.data(), plan, i, static_cast<uint8_t>(InnerKind::kFrame));
    const auto from = large.begin() + static_cast<ptrdiff_t>(plan.OffsetOf(i));
    content.insert(content.end(), from, from + static_cast<ptrdiff_t>(plan.LengthOf(i)));
    Arrive(Inner(InnerKind::kFragment, 0, content, i == 0 ? kBlue : kRed));
  }
  b_.DrainRx();
  EXPECT_TRUE(blue_b_.Take().empty());
  EXPECT_TRUE(red_b_.Take().empty());
}

TEST_F(NetworksTest, FloodsGoToMembersInReachAndToNobodyWithoutAList) {
  ASSERT_EQ(a_.Apply({MembersSet{kBlue, {}}, MembersSet{kRed, {1, 1, 9}}}), "");
  blue_a_.Push({{}, Frame()});
  a_.DrainNetwork(1);
  EXPECT_EQ(a_.TxDropped(DropReason::kFloodNoMembers), 1u);
  EXPECT_TRUE(EventsOf(a_, EventKind::kPeerWanted).empty());
  red_a_.Push({{}, Frame()});
  CrossFrom(2);
  EXPECT_EQ(red_b_.Take().size(), 1u) << "listed twice, sent once";
  const std::vector<Event> wanted = EventsOf(a_, EventKind::kPeerWanted);
  ASSERT_EQ(wanted.size(), 1u) << "9 is a member and out of reach";
  EXPECT_EQ(wanted[0].network, kRed);
  EXPECT_EQ(wanted[0].peer, 0u);
}

TEST_F(NetworksTest, MacsAreLearnedAndDeclaredInEachByItself) {
  blue_a_.Push({{}, Frame()});
  CrossFrom(1);
  const core::Mac source = core::LoadMac(Frame().data() + 6);
  const auto now_s = static_cast<uint32_t>(b_.NowMs() / 1000);
  EXPECT_EQ(b_.plane.fdb.Lookup(kBlue, source, now_s), 1);
  EXPECT_EQ(b_.plane.fdb.Lookup(kRed, source, now_s), 0);
  EXPECT_EQ(b_.plane.fdb.Lookup(0, source, now_s), 0);
  ASSERT_EQ(b_.Apply({FdbSet{kRed, source, 0}}), "");
  blue_b_.Take();
  Arrive(Inner(InnerKind::kFrame, 0, Frame(), kBlue));
  Arrive(Inner(InnerKind::kFrame, 0, Frame(), kRed));
  b_.DrainRx();
  EXPECT_EQ(blue_b_.Take().size(), 1u);
  EXPECT_TRUE(red_b_.Take().empty());
  EXPECT_EQ(b_.RxDropped(DropReason::kOwnSource), 1u);
  const std::vector<Event> claims = EventsOf(b_, EventKind::kMacClaim);
  ASSERT_EQ(claims.size(), 1u);
  EXPECT_EQ(claims[0].network, kRed);
}

TEST_F(NetworksTest, WhatWasDeclaredForANetworkHoldsAtAnyIndex) {
  const core::Mac destination = core::LoadMac(Frame().data());
  ASSERT_EQ(a_.Apply({FdbSet{kBlue, destination, 0}, MembersSet{kRed, {}}}), "");
  blue_a_.Push({{}, Frame()});
  CrossFrom(1);
  EXPECT_EQ(a_.TxDropped(DropReason::kOwnDestination), 1u);
  // Blue goes, red takes its place: what stood for blue is not red's.
  a_.CloseNetwork(1);
  a_.CloseNetwork(2);
  FakeTap& red = a_.OpenNetwork(1, kRed);
  FakeTap& blue = a_.OpenNetwork(2, kBlue);
  red.Push({{}, Frame()});
  CrossFrom(1);
  EXPECT_EQ(a_.TxDropped(DropReason::kOwnDestination), 1u);
  EXPECT_EQ(a_.TxDropped(DropReason::kFloodNoMembers), 1u);
  blue.Push({{}, Frame()});
  CrossFrom(2);
  EXPECT_EQ(a_.TxDropped(DropReason::kOwnDestination), 2u);
}

TEST_F(NetworksTest, UnknownMacsOfOneNetworkDoNotUseUpTheRateOfAnother) {
  for (int i = 0; i < 3'000; ++i) blue_a_.Push({{}, Frame()});
  for (int i = 0; i < 12; ++i) a_.DrainNetwork(1);
  EXPECT_GT(a_.TxDropped(DropReason::kUnknownUnicast), 0u);
  b_.DrainRx();
  red_a_.Push({{}, Frame()});
  CrossFrom(2);
  EXPECT_EQ(red_b_.Take().size(), 1u);
}

TEST_F(NetworksTest, GroupsAndReportsAreOfTheirNetwork) {
  constexpr core::Mac kGroup = 0x01005e010203;
  Packet packet{.payload = Bytes(30, 1)};
  packet.is_udp = true;
  Bytes frame = Build(packet);
  test::NaiveComplete(frame);
  core::StoreMac(frame.data(), kGroup);
  ASSERT_EQ(a_.Apply({GroupSet{kBlue, kGroup, {}}}), "");
  blue_a_.Push({{}, frame});
  red_a_.Push({{}, frame});
  a_.DrainNetwork(1);
  CrossFrom(2);
  EXPECT_EQ(a_.TxDropped(DropReason::kGroupNobody), 1u);
  EXPECT_TRUE(blue_b_.Take().empty());
  EXPECT_EQ(red_b_.Take().size(), 1u);
  frame[14 + 9] = 2;
  frame[14 + 20] = 0x16;
  red_a_.Push({{}, frame});
  a_.DrainNetwork(2);
  const std::vector<Event> told = EventsOf(a_, EventKind::kMembership);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].network, kRed);
}

TEST_F(NetworksTest, ATapThatIsGoneIsAFaultOfItsNetworkOnly) {
  blue_a_.FailReads(EBADFD);
  a_.DrainNetwork(1);
  const std::vector<Event> faults = EventsOf(a_, EventKind::kFault);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].network, kBlue);
  EXPECT_STREQ(faults[0].code, "OVL_TAP_LOST");
  const Bytes frame = test::RandomFrame(rng_, 100);
  red_a_.Push({{}, frame});
  a_.Send(frame);
  a_.DrainTx();
  CrossFrom(2);
  EXPECT_TRUE(test::SameFrames(Delivered(red_b_.Take()), {frame}));
  EXPECT_TRUE(test::SameFrames(Delivered(b_.tap.Take()), {frame}));
}

// The tx thread waits for a full socket outside the tables; meanwhile blue goes, and red gets its place.
TEST_F(NetworksTest, OneThatIsClosedBetweenFramesIsNotReadOn) {
  a_.CloseNetwork(2);
  constexpr size_t kFrames = 200;
  for (size_t i = 0; i < kFrames; ++i) blue_a_.Push({{}, test::RandomFrame(rng_, 1'000)});
  const Bytes in_red = test::RandomFrame(rng_, 100);
  std::thread control;
  std::atomic<bool> is_done = false;
  a_.udp->on_send = [&](const io::OutTrain*, size_t count) {
    if (is_done) return static_cast<int>(count);
    if (!control.joinable()) {
      control = std::thread([&] {
        a_.CloseNetwork(1);
        a_.OpenNetwork(1, kRed).Push({{}, in_red});
        is_done = true;
      });
    }
    return -EAGAIN;
  };
  CrossFrom(1);
  control.join();
  EXPECT_TRUE(red_b_.Take().empty()) << "only blue was to be read";
  EXPECT_LT(blue_b_.Take().size(), kFrames);
  CrossFrom(1);
  EXPECT_TRUE(test::SameFrames(Delivered(red_b_.Take()), {in_red}));
}

/// Reads frames of its network for ever; checks that it is written none of others.
class MarkedTap final : public io::TapQueue {
 public:
  MarkedTap(uint32_t network, std::atomic<uint64_t>& arrived, std::atomic<uint64_t>& strayed)
      : network_(network), arrived_(arrived), strayed_(strayed) {}
  ssize_t Read(uint8_t* frame, size_t, core::OffloadHeader* offload) override {
    if (++reads_ % 8 == 0) return -EAGAIN;
    *offload = {};
    std::memset(frame, 0, kSize);
    core::StoreMac(frame, core::kMaxMac);
    core::StoreMac(frame + 6, 0x020000000000 + network_);
    core::StoreBe16(frame + 12, 0x88b5);
    core::StoreLe32(frame + 14, network_);
    return kSize;
  }
  ssize_t Write(const core::OffloadHeader&, const core::Slice* slices, size_t) override {
    ++(core::LoadLe32(slices[0].data + 14) == network_ ? arrived_ : strayed_);
    return static_cast<ssize_t>(slices[0].size);
  }
  [[nodiscard]] int fd() const override { return -1; }

 private:
  static constexpr size_t kSize = 100;
  const uint32_t network_;
  std::atomic<uint64_t>& arrived_;
  std::atomic<uint64_t>& strayed_;
  uint32_t reads_ = 0;
};

// The control thread opens and closes networks at both ends, each time at another index, while both workers run.
TEST(Networks, ComeAndGoWhileTrafficFlows) {
  test::FakeNet net;
  net.keeps_log = false;
  TestNode a(net, 1);
  TestNode b(net, 2);
  Connect(a, b);
  std::vector<uint32_t> ids;
  for (uint32_t id = 1; id <= 12; ++id) {
    ids.push_back(id << 16 | 5);
    ASSERT_EQ(a.Apply({MembersSet{ids.back(), {1}}}), "");
  }
  std::atomic<uint64_t> arrived = 0;
  std::atomic<uint64_t> strayed = 0;
  std::atomic<bool> is_over = false;
  std::thread tx([&] {
    while (!is_over) {
      for (uint32_t index = 1; index <= 4; ++index) a.tx->DrainNetwork(index, a.poller);
      while (!b.udp->IsIdle() && !is_over) std::this_thread::yield();
    }
  });
  std::thread rx([&] {
    while (!is_over) b.rx->Drain(*b.udp);
  });
  const auto toggle = [&](TestNode& node, uint32_t index, uint32_t id) {
    if (!node.plane.networks[index].queues.empty()) {
      node.CloseNetwork(index);
      return;
    }
    const auto& open = node.plane.tables.load()->networks;
    for (const core::NetworkEntry& entry : open) {
      if (entry.is_open && entry.id == id) return;
    }
    node.plane.networks[index].queues.push_back(std::make_unique<MarkedTap>(id, arrived, strayed));
    node.plane.networks[index].own_macs = {id};
    node.store->OpenNetwork(index, id);
  };
  std::mt19937_64 rng(test::TestSeed());
  const auto change = [&] {
    TestNode& node = rng() % 2 == 0 ? a : b;
    toggle(node, 1 + rng() % 4, ids[rng() % ids.size()]);
  };
  for (int round = 0; round < 2'000 || arrived == 0; ++round) change();
  is_over = true;
  tx.join();
  rx.join();
  EXPECT_EQ(strayed, 0u);
  EXPECT_GT(arrived, 0u);
}

}  // namespace
}  // namespace overlayd::engine
