#include "native/os/process.h"

#include <sys/prctl.h>

#include <cerrno>
#include <ctime>

namespace overlayd::os {

int SetDumpable(bool is_dumpable) {
  return prctl(PR_SET_DUMPABLE, is_dumpable ? 1 : 0, 0, 0, 0) == 0 ? 0 : -errno;
}

void SetThreadName(const char* name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

uint64_t BootTimeMs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace overlayd::os
