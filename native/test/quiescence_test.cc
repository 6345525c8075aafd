#include "native/engine/quiescence.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace overlayd::engine {
namespace {

TEST(Quiescence, DoesNotWaitForWorkersThatAreOutside) {
  Quiescence quiescence;
  quiescence.Synchronize();
  { const Quiescence::Guard guard(quiescence, 3); }
  quiescence.Synchronize();
}

TEST(Quiescence, WaitsForAWorkerInside) {
  Quiescence quiescence;
  quiescence.Enter(0);
  std::atomic<bool> has_left = false;
  std::atomic<bool> is_waiting = false;
  std::thread control([&] {
    is_waiting = true;
    quiescence.Synchronize();
    EXPECT_TRUE(has_left);
  });
  while (!is_waiting) std::this_thread::yield();
  has_left = true;
  quiescence.Exit(0);
  control.join();
}

TEST(Quiescence, ReenteringIsEnough) {
  Quiescence quiescence;
  std::atomic<bool> is_over = false;
  std::thread worker([&] {
    while (!is_over) {
      quiescence.Enter(0);
      quiescence.Exit(0);
    }
  });
  for (int i = 0; i < 200; ++i) quiescence.Synchronize();
  is_over = true;
  worker.join();
}

// What a worker read inside is not freed under it: AddressSanitizer and ThreadSanitizer judge.
TEST(Quiescence, NothingIsFreedUnderAWorker) {
  Quiescence quiescence;
  std::atomic<const std::vector<int>*> published{nullptr};
  auto current = std::make_unique<const std::vector<int>>(16, 0);
  published = current.get();
  std::atomic<bool> is_over = false;
  std::vector<std::thread> workers;
  for (size_t worker = 0; worker < 2; ++worker) {
    workers.emplace_back([&, worker] {
      while (!is_over) {
        const Quiescence::Guard guard(quiescence, worker);
        const std::vector<int>& seen = *published.load(std::memory_order_acquire);
        for (const int value : seen) EXPECT_EQ(value, seen[0]);
      }
    });
  }
  for (int i = 1; i < 300; ++i) {
    auto next = std::make_unique<const std::vector<int>>(16, i);
    published = next.get();
    quiescence.Synchronize();
    current = std::move(next);
  }
  is_over = true;
  for (auto& worker : workers) worker.join();
}

}  // namespace
}  // namespace overlayd::engine
