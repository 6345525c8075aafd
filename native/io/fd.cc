#include "native/io/fd.h"

#include <fcntl.h>

#include <cerrno>
#include <vector>

namespace overlayd::io {

int ReplaceFiles(std::span<const int> from, std::span<const int> under) {
  std::vector<Fd> before;
  for (const int descriptor : under) {
    before.emplace_back(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    if (!before.back().is_open()) return -errno;
  }
  for (size_t i = 0; i < under.size(); ++i) {
    if (::dup3(from[i], under[i], O_CLOEXEC) >= 0) continue;
    const int error = -errno;
    // Each was replaced a moment ago: the way back is as open as the way there.
    while (i-- > 0) ::dup3(before[i].get(), under[i], O_CLOEXEC);
    return error;
  }
  return 0;
}

}  // namespace overlayd::io
