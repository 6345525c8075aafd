#include "native/engine/gather.h"

#include <gtest/gtest.h>

namespace overlayd::engine {
namespace {

/// Turns of `frames` each, `per_ms` of them in a millisecond; the pause after the last.
class Load {
 public:
  uint32_t Run(uint64_t ms, uint64_t per_ms, uint64_t frames, uint64_t frame_bytes) {
    uint32_t pause = 0;
    for (uint64_t i = 0; i < ms; ++i, ++now_ms_) {
      for (uint64_t turn = 0; turn < per_ms; ++turn) {
        frames_ += frames;
        bytes_ += frames * frame_bytes;
        pause = gather_.PauseUs(frames_, bytes_, now_ms_);
      }
    }
    return pause;
  }
  void Rest(uint64_t ms) { now_ms_ += ms; }

 private:
  Gather gather_;
  uint64_t now_ms_ = 1'000'000;
  uint64_t frames_ = 0;
  uint64_t bytes_ = 0;
};

TEST(Gather, PausesOnceSmallFramesCameDensely) {
  Load load;
  EXPECT_EQ(load.Run(1, 100, 1, 106), 0u);
  EXPECT_EQ(load.Run(2, 100, 1, 106), Gather::kPauseUs);
}

TEST(Gather, LeavesThinTrafficAlone) {
  Load load;
  EXPECT_EQ(load.Run(50, Gather::kDensePerMs - 1, 1, 106), 0u);
}

TEST(Gather, LeavesLargeFramesAlone) {
  Load load;
  EXPECT_EQ(load.Run(50, 100, 1, 1442), 0u);
}

TEST(Gather, TakesAQueueThatIsFullAtOnce) {
  Load load;
  EXPECT_EQ(load.Run(5, 4, Gather::kManyAtOnce, 106), 0u);
  EXPECT_EQ(load.Run(1, 4, Gather::kManyAtOnce - 1, 106), Gather::kPauseUs);
}

TEST(Gather, EndsWithTheLoad) {
  Load load;
  EXPECT_EQ(load.Run(5, 100, 1, 106), Gather::kPauseUs);
  load.Rest(20);  // what came in the last of those milliseconds is no rate over all that time
  EXPECT_EQ(load.Run(1, 1, 1, 106), 0u);
}

}  // namespace
}  // namespace overlayd::engine
