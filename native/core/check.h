#ifndef OVERLAYD_NATIVE_CORE_CHECK_H_
#define OVERLAYD_NATIVE_CORE_CHECK_H_

#include <cstdio>
#include <cstdlib>

namespace overlayd::core {

/// Prints the broken condition to stderr and aborts. Only for our own bugs, never for input.
[[noreturn, gnu::cold]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "overlayd: check failed: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace overlayd::core

/// Stops the process when an invariant of ours is broken; stays in release builds.
#define OVL_CHECK(condition)                         \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::overlayd::core::CheckFailed(#condition, __FILE__, __LINE__))

#endif  // OVERLAYD_NATIVE_CORE_CHECK_H_
