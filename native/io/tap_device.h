#ifndef OVERLAYD_NATIVE_IO_TAP_DEVICE_H_
#define OVERLAYD_NATIVE_IO_TAP_DEVICE_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "native/core/joiner.h"
#include "native/io/fd.h"

/*
 * A TAP with vnet_hdr: frames come and go with their offload header (linux/virtio_net.h), so that the kernel hands over
 * super-frames and unfinished checksums and takes the same back.
 */
namespace overlayd::io {

/// One queue of a TAP; a test double stands in for it in native/test.
class TapQueue {
 public:
  virtual ~TapQueue() = default;
  /// Reads one frame to `frame`; its offload header goes to `offload`. Bytes, or -errno (-EAGAIN: none waits).
  virtual ssize_t Read(uint8_t* frame, size_t capacity, core::OffloadHeader* offload) = 0;
  /// Writes one frame made of slices. Bytes, or -errno.
  virtual ssize_t Write(const core::OffloadHeader& offload, const core::Slice* slices,
                        size_t count) = 0;
  /// For poll; -1 when there is none.
  [[nodiscard]] virtual int fd() const = 0;
};

/// Room in front of `frame` that Read uses for the offload header.
inline constexpr size_t kTapHeadroom = 16;

struct TapOffloads {
  bool vnet_hdr = true;
  bool tso = true;
  bool uso = true;
};

/// Opens (creates or adopts) TAP `name` with `queues` queues. The device lives as long as its queues are open.
/// `offloads` says what may be used and is told what is. On failure returns -errno, says in `step` which call failed,
/// and leaves nothing open.
int OpenTap(const std::string& name, size_t queues, std::vector<std::unique_ptr<TapQueue>>* out,
            TapOffloads* offloads, const char** step);

/// Puts another TAP `name` under queues whose device was deleted. They keep their descriptors, so who reads and writes
/// them need not be told; a read already under way ends with the old one's error. On failure as OpenTap, and each queue is
/// as it was.
int ReplaceTap(const std::string& name, const std::vector<TapQueue*>& queues, TapOffloads* offloads,
               const char** step);

}  // namespace overlayd::io

#endif  // OVERLAYD_NATIVE_IO_TAP_DEVICE_H_
