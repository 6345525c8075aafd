#include "native/core/replay_window.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace overlayd::core {
namespace {

/// The window as a set: slow and obvious.
class NaiveWindow {
 public:
  [[nodiscard]] bool Check(uint64_t counter) const {
    if (counter > ReplayWindow::kLastCounter) return false;
    if (!seen_.empty() && *seen_.rbegin() > counter &&
        *seen_.rbegin() - counter >= ReplayWindow::kWindow) {
      return false;
    }
    return !seen_.contains(counter);
  }
  bool Commit(uint64_t counter) { return Check(counter) && seen_.insert(counter).second; }

 private:
  std::set<uint64_t> seen_;
};

TEST(ReplayWindow, FirstCounterMayBeZeroOrAnyOther) {
  for (const uint64_t first : {uint64_t{0}, uint64_t{1}, uint64_t{63}, uint64_t{64},
                               ReplayWindow::kWindowBits, ReplayWindow::kLastCounter}) {
    auto window = std::make_unique<ReplayWindow>();
    EXPECT_TRUE(window->IsEmpty());
    EXPECT_TRUE(window->Check(first));
    EXPECT_TRUE(window->Commit(first));
    EXPECT_FALSE(window->Check(first));
    EXPECT_FALSE(window->Commit(first));
    EXPECT_EQ(window->Highest(), first);
    EXPECT_FALSE(window->IsEmpty());
  }
}

TEST(ReplayWindow, AcceptsLateOnesJustInsideAndRefusesJustOutside) {
  auto window = std::make_unique<ReplayWindow>();
  const uint64_t high = 1'000'000;
  ASSERT_TRUE(window->Commit(high));
  EXPECT_TRUE(window->Commit(high - ReplayWindow::kWindow + 1));
  EXPECT_FALSE(window->Check(high - ReplayWindow::kWindow));
  EXPECT_FALSE(window->Commit(high - ReplayWindow::kWindow));
}

TEST(ReplayWindow, RefusesTheCounterWithoutSuccessor) {
  auto window = std::make_unique<ReplayWindow>();
  EXPECT_FALSE(window->Check(UINT64_MAX));
  EXPECT_FALSE(window->Commit(UINT64_MAX));
  EXPECT_FALSE(window->CommitRun(UINT64_MAX - 1, 2));
  EXPECT_TRUE(window->IsEmpty());
}

TEST(ReplayWindow, RunIsTakenOnlyAboveTheHighest) {
  auto window = std::make_unique<ReplayWindow>();
  EXPECT_TRUE(window->CommitRun(0, 64));
  EXPECT_EQ(window->Highest(), 63u);
  EXPECT_FALSE(window->CommitRun(63, 2));
  EXPECT_TRUE(window->Check(64));
  EXPECT_FALSE(window->CommitRun(70, 0));
  EXPECT_TRUE(window->CommitRun(70, 3));
  EXPECT_FALSE(window->CommitRun(100, ReplayWindow::kWindow + 1));
  EXPECT_TRUE(window->Commit(69));
  for (uint64_t counter : {70, 71, 72}) EXPECT_FALSE(window->Commit(counter));
  EXPECT_TRUE(window->Commit(73));
}

TEST(ReplayWindow, BehavesAsASetWould) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 rng(seed);
    auto window = std::make_unique<ReplayWindow>();
    NaiveWindow naive;
    uint64_t base = 0;
    for (int step = 0; step < 40'000; ++step) {
      switch (rng() % 64) {
        case 0:
          base += rng() % (3 * ReplayWindow::kWindowBits);
          break;
        case 1:
          base += ReplayWindow::kWindowBits - 2 + rng() % 4;
          break;
        default:
          base += rng() % 3;
      }
      if (rng() % 8 == 0) {
        const uint32_t count = 1 + rng() % 150;
        const bool above = window->IsEmpty() || base > window->Highest();
        ASSERT_EQ(window->CommitRun(base, count), above);
        for (uint32_t i = 0; above && i < count; ++i) ASSERT_TRUE(naive.Commit(base + i));
        continue;
      }
      const uint64_t back = rng() % 4 == 0 ? rng() % (ReplayWindow::kWindowBits + 200) : rng() % 90;
      const uint64_t counter = base >= back ? base - back : 0;
      ASSERT_EQ(window->Check(counter), naive.Check(counter)) << counter;
      ASSERT_EQ(window->Commit(counter), naive.Commit(counter)) << counter;
    }
  }
}

TEST(ReplayWindow, TwoThreadsDeliverEachCounterOnce) {
  auto window = std::make_unique<ReplayWindow>();
  constexpr uint64_t kCounters = 60'000;
  std::vector<std::atomic<uint32_t>> delivered(kCounters);
  std::atomic<uint32_t> ready{0};
  const auto work = [&](bool in_runs) {
    ready.fetch_add(1);
    while (ready.load() < 2) std::this_thread::yield();
    for (uint64_t counter = 0; counter < kCounters; counter += 4) {
      if (in_runs && window->CommitRun(counter, 4)) {
        for (uint64_t i = 0; i < 4; ++i) delivered[counter + i].fetch_add(1);
        continue;
      }
      for (uint64_t i = 0; i < 4; ++i) {
        if (window->Check(counter + i) && window->Commit(counter + i)) {
          delivered[counter + i].fetch_add(1);
        }
      }
    }
  };
  std::thread other(work, true);
  work(false);
  other.join();
  uint64_t twice = 0;
  for (const auto& count : delivered) twice += count.load() > 1;
  EXPECT_EQ(twice, 0u);
  EXPECT_EQ(window->Highest(), kCounters - 1);
}

}  // namespace
}  // namespace overlayd::core
