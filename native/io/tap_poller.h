#ifndef OVERLAYD_NATIVE_IO_TAP_POLLER_H_
#define OVERLAYD_NATIVE_IO_TAP_POLLER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "native/io/fd.h"
#include "native/io/tap_device.h"

namespace overlayd::io {

/// Says which of many TAPs have frames. One thread waits; another may add and remove meanwhile.
class TapPoller {
 public:
  /// 0, or -errno.
  int Open();
  /// For poll: readable while any of them is.
  [[nodiscard]] int fd() const { return epoll_.get(); }

  /// `tag` is what Ready calls it. 0, or -errno.
  int Add(const TapQueue& tap, uint32_t tag);
  /// Before `tap` is closed. Nothing when it was removed already.
  void Remove(const TapQueue& tap);
  /// Tags of those that have frames or are gone, without waiting; in turn when there are more than `out` holds. One that
  /// was removed meanwhile may be among them.
  size_t Ready(std::span<uint32_t> out) const;

 private:
  Fd epoll_;
};

}  // namespace overlayd::io

#endif  // OVERLAYD_NATIVE_IO_TAP_POLLER_H_
