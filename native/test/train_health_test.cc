#include "native/core/train_health.h"

#include <gtest/gtest.h>

#include <random>

#include "native/engine/control_message.h"
#include "native/engine/sealer.h"
#include "native/test/test_node.h"

namespace overlayd::core {
namespace {

using Verdict = TrainHealth::Verdict;

/// A second of traffic: trains of `length`, lone datagrams, and the shares of each that arrive.
struct Second {
  uint32_t trains = 10;
  uint32_t length = 10;
  uint32_t lone = 5;
  double firsts_arrive = 1;
  double continued_arrive = 1;
  double lone_arrive = 1;
};

class TrainHealthTest : public testing::Test {
 protected:
  Verdict Pass(const Second& second, bool is_size_lost = false) {
    for (uint32_t i = 0; i < second.trains; ++i) {
      if (health_.IsOn(now_ms_)) {
        health_.NoteTrain(second.length, second.length - 1);
      } else {
        health_.NoteSingly(second.length, second.length - 1);
      }
    }
    for (uint32_t i = 0; i < second.lone; ++i) health_.NoteTrain(1, 0);
    report_.singles += Some(second.trains, second.firsts_arrive);
    report_.singles += Some(second.lone, second.lone_arrive);
    report_.train_segments += Some(second.trains * (second.length - 1), second.continued_arrive);
    now_ms_ += 1000;
    return health_.OnReport(report_, is_size_lost, now_ms_);
  }
  /// The first of `seconds` verdicts that is one.
  Verdict PassSeconds(const Second& second, int seconds) {
    for (int i = 0; i < seconds; ++i) {
      const Verdict verdict = Pass(second);
      if (verdict != Verdict::kNone) return verdict;
    }
    return Verdict::kNone;
  }
  uint32_t Some(uint32_t count, double share) {
    return share == 0 || share == 1 ? count * static_cast<uint32_t>(share)
                                    : std::binomial_distribution<uint32_t>(count, share)(rng_);
  }

