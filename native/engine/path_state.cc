#include "native/engine/path_state.h"

#include <sys/mman.h>

#include <type_traits>

#include "native/core/check.h"

namespace overlayd::engine {

// Renewed in place without being destroyed first.
static_assert(std::is_trivially_destructible_v<PathState>);

PathStates::PathStates() {
  void* mapping = ::mmap(nullptr, kMaxPaths * sizeof(PathState), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  OVL_CHECK(mapping != MAP_FAILED);
  states_ = static_cast<PathState*>(mapping);
}

PathStates::~PathStates() { ::munmap(states_, kMaxPaths * sizeof(PathState)); }

}  // namespace overlayd::engine
