#include "native/core/token_bucket.h"

#include <gtest/gtest.h>

#include <random>

namespace overlayd::core {
namespace {

TEST(TokenBucket, GivesTheBurstThenTheRate) {
  TokenBucket bucket({5, 200});
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(bucket.TryTake(1'000));
  EXPECT_FALSE(bucket.TryTake(1'000));
  EXPECT_FALSE(bucket.TryTake(5'999));
  EXPECT_TRUE(bucket.TryTake(6'000));
  EXPECT_FALSE(bucket.TryTake(6'000));
  EXPECT_EQ(bucket.Tokens(1'000'000), 5u);
  EXPECT_TRUE(bucket.IsFull(1'000'000));
}

TEST(TokenBucket, RefillsNothingWhenTimeGoesBack) {
  TokenBucket bucket({1, 1'000});
  EXPECT_TRUE(bucket.TryTake(10'000));
  EXPECT_FALSE(bucket.TryTake(0));
  EXPECT_FALSE(bucket.TryTake(10'999));
  EXPECT_TRUE(bucket.TryTake(11'000));
}

TEST(TokenBucket, ReturnStopsAtTheBurst) {
  TokenBucket bucket({2, 0});
  EXPECT_TRUE(bucket.TryTake(0));
  EXPECT_TRUE(bucket.IsHalfFull(0));
  bucket.Return();
  bucket.Return();
  EXPECT_EQ(bucket.Tokens(0), 2u);
  EXPECT_TRUE(bucket.TryTake(UINT64_MAX));
  EXPECT_TRUE(bucket.TryTake(UINT64_MAX));
  EXPECT_FALSE(bucket.TryTake(UINT64_MAX));
}

TEST(TokenBucket, NeverGivesMoreThanBurstPlusRate) {
  std::mt19937_64 rng(7);
  for (int round = 0; round < 50; ++round) {
    const TokenRate rate{1 + static_cast<uint32_t>(rng() % 100),
                         static_cast<uint32_t>(rng() % 100'000)};
    TokenBucket bucket(rate);
    uint64_t now_ms = rng() % 1'000;
    const uint64_t start_ms = now_ms;
    uint64_t taken = 0;
    for (int step = 0; step < 2'000; ++step) {
      now_ms += rng() % 5;
      taken += bucket.TryTake(now_ms);
      const uint64_t most = rate.burst + (now_ms - start_ms) * rate.milli_per_second / 1'000'000;
      ASSERT_LE(taken, most);
    }
  }
}

}  // namespace
}  // namespace overlayd::core
