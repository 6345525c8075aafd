#include "native/engine/housekeeper.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <condition_variable>
#include <thread>

#include "native/test/test_node.h"

namespace overlayd::engine {
namespace {

using core::Counter;
using test::Bytes;
using test::Connect;
using test::TestNode;

constexpr auto kPatience = std::chrono::seconds(60);

/// Two nodes; a has its housekeeper running, b answers when the test drains it.
class HousekeeperTest : public testing::Test {
 protected:
  HousekeeperTest() : stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    net_.on_delivered = [this](const core::SourceAddress& from) {
      if (!(from == a_.udp->address())) return;
      const std::lock_guard guard(mutex_);
      ++sent_by_a_;
      changed_.notify_all();
    };
    thread_ = std::thread([this] { keeper_.Run(stop_.get()); });
  }
  ~HousekeeperTest() override { Stop(); }

  void Stop() {
    if (!thread_.joinable()) return;
    const uint64_t one = 1;
    EXPECT_EQ(::write(stop_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    thread_.join();
  }
  void WaitForSends(int count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return sent_by_a_ >= count; }));
  }
  /// Runs until `predicate` holds for an event of a; false when patience ends.
  bool WaitForEvent(EventKind kind) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] {
      for (const Event& event : a_.plane.events.Drain()) {
        if (event.kind == kind) return true;
      }
      return false;
    });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int sent_by_a_ = 0;
  test::FakeNet net_;
  TestNode a_{net_, 1, [this] {
                const std::lock_guard guard(mutex_);  // who waits looks, or sleeps already
                changed_.notify_all();
              }};
  TestNode b_{net_, 2};
  io::Fd stop_;
  Housekeeper keeper_{a_.plane, 2, a_.sockets};
  std::thread thread_;
};

TEST_F(HousekeeperTest, NewPathIsPingedAtOnceAndAliveWhenAnswered) {
  Connect(a_, b_);
  keeper_.Wake();
  WaitForSends(1);
  b_.DrainRx();
  a_.DrainRx();
  EXPECT_EQ(a_.CountEvents(EventKind::kPathAlive), 1u);
  EXPECT_EQ(a_.RxTotal(Counter::kPongsRx), 1u);
  Stop();
  EXPECT_GE(keeper_.counters().Total(Counter::kPingsTx), 1u);
}

TEST_F(HousekeeperTest, SilentPathIsToldAsDead) {
  Connect(a_, b_);
  keeper_.Wake();
  EXPECT_TRUE(WaitForEvent(EventKind::kPathDead));
}

TEST_F(HousekeeperTest, SilentPathWithoutSessionSendsNothing) {
  ASSERT_EQ(a_.Apply({PathSet{9, 1, 0, b_.udp->address(), 1200}}), "");
  keeper_.Wake();
  Stop();
  EXPECT_EQ(keeper_.counters().Total(Counter::kPingsTx), 0u);
  EXPECT_TRUE(net_.Take().empty());
}

TEST_F(HousekeeperTest, ProbeComesBackWithItsSize) {
  Connect(a_, b_);
  core::CounterBlock counters;
  keeper_.SendProbe(a_.plane.tables.load()->paths[0], 1333, counters);
  b_.DrainRx();
  a_.DrainRx();
  size_t answered = 0;
  for (const Event& event : a_.plane.events.Drain()) {
    if (event.kind != EventKind::kProbeAnswered) continue;
    ++answered;
    EXPECT_EQ(event.value, 1333u);
    EXPECT_EQ(event.path, 11u);
  }
  EXPECT_EQ(answered, 1u);
  // Sizes that no UDP payload has.
  net_.Take();
  for (const uint32_t bytes : {0U, 57U, 65508U, UINT32_MAX}) {
    keeper_.SendProbe(a_.plane.tables.load()->paths[0], bytes, counters);
  }
  for (const auto& message : net_.Take()) EXPECT_LE(message.bytes.size(), 100u);  // PINGs only
}

// Both answer at once; a sends a large frame now and then, and what is larger than 700 bytes vanishes.
TEST_F(HousekeeperTest, BlackHoleUnderSparseTrafficIsFoundAndTheFloorUsedAtOnce) {
  OVERLAYD_TRACE_SEED();
  std::mt19937_64 rng(test::TestSeed());
  net_.filter = [](test::Message& message) { return message.stride <= 700; };
  Connect(a_, b_);
  const core::PathEntry path = a_.plane.tables.load()->paths[0];
  const PathState& state = a_.plane.paths[path.state];
  keeper_.Wake();
  a_.Send(test::RandomFrame(rng, 1300));
  a_.DrainTx();
  std::vector<Event> found;
  for (int i = 0; i < 6'000 && found.empty(); ++i) {
    b_.DrainRx();
    a_.DrainRx();
    for (Event& event : a_.plane.events.Drain()) {
      if (event.kind == EventKind::kPathTooBig) found.push_back(std::move(event));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].path, path.id);
  EXPECT_EQ(found[0].value, core::SizeWatch::kFloorBytes);
  EXPECT_EQ(state.limit_bytes.load(), core::SizeWatch::kFloorBytes);
  net_.Take();
  a_.Send(test::RandomFrame(rng, 1300));
  a_.DrainTx();
  for (const auto& message : net_.Take()) EXPECT_LE(message.stride, core::SizeWatch::kFloorBytes);
  Stop();
  EXPECT_EQ(keeper_.counters().Total(Counter::kBlackHoles), 1u);
}

// One session sealed by the control thread, the housekeeper and the tx thread at once: no counter twice.
TEST_F(HousekeeperTest, ConcurrentSealersNeverShareACounter) {
  Connect(a_, b_);
  ASSERT_EQ(a_.Apply({FdbSet{0, 0x020000000001, 1}}), "");
  keeper_.Wake();
  std::thread tx([&] {
    test::Packet packet;
    packet.payload = Bytes(10000, 1);
    for (int i = 0; i < 200; ++i) {
      a_.SendPartial(Build(packet), 1000);
      a_.DrainTx();
    }
  });
  core::CounterBlock counters;
  uint32_t phase = 0;
  for (int i = 0; i < 400; ++i) {
    Sealer(a_.plane, a_.sockets, counters)
        .Send(a_.SessionOf(101), core::InnerKind::kKeepalive, {}, b_.udp->address(), 548);
    if (i % 50 == 49) {
      ++phase;
      ASSERT_EQ(a_.Apply({SessionTxKey{101, phase, test::KeyNumber(1000 + phase)}}), "");
    }
  }
  tx.join();
  Stop();
  std::set<std::pair<uint8_t, uint64_t>> seen;
  for (const auto& datagram : test::Datagrams(net_.Take())) {
    EXPECT_TRUE(seen.emplace(datagram.header.phase, datagram.header.counter).second);
  }
  EXPECT_GE(seen.size(), 2400u);
}

}  // namespace
}  // namespace overlayd::engine
