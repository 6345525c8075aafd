#include "native/core/flood.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "native/test/test_node.h"

namespace overlayd::engine {
namespace {

using core::Counter;
using core::DropReason;
using core::FloodHeader;
using core::FloodMemory;
using test::Bytes;
using test::Relation;
using test::TestNode;

constexpr core::Mac kGuest = 0x020000000077;

/// Whether it is new; remembered from now on.
bool Note(FloodMemory& memory, const FloodHeader& header, const Bytes& frame) {
  const uint64_t key = memory.KeyOf(header, frame);
  if (memory.Has(key)) return false;
  memory.Add(key);
  return true;
}

TEST(FloodMemoryTest, KnowsWhatItSawAndOnlyThat) {
  FloodMemory memory({3, 5});
  const Bytes frame{1, 2, 3, 4, 5, 6, 7, 8, 9};
  Bytes other = frame;
  other[8] ^= 1;
  EXPECT_TRUE(Note(memory, {1, 7, 10}, frame));
  EXPECT_FALSE(Note(memory, {1, 7, 10}, frame));
  EXPECT_FALSE(Note(memory, {1, 7, 3}, frame)) << "another way, fewer hops left";
  EXPECT_TRUE(Note(memory, {1, 8, 10}, frame));
  EXPECT_TRUE(Note(memory, {2, 7, 10}, frame));
  EXPECT_TRUE(Note(memory, {1, 7, 10}, other)) << "made-up sequences silence nobody";
  EXPECT_TRUE(Note(memory, {1, 7, 10}, Bytes(frame.begin(), frame.end() - 1)));
}

TEST(FloodMemoryTest, RemembersAGenerationAtLeastAndForgetsInTheEnd) {
  FloodMemory memory({3, 5});
  const Bytes frame{1, 2, 3};
  for (uint64_t i = 1; i <= 4 * FloodMemory::kGeneration; ++i) {
    ASSERT_TRUE(Note(memory, {1, i, 0}, frame));
    if (i > FloodMemory::kGeneration) {
      ASSERT_FALSE(Note(memory, {1, i - FloodMemory::kGeneration, 0}, frame)) << i;
    }
  }
  EXPECT_TRUE(Note(memory, {1, 1, 0}, frame));
}

Bytes Broadcast(uint8_t mark, size_t size = 60, core::Mac from = kGuest) {
  Bytes frame(size, mark);
  std::fill(frame.begin(), frame.begin() + 6, uint8_t{0xff});
  core::StoreMac(frame.data() + 6, from);
  test::Put16(frame, 12, 0x88b5);
  return frame;
}

// Ten nodes in a ring with chords, each linked with four.
class FloodTreeTest : public testing::Test {
 protected:
  static constexpr size_t kNodes = 10;
  static constexpr std::array<size_t, 2> kSteps{1, 3};

  static uint64_t IdOf(size_t node) { return 0x1000 + node; }

  void SetUp() override {
    for (size_t i = 0; i < kNodes; ++i) {
      nodes_[i] = std::make_unique<TestNode>(net_, static_cast<uint8_t>(i + 1));
      nodes_[i]->is_clock_still = true;
    }
    uint32_t link = 1;
    for (size_t i = 0; i < kNodes; ++i) {
      for (const size_t step : kSteps) Link(i, (i + step) % kNodes, link++);
    }
    for (size_t i = 0; i < kNodes; ++i) SetTree(i, IdOf(i));
    net_.filter = [&](test::Message& message) { return !dead_.contains(message.to.ip); };
  }
  void Link(size_t i, size_t j, uint32_t link) {
    const Relation relation{link, 100 + link, 200 + link, link, 2 * link, 2 * link + 1};
    test::Connect(*nodes_[i], *nodes_[j], relation);
    ASSERT_EQ(nodes_[i]->Apply({PeerSet{link, relation.session, link, IdOf(j)}}), "");
    ASSERT_EQ(nodes_[j]->Apply({PeerSet{link, relation.remote, link, IdOf(i)}}), "");
    slots_[i].push_back(link);
    slots_[j].push_back(link);
  }
  void SetTree(size_t node, uint64_t origin) {
    ASSERT_EQ(nodes_[node]->Apply({TreeSet{origin, slots_[node]}}), "");
  }
  void Settle() {
    for (bool is_idle = false; !is_idle;) {
      is_idle = true;
      for (const auto& node : nodes_) {
        is_idle = is_idle && node->udp->IsIdle();
        node->DrainRx();
      }
    }
  }
  void Kill(size_t node) { dead_.insert(nodes_[node]->udp->address().ip); }
  /// How often each node's TAP got the frame.
  std::vector<size_t> Heard(const Bytes& frame) {
    std::vector<size_t> out;
    for (const auto& node : nodes_) {
      size_t count = 0;
      for (const test::TapFrame& got : node->tap.Take()) count += got.bytes == frame ? 1 : 0;
      out.push_back(count);
    }
    return out;
  }
  std::vector<size_t> FloodFrom(size_t node, const Bytes& frame) {
    nodes_[node]->Send(frame);
    nodes_[node]->DrainTx();
    Settle();
    return Heard(frame);
  }
  static std::vector<size_t> OnceBut(std::initializer_list<size_t> others) {
    std::vector<size_t> out(kNodes, 1);
    for (const size_t node : others) out[node] = 0;
    return out;
  }
  /// A flood as the member at the other end of a link of node 0 could make it, node 1 or 3.
  void Hostile(const FloodHeader& header, const Bytes& frame, uint32_t link = 1) {
    Bytes content(core::kFloodHeaderSize);
    core::WriteFloodHeader(content.data(), header);
    content.insert(content.end(), frame.begin(), frame.end());
    const Relation own{link, 100 + link, 200 + link, link, 2 * link, 2 * link + 1};
    const Bytes datagram = test::Craft(test::Mirrored(own), 0, next_counter_++,
                                       test::Inner(core::InnerKind::kFlood, 0, content));
    const size_t size = datagram.size();
    const size_t from = link == 1 ? 1 : 3;
    net_.Deliver({nodes_[from]->udp->address(), nodes_[0]->udp->address(), datagram, size, 1, 0});
    Settle();
  }
  uint64_t Dropped(size_t node, DropReason reason) { return nodes_[node]->RxDropped(reason); }

