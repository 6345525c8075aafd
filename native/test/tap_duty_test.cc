#include "native/engine/tap_duty.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

namespace overlayd::engine {
namespace {

constexpr int kPatienceMs = 120'000;

/// Waits for a bell and silences it, as the threads of a queue pair do. False: nobody rang.
bool Hears(int bell) {
  pollfd wait{bell, POLLIN, 0};
  if (::poll(&wait, 1, kPatienceMs) != 1) return false;
  TapDuty::Silence(bell);
  return true;
}

TEST(TapDuty, BeginsWithTheRxThreadAndSilentBells) {
  TapDuty duty;
  ASSERT_TRUE(duty.Open());
  EXPECT_FALSE(duty.IsWithTx());
  pollfd bells[] = {{duty.rx_bell(), POLLIN, 0}, {duty.tx_bell(), POLLIN, 0}};
  EXPECT_EQ(::poll(bells, 2, 0), 0);
  TapDuty::Silence(duty.rx_bell());  // does not wait for one
  duty.WakeRx();
  duty.WakeRx();
  EXPECT_TRUE(Hears(duty.rx_bell()));
  EXPECT_EQ(::poll(bells, 2, 0), 0) << "heard once";
  EXPECT_FALSE(duty.IsWithTx()) << "a wake-up hands nothing over";
}

// What goes with the duty is written by one thread and read by the other without a lock of its own, and nobody who was
// given it goes on sleeping.
TEST(TapDuty, WhatTheLastHolderWroteIsThereForTheNext) {
  constexpr uint64_t kRounds = 2'000;
  constexpr uint64_t kTurns = 3;
  struct {
    uint64_t turns = 0;
    uint64_t tail = 0;
  } path;
  core::CounterBlock counters;
  TapDuty duty;
  ASSERT_TRUE(duty.Open());
  const auto work = [&] {
    EXPECT_EQ(path.turns, path.tail);
    ++path.turns;
    counters.Add(core::Counter::kTapRxFrames);
    ++path.tail;
  };
  std::thread tx([&] {
    for (uint64_t round = 0; round < kRounds;) {
      ASSERT_TRUE(Hears(duty.tx_bell()));
      while (duty.IsWithTx()) {
        for (uint64_t turn = 0; turn < kTurns; ++turn) work();
        ++round;
        duty.GiveToRx();
      }
    }
  });
  for (uint64_t round = 0; round < kRounds; ++round) {
    while (duty.IsWithTx()) ASSERT_TRUE(Hears(duty.rx_bell()));
    for (uint64_t turn = 0; turn < kTurns; ++turn) work();
    duty.GiveToTx();
  }
  tx.join();
  EXPECT_FALSE(duty.IsWithTx());
  EXPECT_EQ(path.turns, 2 * kRounds * kTurns);
  EXPECT_EQ(counters.Total(core::Counter::kTapRxFrames), 2 * kRounds * kTurns);
}

TEST(Workload, IsMuchFromFiveFramesOrASuperFrameOn) {
  core::CounterBlock counters;
  counters.Add(core::Counter::kTapRxFrames, 100);
  Workload workload(counters, core::Counter::kTapRxFrames, core::Counter::kTapRxBytes);
  EXPECT_FALSE(workload.IsMuch()) << "what was before does not count";
  counters.Add(core::Counter::kTapRxFrames, TapDuty::kFewFrames);
  counters.Add(core::Counter::kTapRxBytes, TapDuty::kLittleBytes);
  EXPECT_FALSE(workload.IsMuch());
  counters.Add(core::Counter::kTapRxFrames, TapDuty::kFewFrames + 1);
  EXPECT_TRUE(workload.IsMuch());
  EXPECT_FALSE(workload.IsMuch());
  counters.Add(core::Counter::kTapRxBytes, TapDuty::kLittleBytes + 1);
  EXPECT_TRUE(workload.IsMuch());
}

}  // namespace
}  // namespace overlayd::engine
