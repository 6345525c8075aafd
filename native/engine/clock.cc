#include <ctime>

#include "native/engine/plane.h"

namespace overlayd::engine {

uint64_t BootTimeUs() {
  timespec now;
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace overlayd::engine