  static constexpr Second kWell{};
  static constexpr Second kOnlyFirsts{.continued_arrive = 0};
  static constexpr Second kNoTrain{
      .trains = 2, .lone = 20, .firsts_arrive = 0, .continued_arrive = 0};
  std::mt19937 rng_{1};
  TrainHealth health_;
  ReceiverReport report_{};
  uint64_t now_ms_ = 1'000'000;
};

TEST_F(TrainHealthTest, TrainsThatArriveStayOn) {
  for (int i = 0; i < 50; ++i) Pass(kWell);
  EXPECT_TRUE(health_.IsOn(now_ms_));
}

TEST_F(TrainHealthTest, TrainsOfWhichOnlyTheFirstArrivesGoOffForAWhile) {
  Pass(kWell);
  EXPECT_EQ(PassSeconds(kOnlyFirsts, 4), Verdict::kOff);
  EXPECT_FALSE(health_.IsOn(now_ms_));
  EXPECT_FALSE(health_.IsOn(now_ms_ + TrainHealth::kFirstPauseMs - 1));
  EXPECT_TRUE(health_.IsOn(now_ms_ + TrainHealth::kFirstPauseMs));
}

TEST_F(TrainHealthTest, TrainsThatVanishWholeGoOff) {
  Pass(kWell);
  EXPECT_EQ(PassSeconds(kNoTrain, 4), Verdict::kOff);
}

TEST_F(TrainHealthTest, AFewOfEachAreNoEvidence) {
  Pass(kWell);
  EXPECT_EQ(PassSeconds({.trains = 1, .length = 2, .lone = 1, .continued_arrive = 0}, 3),
            Verdict::kNone);
}

TEST_F(TrainHealthTest, WithoutOneKindThereIsNoComparison) {
  Pass(kWell);
  EXPECT_EQ(PassSeconds({.lone = 0, .continued_arrive = 0}, 30), Verdict::kNone);
  PassSeconds(kWell, 20);
  EXPECT_EQ(PassSeconds({.trains = 0, .lone = 100, .lone_arrive = 0.5}, 30), Verdict::kNone);
}

TEST_F(TrainHealthTest, LossThatHitsAllIsNotTheTrainsFault) {
  Pass(kWell);
  for (const double arrive : {0.95, 0.7, 0.5, 0.2, 0.05}) {
    for (const uint32_t trains : {2U, 10U, 100U}) {
      for (const uint32_t length : {2U, 10U, 45U}) {
        for (const uint32_t lone : {2U, 20U}) {
          const Second second{trains, length, lone, arrive, arrive, arrive};
          for (int i = 0; i < 100; ++i) {
            const Verdict verdict = Pass(second);
            EXPECT_NE(verdict, Verdict::kOff) << arrive << " " << trains << " " << length;
          }
        }
      }
    }
  }
}

TEST_F(TrainHealthTest, AQueueThatOverflowsNowAndThenIsNoFault) {
  Pass(kWell);
  EXPECT_NE(PassSeconds({.continued_arrive = 0.85}, 60), Verdict::kOff);
  EXPECT_TRUE(health_.IsOn(now_ms_));
}

TEST_F(TrainHealthTest, ASizeThatIsLostExplainsItself) {
  Pass(kWell);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(Pass(kOnlyFirsts, true), Verdict::kNone);
}

TEST_F(TrainHealthTest, EachPauseIsTwiceAsLongUntilTrainsArriveAgain) {
  Pass(kWell);
  ASSERT_EQ(PassSeconds(kOnlyFirsts, 4), Verdict::kOff);
  uint64_t pause_ms = TrainHealth::kFirstPauseMs;
  for (int i = 0; i < 10; ++i) {
    now_ms_ += pause_ms;
    ASSERT_TRUE(health_.IsOn(now_ms_));
    Pass(kWell);
    ASSERT_EQ(PassSeconds(kOnlyFirsts, 5), Verdict::kStillOff);
    pause_ms = std::min(2 * pause_ms, TrainHealth::kMaxPauseMs);
    ASSERT_FALSE(health_.IsOn(now_ms_ + pause_ms - 1));
    ASSERT_TRUE(health_.IsOn(now_ms_ + pause_ms));
  }
  now_ms_ += pause_ms;
  EXPECT_EQ(PassSeconds(kWell, 5), Verdict::kWell);
  EXPECT_EQ(PassSeconds(kOnlyFirsts, 5), Verdict::kOff) << "a first one again";
}

TEST_F(TrainHealthTest, LossThatStaysWithoutTrainsClearsThem) {
  Pass(kWell);
  ASSERT_EQ(PassSeconds(kOnlyFirsts, 4), Verdict::kOff);
  const uint64_t at_ms = now_ms_;
  EXPECT_EQ(PassSeconds(kOnlyFirsts, 5), Verdict::kOn);
  EXPECT_TRUE(health_.IsOn(now_ms_));
  EXPECT_EQ(PassSeconds(kOnlyFirsts, 500), Verdict::kNone) << "no suspicion";
  now_ms_ = at_ms + TrainHealth::kNoSuspicionMs + 10'000;
  EXPECT_NE(PassSeconds(kOnlyFirsts, 12), Verdict::kNone) << "a path may change";
}

TEST_F(TrainHealthTest, TrainsThatFareWellSinglyStayOffTheirTime) {
  Pass(kWell);
  ASSERT_EQ(PassSeconds(kOnlyFirsts, 4), Verdict::kOff);
  EXPECT_EQ(PassSeconds(kWell, 20), Verdict::kNone);
  EXPECT_FALSE(health_.IsOn(now_ms_));
}

TEST_F(TrainHealthTest, AFarSideThatBeginsAnewIsNoLoss) {
  for (int i = 0; i < 7; ++i) Pass(kWell);
  for (int i = 0; i < 20; ++i) {
    if (i % 2 == 0) report_ = {};
    EXPECT_NE(Pass(kWell), Verdict::kOff);
  }
}

TEST_F(TrainHealthTest, TotalsMayPassTheirEnd) {
  report_.singles = UINT32_MAX - 20;
  report_.train_segments = UINT32_MAX - 100;
  Pass(kWell);
  for (int i = 0; i < 5; ++i) EXPECT_NE(Pass(kWell), Verdict::kOff);
  EXPECT_LT(report_.singles, 1000U);
  EXPECT_EQ(PassSeconds(kOnlyFirsts, 5), Verdict::kOff);
}

TEST_F(TrainHealthTest, ReportsOfAnythingDoNoHarm) {
  std::mt19937 any(7);
  for (int i = 0; i < 100'000; ++i) {
    report_ = {1000, 1400, static_cast<uint32_t>(any()), static_cast<uint32_t>(any()), 0, 0};
    Pass({.trains = static_cast<uint32_t>(any() % 3), .lone = static_cast<uint32_t>(any() % 9)});
  }
  now_ms_ += TrainHealth::kMaxPauseMs;
  EXPECT_TRUE(health_.IsOn(now_ms_));
}

}  // namespace
}  // namespace overlayd::core