  test::FakeNet net_;
  std::array<std::unique_ptr<TestNode>, kNodes> nodes_;
  std::array<std::vector<uint32_t>, kNodes> slots_;
  std::set<std::array<uint8_t, 16>> dead_;
  uint64_t next_counter_ = 1000;
};

TEST_F(FloodTreeTest, ReachesEverybodyOnce) {
  for (size_t node = 0; node < kNodes; ++node) {
    EXPECT_EQ(FloodFrom(node, Broadcast(static_cast<uint8_t>(node + 1))), OnceBut({node}));
  }
  uint64_t again = 0;
  for (size_t node = 0; node < kNodes; ++node) again += Dropped(node, DropReason::kFloodAgain);
  EXPECT_GT(again, 0u);
  EXPECT_EQ(nodes_[0]->TxTotal(Counter::kFlooded), 1u);
  EXPECT_EQ(nodes_[0]->RxTotal(Counter::kFloodsPassed), kNodes - 1);
}

TEST_F(FloodTreeTest, TheSameFrameAgainIsAnotherFlood) {
  const Bytes frame = Broadcast(9);
  EXPECT_EQ(FloodFrom(2, frame), OnceBut({2}));
  EXPECT_EQ(FloodFrom(2, frame), OnceBut({2}));
}

TEST_F(FloodTreeTest, GoesRoundNodesThatDied) {
  for (const size_t node : {1, 4, 9}) Kill(node);
  EXPECT_EQ(FloodFrom(0, Broadcast(1)), OnceBut({0, 1, 4, 9}));
}

TEST_F(FloodTreeTest, InASmallMeshNobodyTakesOrPassesOnWhatAMemberMakesUp) {
  ASSERT_EQ(nodes_[0]->Apply({TreeSet{0, {}}}), "");
  Hostile({IdOf(5), 1, 10}, Broadcast(1));
  EXPECT_EQ(Heard(Broadcast(1)), std::vector<size_t>(kNodes, 0));
  EXPECT_EQ(Dropped(0, DropReason::kFloodNoTree), 1u);
}

TEST_F(FloodTreeTest, WhoHasNoTreePassesOnAndFloodsDirectly) {
  for (const size_t node : {3, 6}) SetTree(node, 0);
  EXPECT_EQ(FloodFrom(0, Broadcast(1)), OnceBut({0}));
  const std::vector<size_t> heard = FloodFrom(3, Broadcast(2));
  EXPECT_EQ(heard[4] + heard[6] + heard[2] + heard[0], 4u) << "its peers";
}

TEST_F(FloodTreeTest, CarriesFramesLongerThanAPathAndSuperFrames) {
  const Bytes longer = Broadcast(3, 4000);
  EXPECT_EQ(FloodFrom(5, longer), OnceBut({5}));
  test::Packet packet;
  packet.is_udp = true;
  packet.payload = Bytes(3000, 7);
  Bytes frame = test::Build(packet);
  std::fill(frame.begin(), frame.begin() + 6, uint8_t{0xff});
  nodes_[5]->SendPartial(frame, 1000);
  nodes_[5]->DrainTx();
  Settle();
  std::vector<Bytes> got;
  for (test::TapFrame& write : nodes_[0]->tap.Take()) got.push_back(std::move(write.bytes));
  EXPECT_TRUE(test::SameFrames(got, test::NaiveSegments(frame, 1000)));
}

TEST_F(FloodTreeTest, MadeUpSequencesSilenceNobody) {
  for (uint64_t sequence = 0; sequence < 200; ++sequence) {
    Hostile({IdOf(5), sequence, 0}, Broadcast(8));
  }
  (void)Heard({});
  EXPECT_EQ(FloodFrom(5, Broadcast(9)), OnceBut({5}));
}

TEST_F(FloodTreeTest, AForgedOneIsHeldToWhatIsDeclared) {
  constexpr core::Mac kOther = 0x020000000055;
  ASSERT_EQ(nodes_[0]->Apply({FdbSet{0, kGuest, slots_[0][0]}, FdbSet{0, kOther, 0}}), "");
  Hostile({IdOf(5), 1, 3}, Broadcast(1));
  EXPECT_EQ(Dropped(0, DropReason::kSourceGuard), 1u);
  Hostile({IdOf(1), 2, 3}, Broadcast(2, 60, kOther));
  EXPECT_EQ(Dropped(0, DropReason::kOwnSource), 1u);
  Hostile({IdOf(1), 3, 3}, Broadcast(3, 60, 0x0200000000aa));
  EXPECT_EQ(Dropped(0, DropReason::kOwnMac), 1u);
  Hostile({IdOf(1), 4, 3}, Broadcast(4, 60, 0x010000000001));
  EXPECT_EQ(Dropped(0, DropReason::kMulticastSource), 1u);
  Hostile({IdOf(0), 5, 3}, Broadcast(5));
  EXPECT_EQ(Dropped(0, DropReason::kFloodAgain), 1u) << "ours";
  for (size_t node = 0; node < kNodes; ++node) EXPECT_TRUE(nodes_[node]->tap.Take().empty());
}

TEST_F(FloodTreeTest, TeachesAMacThatIsNowhereAndMovesNone) {
  const uint32_t first = slots_[0][0];
  const uint32_t second = slots_[0][1];
  const size_t other = 3;
  Hostile({IdOf(1), 1, 0}, Broadcast(1));
  EXPECT_EQ(nodes_[0]->plane.fdb.Lookup(0, kGuest, 0), first);
  Hostile({IdOf(other), 2, 0}, Broadcast(2));
  EXPECT_EQ(nodes_[0]->plane.fdb.Lookup(0, kGuest, 0), first);
  Hostile({IdOf(other), 3, 0}, Broadcast(3, 60, kGuest + 1));
  EXPECT_EQ(nodes_[0]->plane.fdb.Lookup(0, kGuest + 1, 0), second);
}

TEST_F(FloodTreeTest, EndsWithItsHopsAndRefusesWhatIsNone) {
  Hostile({IdOf(5), 1, 0}, Broadcast(1));
  EXPECT_EQ(Heard(Broadcast(1)), OnceBut({1, 2, 3, 4, 5, 6, 7, 8, 9}));
  Hostile({IdOf(5), 2, core::kFloodHops + 1}, Broadcast(2));
  EXPECT_EQ(Dropped(0, DropReason::kGateZero), 1u);
  Hostile({0, 3, 1}, Broadcast(3));
  EXPECT_EQ(Dropped(0, DropReason::kGateZero), 2u);
  Hostile({IdOf(5), 4, 1}, Bytes(13, 0));
  EXPECT_EQ(Dropped(0, DropReason::kInnerShort), 1u);
}

TEST_F(FloodTreeTest, OneNeighbourFloodsNoMoreThanItsShare) {
  for (uint64_t sequence = 0; sequence < 2500; ++sequence) {
    Hostile({IdOf(5), sequence, 0}, Broadcast(1));
  }
  EXPECT_EQ(Dropped(0, DropReason::kFloodRate), 500u);
  (void)Heard({});
  EXPECT_EQ(FloodFrom(2, Broadcast(9)), OnceBut({2}));
}

TEST_F(FloodTreeTest, WhatOneNeighbourSaysTooOftenIsHeardFromAnother) {
  for (uint64_t sequence = 0; sequence < 2000; ++sequence) {
    Hostile({IdOf(5), sequence, 0}, Broadcast(1));
  }
  (void)Heard({});
  const Bytes frame = Broadcast(9);
  Hostile({IdOf(5), 5000, 0}, frame);
  EXPECT_EQ(Dropped(0, DropReason::kFloodRate), 1u);
  Hostile({IdOf(5), 5000, 0}, frame, 2);
  EXPECT_EQ(Heard(frame)[0], 1u);
}

TEST(FloodStateTest, NobodyPushesOutWhatIsUnderWay) {
  using Verdict = FloodState::Verdict;
  FloodState state({3, 5});
  const Bytes frame{1, 2, 3};
  EXPECT_EQ(state.Take(1, {7, 1, 3}, frame, 0), Verdict::kNew);
  for (uint64_t i = 0; i < 3 * FloodMemory::kGeneration; ++i)
    (void)state.Take(2, {8, i, 3}, frame, 0);
  EXPECT_EQ(state.Take(2, {8, 1'000'000, 3}, frame, 0), Verdict::kTooMany);
  EXPECT_EQ(state.Take(3, {7, 1, 3}, frame, 0), Verdict::kAgain);
}

}  // namespace
}  // namespace overlayd::engine
