#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <thread>

#include "native/core/flood.h"
#include "native/test/lockstep.h"
#include "native/test/test_node.h"

/*
 * A node of a large network while everything happens to it at once: its host floods, two neighbours hand over the same
 * floods to two rx threads, and the control thread changes the tree, peers and sessions.
 *
 *   TAP ── tx ──┐            ┌── n1  hands over floods, stays
 *               ├── the node ┼── n2  the same floods, to the other rx thread; stays
 *   rx, rx ─────┘            └── n3, n4 come and go
 */
namespace overlayd::engine {
namespace {

using core::Counter;
using core::DropReason;
using test::Bytes;
using test::Relation;
using test::TestNode;

constexpr uint32_t kSteps = 400;  // below what a neighbour may flood at once
constexpr size_t kNeighbours = 4;
constexpr uint64_t kOwnId = 0x1000;
constexpr core::Mac kOwnGuest = 0x020000000011;
constexpr core::Mac kGuest = 0x020000000022;  // behind n1

uint64_t IdOf(size_t neighbour) { return 0x2000 + neighbour; }

Relation RelationOf(uint32_t slot) {
  return {slot, 100 + slot, 200 + slot, slot, 2 * slot, 2 * slot + 1};
}

Bytes Broadcast(core::Mac from, uint32_t number) {
  Bytes frame(60, 0x33);
  core::StoreMac(frame.data(), core::kMaxMac);
  core::StoreMac(frame.data() + 6, from);
  test::Put16(frame, 12, 0x88b5);
  test::Put32(frame, 14, number);
  return frame;
}

/// How often each of the guest's frames is among these.
std::map<uint32_t, size_t> Numbers(const std::vector<test::TapFrame>& frames, core::Mac from) {
  std::map<uint32_t, size_t> out;
  for (const test::TapFrame& frame : frames) {
    if (core::LoadMac(frame.bytes.data() + 6) == from) ++out[core::LoadBe32(&frame.bytes[14])];
  }
  return out;
}

std::map<uint32_t, size_t> EachOnce() {
  std::map<uint32_t, size_t> out;
  for (uint32_t number = 0; number < kSteps; ++number) out[number] = 1;
  return out;
}

class FloodThreads : public testing::Test {
 protected:
  void SetUp() override {
    net_.keeps_log = false;
    for (uint32_t slot = 1; slot <= kNeighbours; ++slot) {
      neighbours_[slot] = std::make_unique<TestNode>(net_, static_cast<uint8_t>(1 + slot));
      const Relation relation = RelationOf(slot);
      test::Connect(node_, *neighbours_[slot], relation);
      EXPECT_EQ(neighbours_[slot]->Apply({TreeSet{0, {slot}}}), "");  // it takes floods
      Apply({PeerSet{slot, relation.session, relation.path, IdOf(slot)}});
    }
    Apply({TreeSet{kOwnId, {1, 2}}});
    auto socket = std::make_unique<test::FakeUdp>(net_, test::Underlay(1, 6784));
    second_udp_ = socket.get();
    second_sockets_.all.push_back(std::move(socket));
    second_rx_ =
        std::make_unique<RxPath>(node_.plane, 2, node_.tap, second_sockets_, second_counters_);
  }
  void Apply(std::vector<TableEntry> entries) { EXPECT_EQ(node_.Apply(std::move(entries)), ""); }

  /// What neighbour `slot` hands over in a step: a flood of n1's guest.
  void HandOver(uint32_t slot, uint32_t step) {
    const core::FloodHeader header{IdOf(1), step, 3};
    Bytes content(core::kFloodHeaderSize);
    core::WriteFloodHeader(content.data(), header);
    const Bytes frame = Broadcast(kGuest, step);
    content.insert(content.end(), frame.begin(), frame.end());
    const Bytes datagram = test::Craft(test::Mirrored(RelationOf(slot)), 0, step,
                                       test::Inner(core::InnerKind::kFlood, 0, content));
    test::FakeUdp& to = slot == 1 ? *node_.udp : *second_udp_;
    to.Enqueue({neighbours_[slot]->udp->address(), to.address(), datagram, datagram.size(), 1, 0});
  }

