#include "native/engine/event_ring.h"

#include <gtest/gtest.h>

#include <thread>

namespace overlayd::engine {
namespace {

using Ring = EventRing::Ring;

Event Of(EventKind kind, uint32_t session = 0, size_t bytes = 0) {
  Event event{.kind = kind};
  event.session = session;
  event.bytes.resize(bytes);
  return event;
}

TEST(EventRing, WakesOncePerBurst) {
  int wakes = 0;
  EventRing ring([&] { ++wakes; });
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(ring.Push(Ring::kAuthenticated, Of(EventKind::kControl)));
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(ring.Drain().size(), 5u);
  EXPECT_TRUE(ring.Drain().empty());
  EXPECT_EQ(wakes, 1);
  EXPECT_TRUE(ring.Push(Ring::kInit, Of(EventKind::kHandshake)));
  EXPECT_EQ(wakes, 2);
}

TEST(EventRing, AuthenticatedComesFirstAndKeepsItsOrder) {
  EventRing ring([] {});
  ring.Push(Ring::kInit, Of(EventKind::kHandshake, 3));
  ring.Push(Ring::kHandshake, Of(EventKind::kHandshake, 2));
  ring.Push(Ring::kAuthenticated, Of(EventKind::kControl, 1));
  ring.Push(Ring::kAuthenticated, Of(EventKind::kPathDead, 0));
  const auto events = ring.Drain();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].session, 1u);
  EXPECT_EQ(events[1].kind, EventKind::kPathDead);
  EXPECT_EQ(events[2].session, 2u);
  EXPECT_EQ(events[3].session, 3u);
}

TEST(EventRing, EachRingIsBoundedAlone) {
  EventRing ring([] {});
  for (size_t i = 0; i < EventRing::kMaxInits; ++i) {
    ASSERT_TRUE(ring.Push(Ring::kInit, Of(EventKind::kHandshake)));
  }
  EXPECT_FALSE(ring.Push(Ring::kInit, Of(EventKind::kHandshake)));
  for (size_t i = 0; i < EventRing::kMaxHandshakes; ++i) {
    ASSERT_TRUE(ring.Push(Ring::kHandshake, Of(EventKind::kHandshake)));
  }
  EXPECT_FALSE(ring.Push(Ring::kHandshake, Of(EventKind::kHandshake)));
  EXPECT_TRUE(ring.Push(Ring::kAuthenticated, Of(EventKind::kPathAlive)));
  const auto events = ring.Drain();
  // INITs lost are not told: their senders repeat them.
  EXPECT_EQ(events.back().kind, EventKind::kOverflow);
  EXPECT_EQ(events.back().value, 1u);
}

TEST(EventRing, OneSessionCannotFillItForOthers) {
  for (const EventKind kind :
       {EventKind::kControl, EventKind::kProbeAnswered, EventKind::kObserved}) {
    EventRing ring([] {});
    size_t taken = 0;
    for (size_t i = 0; i < EventRing::kMaxAuthenticated + 10; ++i) {
      taken += ring.Push(Ring::kAuthenticated, Of(kind, 1)) ? 1 : 0;
    }
    EXPECT_EQ(taken, EventRing::kMaxPerSession);
    EXPECT_TRUE(ring.Push(Ring::kAuthenticated, Of(kind, 2)));
  }
}

TEST(EventRing, ControlBytesAreBounded) {
  EventRing ring([] {});
  size_t taken = 0;
  for (uint32_t session = 1; session <= 100; ++session) {
    for (int i = 0; i < 10; ++i) {
      if (ring.Push(Ring::kAuthenticated, Of(EventKind::kControl, session, 60000))) ++taken;
    }
  }
  EXPECT_EQ(taken, EventRing::kMaxControlBytes / 60000);
  ring.Drain();
  EXPECT_TRUE(ring.Push(Ring::kAuthenticated, Of(EventKind::kControl, 1, 60000)));
}

TEST(EventRing, NothingIsLostBetweenThreads) {
  EventRing ring([] {});
  constexpr uint32_t kPerThread = 3000;
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (uint32_t i = 0; i < kPerThread; ++i) {
        Event event = Of(EventKind::kPathAlive);
        event.path = t;
        event.value = i;
        while (!ring.Push(Ring::kAuthenticated, event)) std::this_thread::yield();
      }
    });
  }
  uint32_t next[2] = {};
  while (next[0] + next[1] < 2 * kPerThread) {
    for (const Event& event : ring.Drain()) {
      if (event.kind != EventKind::kPathAlive) continue;
      ASSERT_EQ(event.value, next[event.path]++);
    }
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace overlayd::engine
