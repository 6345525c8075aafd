#ifndef OVERLAYD_NATIVE_IO_POLLER_H_
#define OVERLAYD_NATIVE_IO_POLLER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "native/io/fd.h"

namespace overlayd::io {

/// Says which of many descriptors have something to read, at a cost that does not grow with their number (epoll, level
/// triggered). One thread waits; another may add and remove meanwhile.
class Poller {
 public:
  /// 0, or -errno.
  int Open();
  /// For another poller: readable while any of them is.
  [[nodiscard]] int fd() const { return epoll_.get(); }

  /// `tag` is what Wait calls it. 0, or -errno.
  int Add(int fd, uint32_t tag);
  /// Before `fd` is closed. Nothing when it was removed already.
  void Remove(int fd);
  /// Tags of those that can be read or are gone; in turn when there are more than `out` holds. One that was removed
  /// meanwhile may be among them. Waits so long for the first: 0 not at all, -1 for ever.
  size_t Wait(std::span<uint32_t> out, int timeout_ms) const;

 private:
  Fd epoll_;
};

/// A descriptor that is waited for at times. Belongs to the thread that waits.
class Watched {
 public:
  Watched(Poller& poller, int fd, uint32_t tag) : poller_(poller), fd_(fd), tag_(tag) {}

  /// What the kernel refuses for want of memory is tried again with the next call.
  void Set(bool is_wanted) {
    if (is_wanted == is_on_) return;
    if (is_wanted) {
      is_on_ = poller_.Add(fd_, tag_) == 0;
    } else {
      poller_.Remove(fd_);
      is_on_ = false;
    }
  }

 private:
  Poller& poller_;
  const int fd_;
  const uint32_t tag_;
  bool is_on_ = false;
};

}  // namespace overlayd::io

#endif  // OVERLAYD_NATIVE_IO_POLLER_H_
