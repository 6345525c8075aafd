#ifndef OVERLAYD_NATIVE_CORE_STREAM_CUTTER_H_
#define OVERLAYD_NATIVE_CORE_STREAM_CUTTER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "native/core/bytes.h"

/*
 * Datagrams in a TCP stream (docs/protocol.md §6), each behind its length:
 *
 *   0                        2
 *   | length u16 LE, not 0 | datagram ... | length | datagram ...
 *
 * Bytes are read to Room, told by Filled, and cut by Next; what Next gave is good until the next Room. Nothing that is
 * longer than the limit is waited for: half of such a datagram would be a free buffer for whoever sends it.
 */
namespace overlayd::core {

inline constexpr size_t kLengthPrefixBytes = 2;

class StreamCutter {
 public:
  static constexpr size_t kLongest = 65507;
  static constexpr size_t kCapacity = kLengthPrefixBytes + kLongest;

  enum class Cut : uint8_t { kDatagram, kIncomplete, kMalformed };

  /// Where to read to, never empty unless a datagram waits to be cut. Moves what is left to the front.
  [[nodiscard]] std::span<uint8_t> Room() {
    if (!buffer_) buffer_.reset(new uint8_t[kCapacity]);
    if (begin_ != 0) std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    return {buffer_.get() + end_, kCapacity - end_};
  }
  void Filled(size_t bytes) { end_ += bytes; }

  /// The next datagram, if all of it is there; `limit`: the longest that may be.
  [[nodiscard]] Cut Next(size_t limit, std::span<uint8_t>* datagram) {
    if (end_ - begin_ < kLengthPrefixBytes) return Cut::kIncomplete;
    const size_t length = LoadLe16(buffer_.get() + begin_);
    if (length == 0 || length > limit || length > kLongest) return Cut::kMalformed;
    if (end_ - begin_ - kLengthPrefixBytes < length) return Cut::kIncomplete;
    *datagram = {buffer_.get() + begin_ + kLengthPrefixBytes, length};
    begin_ += kLengthPrefixBytes + length;
    return Cut::kDatagram;
  }

 private:
  std::unique_ptr<uint8_t[]> buffer_;  // made when something is read
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_STREAM_CUTTER_H_
