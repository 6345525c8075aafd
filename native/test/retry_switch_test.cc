#include "native/core/retry_switch.h"

#include <gtest/gtest.h>

namespace overlayd::core {
namespace {

TEST(RetrySwitch, PausesDoubleUpToAnHourAndStartAnewAfterSuccess) {
  RetrySwitch subject(30'000);
  uint64_t now = 5;
  EXPECT_TRUE(subject.IsOn(now));
  EXPECT_TRUE(subject.Fail(now));
  for (uint64_t pause :
       {30'000, 60'000, 120'000, 240'000, 480'000, 960'000, 1'920'000, 3'600'000, 3'600'000}) {
    EXPECT_FALSE(subject.IsOn(now + pause - 1)) << pause;
    now += pause;
    EXPECT_TRUE(subject.IsOn(now)) << pause;
    EXPECT_FALSE(subject.Fail(now)) << "told before";
  }
  now += RetrySwitch::kMaxPauseMs;
  subject.Succeed();
  EXPECT_TRUE(subject.Fail(now));
  EXPECT_TRUE(subject.IsOn(now + 30'000));
}

TEST(RetrySwitch, FailuresWhileOffAreOne) {
  RetrySwitch subject(1000);
  EXPECT_TRUE(subject.Fail(0));
  EXPECT_FALSE(subject.Fail(999));
  EXPECT_TRUE(subject.IsOn(1000));
}

}  // namespace
}  // namespace overlayd::core
