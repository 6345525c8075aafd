#include "native/core/size_watch.h"

#include <gtest/gtest.h>

namespace overlayd::core {
namespace {

constexpr uint64_t kMs = 1000;
constexpr uint32_t kSize = 1444;

/// A path with a housekeeper: time passes in steps of 10 ms, small PINGs go along every 200 ms while asking.
class SizeWatchTest : public testing::Test {
 protected:
  void Run(uint64_t for_ms) {
    for (const uint64_t end_us = now_us_ + for_ms * kMs; now_us_ < end_us; now_us_ += 10 * kMs) {
      if (answers_small && watch_.IsAsking() && now_us_ >= small_us_ + 200 * kMs) {
        small_us_ = now_us_;
        watch_.OnSmallAnswered(now_us_, now_us_);
      }
      const auto result = watch_.Tick(now_us_, {bytes, sends_large, patience_us, loss_permille});
      if (result.ask) {
        ++asked;
        watch_.OnAsked(now_us_);
        if (asked > answered_from && asked <= answered_to) watch_.OnAnswered(bytes);
      }
      if (result.is_lost) {
        ++lost;
        lost_at_us = now_us_;
        bytes = SizeWatch::kFloorBytes;
      }
    }
  }

  SizeWatch watch_;
  uint64_t now_us_ = 5'000'000;
  uint64_t small_us_ = 0;
  uint32_t bytes = kSize;
  uint64_t patience_us = 20 * kMs;
  uint32_t loss_permille = 0;
  bool sends_large = true;
  bool answers_small = true;
  int asked = 0;
  int answered_from = 0;
  int answered_to = 1'000'000;
  int lost = 0;
  uint64_t lost_at_us = 0;
};

TEST_F(SizeWatchTest, AsksNothingWhileNothingLargeLeaves) {
  sends_large = false;
  Run(60'000);
  EXPECT_EQ(asked, 0);
}

TEST_F(SizeWatchTest, AsksNothingAtTheFloor) {
  bytes = SizeWatch::kFloorBytes;
  Run(60'000);
  EXPECT_EQ(asked, 0);
}

TEST_F(SizeWatchTest, AsksEvery750MsWhileLargeOnesLeave) {
  Run(7'500);
  EXPECT_EQ(asked, 10);
  sends_large = false;
  Run(60'000);
  EXPECT_LE(asked, 11) << "one for what left since";
  EXPECT_EQ(lost, 0);
}

TEST_F(SizeWatchTest, FindsABlackHoleWithinASecondOfItsBeginning) {
  Run(7'600);
  answered_to = asked;
  const uint64_t hole_us = now_us_;
  Run(2'000);
  EXPECT_EQ(lost, 1);
  EXPECT_LE(lost_at_us - hole_us, 1'100 * kMs);
}

TEST_F(SizeWatchTest, SilentPathIsNoBlackHole) {
  answered_to = 0;
  answers_small = false;
  Run(5'000);
  EXPECT_EQ(lost, 0);
  EXPECT_LE(asked, 10) << "no hurry when nothing is answered";
}

TEST_F(SizeWatchTest, WhatTwoRepetitionsGetThroughIsNoBlackHole) {
  answered_from = 2;
  Run(5'000);
  EXPECT_EQ(lost, 0);
}

TEST_F(SizeWatchTest, LossyPathIsAskedMoreOften) {
  answered_from = 7;
  loss_permille = 250;  // eight are needed
  Run(5'000);
  EXPECT_EQ(lost, 0);
}

TEST_F(SizeWatchTest, AnswersToSmallOnesOfBeforeProveNothing) {
  answers_small = false;
  Run(100);
  watch_.Tick(now_us_, {kSize, true, patience_us, 0});
  answered_to = asked;
  Run(1'000);
  watch_.OnSmallAnswered(now_us_, 5'000'000);
  Run(1'000);
  EXPECT_EQ(lost, 0);
}

TEST_F(SizeWatchTest, SmallAnswersThatComeJustBeforeTheLargeOnesAreWaitedFor) {
  answers_small = false;
  answered_to = 0;
  Run(400);
  watch_.OnSmallAnswered(now_us_, now_us_);
  EXPECT_FALSE(watch_.Tick(now_us_ + kMs, {kSize, true, patience_us, 0}).is_lost);
  watch_.OnAnswered(kSize);
  Run(400);
  EXPECT_EQ(lost, 0);
}

TEST_F(SizeWatchTest, AnotherSizeIsAnotherQuestion) {
  answered_to = 0;
  Run(200);
  ASSERT_TRUE(watch_.IsAsking());
  watch_.Tick(now_us_, {kSize - 100, false, patience_us, 0});
  EXPECT_FALSE(watch_.IsAsking());
}

TEST_F(SizeWatchTest, AnswersBelowTheSizeDoNotCount) {
  answered_to = 0;
  Run(200);
  watch_.OnAnswered(kSize - 1);
  EXPECT_TRUE(watch_.IsAsking());
  watch_.OnAnswered(kSize);
  EXPECT_FALSE(watch_.IsAsking());
}

}  // namespace
}  // namespace overlayd::core
