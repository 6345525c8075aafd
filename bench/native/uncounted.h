#ifndef OVERLAYD_BENCH_NATIVE_UNCOUNTED_H_
#define OVERLAYD_BENCH_NATIVE_UNCOUNTED_H_

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#endif

/*
 * Which instructions callgrind counts: those of the data plane, not those that stand in for the kernel and the cipher.
 * They start uncounted (--collect-atstart=no). Without valgrind all of this is a few no-ops.
 */
namespace overlayd::bench {

inline bool g_is_counting = false;

/// Counts from here to the end of the scope.
class Counted {
 public:
  Counted() {
    g_is_counting = true;
    CALLGRIND_TOGGLE_COLLECT;
  }
  ~Counted() {
    CALLGRIND_TOGGLE_COLLECT;
    g_is_counting = false;
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
};

/// Leaves the rest of the scope out of the count.
class Uncounted {
 public:
  Uncounted() {
    if (g_is_counting) CALLGRIND_TOGGLE_COLLECT;
  }
  ~Uncounted() {
    if (g_is_counting) CALLGRIND_TOGGLE_COLLECT;
  }
  Uncounted(const Uncounted&) = delete;
  Uncounted& operator=(const Uncounted&) = delete;
};

}  // namespace overlayd::bench

#endif  // OVERLAYD_BENCH_NATIVE_UNCOUNTED_H_
