#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>

#include "native/test/packets.h"

namespace overlayd::test {
namespace {

/// What it takes to see a failure again.
class PrintSeed final : public testing::Environment {
 public:
  void TearDown() override {
    if (!testing::UnitTest::GetInstance()->Failed()) return;
    std::printf("random choices: run with OVERLAYD_TEST_SEED=%" PRIu64 "\n", TestSeed());
  }
};

[[maybe_unused]] testing::Environment* const kPrintSeed =
    testing::AddGlobalTestEnvironment(new PrintSeed);

}  // namespace
}  // namespace overlayd::test