  /// What the control thread does in a step.
  void Change(uint32_t step) {
    switch (step % 5) {
      case 0:
        Apply({TreeSet{kOwnId, {1, 2, 3, 4}}});
        break;
      case 1:  // n3 goes, with its keys
        Apply({PeerSet{3, 0, 0, 0}, PathRemove{third_.path}, SessionRemove{third_.session}});
        break;
      case 2:
        Apply({TreeSet{0, {1, 2}}, FdbSet{0, kGuest, 1}, PeerRemove{4}});
        break;
      case 3:  // and comes again, as another session
        third_.session += 1000;
        third_.path += 1000;
        third_.tx_key += 10;
        third_.rx_key += 10;
        Apply(EntriesOf(third_, *neighbours_[3]));
        Apply({PeerSet{3, third_.session, third_.path, IdOf(3)}, FdbRemove{0, kGuest}});
        break;
      default:
        Apply({TreeSet{kOwnId, {2, 1, 3}}});
        Apply({PeerSet{4, RelationOf(4).session, RelationOf(4).path, IdOf(4)}});
    }
    node_.plane.events.Drain();
  }

  test::FakeNet net_;
  TestNode node_{net_, 1};
  std::array<std::unique_ptr<TestNode>, kNeighbours + 1> neighbours_;  // by slot
  Relation third_ = RelationOf(3);
  test::FakeUdp* second_udp_ = nullptr;
  Sockets second_sockets_;
  core::CounterBlock second_counters_;
  std::unique_ptr<RxPath> second_rx_;
};

TEST_F(FloodThreads, EachFloodIsTakenAndPassedOnOnceWhileTheTreeChanges) {
  test::Lockstep steps(4, kSteps);
  std::thread tx([&] {
    for (uint32_t step = 0; steps.Next(0); ++step) {
      node_.Send(Broadcast(kOwnGuest, step));
      node_.DrainTx();
    }
  });
  std::thread rx([&] {
    for (uint32_t step = 0; steps.Next(1); ++step) {
      HandOver(1, step);
      node_.DrainRx();
    }
  });
  std::thread second_rx([&] {
    for (uint32_t step = 0; steps.Next(2); ++step) {
      HandOver(2, step);
      second_rx_->Drain(*second_udp_, node_.NowMs());
    }
  });
  for (uint32_t step = 0; steps.Next(3); ++step) Change(step);
  tx.join();
  rx.join();
  second_rx.join();

  EXPECT_EQ(Numbers(node_.tap.Take(), kGuest), EachOnce());
  const auto dropped = [&](DropReason reason) {
    return node_.RxDropped(reason) + second_counters_.Dropped(reason);
  };
  EXPECT_EQ(dropped(DropReason::kFloodAgain), kSteps);
  EXPECT_EQ(dropped(DropReason::kFloodRate) + node_.TxDropped(DropReason::kFloodRate), 0u);
  EXPECT_EQ(node_.RxTotal(Counter::kFloodsPassed) + second_counters_.Total(Counter::kFloodsPassed),
            kSteps);
  EXPECT_EQ(node_.TxTotal(Counter::kFlooded), kSteps);
  // Who stayed a neighbour all the while has all of it: our host's floods, and of those that were handed over what the
  // other neighbour was quicker with.
  size_t passed = 0;
  for (const size_t slot : {1, 2}) {
    neighbours_[slot]->DrainRx();
    EXPECT_EQ(neighbours_[slot]->AllDropped(), 0u);
    const std::vector<test::TapFrame> got = neighbours_[slot]->tap.Take();
    EXPECT_EQ(Numbers(got, kOwnGuest), EachOnce());
    passed += Numbers(got, kGuest).size();
  }
  EXPECT_EQ(passed, kSteps);
}

}  // namespace
}  // namespace overlayd::engine
