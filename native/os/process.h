#ifndef OVERLAYD_NATIVE_OS_PROCESS_H_
#define OVERLAYD_NATIVE_OS_PROCESS_H_

#include <cstdint>

namespace overlayd::os {

/// False: no core dumps, no ptrace and no reading of /proc/<pid>/mem by the same user, as they
/// would show keys. Returns 0 or -errno.
[[nodiscard]] int SetDumpable(bool is_dumpable);

/// Name of the calling thread, as `top -H` and gdb show it; cut after 15 bytes.
void SetThreadName(const char* name);

/// CLOCK_BOOTTIME in ms: goes on during suspend, so that keys age then too.
[[nodiscard]] uint64_t BootTimeMs();

}  // namespace overlayd::os

#endif  // OVERLAYD_NATIVE_OS_PROCESS_H_
