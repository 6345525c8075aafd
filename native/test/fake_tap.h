#ifndef OVERLAYD_NATIVE_TEST_FAKE_TAP_H_
#define OVERLAYD_NATIVE_TEST_FAKE_TAP_H_

#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "native/io/tap_device.h"
#include "native/test/packets.h"

namespace overlayd::test {

/// A frame with its offload header, as it crosses a TAP.
struct TapFrame {
  core::OffloadHeader offload;
  Bytes bytes;
};

/// A TAP whose kernel side is the test. Any thread.
class FakeTap final : public io::TapQueue {
 public:
  ssize_t Read(uint8_t* frame, size_t capacity, core::OffloadHeader* offload) override {
    const std::lock_guard guard(mutex_);
    if (to_read_.empty()) return read_error_ != 0 ? -read_error_ : -EAGAIN;
    const TapFrame next = std::move(to_read_.front());
    to_read_.pop_front();
    EXPECT_LE(next.bytes.size(), capacity);
    std::memset(frame - io::kTapHeadroom, 0xdd, io::kTapHeadroom);  // where the header was
    if (!next.bytes.empty()) std::memcpy(frame, next.bytes.data(), next.bytes.size());
    *offload = next.offload;
    return static_cast<ssize_t>(next.bytes.size());
  }

  ssize_t Write(const core::OffloadHeader& offload, const core::Slice* slices,
                size_t count) override {
    const std::lock_guard guard(mutex_);
    TapFrame frame{offload, {}};
    for (size_t i = 0; i < count; ++i) {
      frame.bytes.insert(frame.bytes.end(), slices[i].data, slices[i].data + slices[i].size);
    }
    if (write_error_ != 0) return -write_error_;
    if (on_write) {
      if (const int error = on_write(frame); error != 0) return -error;
    }
    written_.push_back(std::move(frame));
    return static_cast<ssize_t>(written_.back().bytes.size());
  }

  [[nodiscard]] int fd() const override { return -1; }

  /// The host sends.
  void Push(TapFrame frame) {
    const std::lock_guard guard(mutex_);
    to_read_.push_back(std::move(frame));
  }
  /// What the host received since the last call.
  std::vector<TapFrame> Take() {
    const std::lock_guard guard(mutex_);
    return std::exchange(written_, {});
  }
  void FailReads(int error) { read_error_ = error; }
  void FailWrites(int error) { write_error_ = error; }
  /// Errno that a write of the frame is answered with; 0: it is taken.
  std::function<int(const TapFrame&)> on_write;

 private:
  std::mutex mutex_;
  std::deque<TapFrame> to_read_;
  std::vector<TapFrame> written_;
  int read_error_ = 0;
  int write_error_ = 0;
};

}  // namespace overlayd::test

#endif  // OVERLAYD_NATIVE_TEST_FAKE_TAP_H_