namespace overlayd::engine {
namespace {

using core::Counter;
using test::Bytes;

/// Two nodes whose underlay swallows all of a train but its first segment.
class TrainLossTest : public testing::Test {
 protected:
  void SetUp() override {
    test::Connect(a_, b_);
    net_.filter = [this](test::Message& message) {
      if (!is_broken_ || message.count == 1) return true;
      message.bytes.resize(message.stride);
      message.count = 1;
      return true;
    };
  }

  /// A second of traffic to b, and b's report of it.
  void PassSecond() {
    const test::Packet packet{.payload = Bytes(10'000, 6)};
    for (int i = 0; i < 4; ++i) {
      a_.SendPartial(test::Build(packet), 1000);
      a_.DrainTx();
      a_.Send(test::RandomFrame(rng_, 100));
      a_.DrainTx();
    }
    b_.DrainRx();
    a_.passed_ms += 1000;
    b_.passed_ms += 1000;
    PathState& state = b_.plane.paths[b_.store->Paths()[0].state];
    uint8_t body[core::kReceiverReportBytes];
    core::EncodeReceiverReport(state.received.Take(1000), body);
    Sealer sealer(b_.plane, b_.sockets, b_.tx_counters);
    ASSERT_TRUE(sealer.Send(b_.SessionOf(201), core::InnerKind::kControl,
                            MakeControlMessage(core::kControlReceiverReport, body),
                            a_.udp->address(), 1200));
    a_.DrainRx();
  }
  /// Sent by a since the last call.
  size_t Trains() {
    size_t trains = 0;
    for (const test::Message& message : net_.Take()) trains += message.count > 1 ? 1 : 0;
    return trains;
  }

  std::mt19937_64 rng_{5};
  bool is_broken_ = true;
  test::FakeNet net_;
  test::TestNode a_{net_, 1};
  test::TestNode b_{net_, 2};
};

TEST_F(TrainLossTest, TrainsStopIsToldAndComeBack) {
  for (int i = 0; i < 4; ++i) PassSecond();
  EXPECT_EQ(Trains(), 16U);
  const std::vector<Event> events = a_.plane.events.Drain();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().kind, EventKind::kFault);
  EXPECT_STREQ(events.back().code, "OVL_TRAINS_LOST");
  EXPECT_EQ(events.back().path, 11U);
  EXPECT_EQ(a_.RxTotal(Counter::kGsoFallbacks), 1U);
  b_.tap.Take();
  PassSecond();
  EXPECT_EQ(Trains(), 0U);
  EXPECT_EQ(test::Delivered(b_.tap.Take()).size(), 4U * 10 + 4) << "all of it arrives";
  is_broken_ = false;
  a_.passed_ms += 30'000;
  PassSecond();
  EXPECT_EQ(Trains(), 4U);
  EXPECT_EQ(a_.CountEvents(EventKind::kFault), 0U);
}

TEST_F(TrainLossTest, AWholeUnderlayKeepsItsTrains) {
  is_broken_ = false;
  for (int i = 0; i < 20; ++i) PassSecond();
  EXPECT_EQ(Trains(), 80U);
  EXPECT_EQ(a_.CountEvents(EventKind::kFault), 0U);
}

}  // namespace
}  // namespace overlayd::engine
