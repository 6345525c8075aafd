#ifndef OVERLAYD_BENCH_NATIVE_DEVICES_H_
#define OVERLAYD_BENCH_NATIVE_DEVICES_H_

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "bench/native/uncounted.h"
#include "native/io/tap_device.h"
#include "native/io/udp_socket.h"

/*
 * The two devices of a data plane as arrays in memory. They copy what a kernel copies, count the calls (each would be
 * a system call), and do nothing else. One thread.
 */
namespace overlayd::bench {

class MemoryTap final : public io::TapQueue {
 public:
  /// The host will send this frame `times` times.
  void Load(const std::vector<uint8_t>& frame, const core::OffloadHeader& offload, size_t times) {
    frame_ = frame;
    offload_ = offload;
    left_ = times;
  }

  ssize_t Read(uint8_t* frame, size_t, core::OffloadHeader* offload) override {
    const Uncounted kernel;
    ++calls;
    if (left_ == 0) return -EAGAIN;
    --left_;
    std::memcpy(frame, frame_.data(), frame_.size());
    *offload = offload_;
    return static_cast<ssize_t>(frame_.size());
  }

  ssize_t Write(const core::OffloadHeader&, const core::Slice* slices, size_t count) override {
    const Uncounted kernel;
    ++calls;
    size_t size = 0;
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(sink_.data() + size, slices[i].data, slices[i].size);
      size += slices[i].size;
    }
    written_bytes += size;
    return static_cast<ssize_t>(size);
  }

  [[nodiscard]] int fd() const override { return -1; }
  [[nodiscard]] bool IsEmpty() const { return left_ == 0; }

  size_t calls = 0;
  size_t written_bytes = 0;

 private:
  std::vector<uint8_t> frame_;
  core::OffloadHeader offload_;
  size_t left_ = 0;
  std::vector<uint8_t> sink_ = std::vector<uint8_t>(1 << 17);
};

/// Keeps what is sent, and can give it back as what is received.
class MemoryUdp final : public io::UdpSocket {
 public:
  struct Stored {
    size_t offset;
    size_t size;
    size_t stride;
  };
  struct Store {
    std::vector<uint8_t> bytes;
    std::vector<Stored> messages;
  };

  MemoryUdp() { sent.bytes.reserve(1 << 20); }

  int Send(const io::OutTrain* trains, size_t count) override {
    const Uncounted kernel;
    ++calls;
    for (size_t i = 0; i < count; ++i) {
      const io::OutTrain& train = trains[i];
      const size_t offset = sent.bytes.size();
      for (size_t part = 0; part < train.part_count; ++part) {
        const auto* from = static_cast<const uint8_t*>(train.parts[part].iov_base);
        sent.bytes.insert(sent.bytes.end(), from, from + train.parts[part].iov_len);
      }
      sent.messages.push_back({offset, sent.bytes.size() - offset, train.stride});
    }
    return static_cast<int>(count);
  }

  int SendTrain(const io::OutTrain& train) override { return Send(&train, 1) < 0 ? -EAGAIN : 0; }

  int SendOne(const uint8_t*, size_t, const core::SourceAddress&) override {
    ++calls;
    return 0;
  }

  int Receive(io::InTrain* trains, size_t count) override {
    const Uncounted kernel;
    ++calls;
    if (IsDrained()) return -EAGAIN;
    size_t got = 0;
    for (; got < count && !IsDrained(); ++got) {
      const Stored& message = waiting.messages[next_++];
      io::InTrain& train = trains[got];
      std::memcpy(train.data, waiting.bytes.data() + message.offset, message.size);
      train.size = message.size;
      train.stride = message.stride;
      train.is_truncated = false;
      train.from = from;
    }
    return static_cast<int>(got);
  }

  /// Gives `store` to the next Receives; `coalesces` false: one datagram each, as without UDP_GRO.
  void Load(Store store, bool coalesces) {
    waiting = std::move(store);
    next_ = 0;
    if (coalesces) return;
    std::vector<Stored> singles;
    for (const Stored& message : waiting.messages) {
      for (size_t at = 0; at < message.size; at += message.stride) {
        const size_t size = std::min(message.stride, message.size - at);
        singles.push_back({message.offset + at, size, size});
      }
    }
    waiting.messages = std::move(singles);
  }

  [[nodiscard]] bool IsDrained() const { return next_ == waiting.messages.size(); }
  [[nodiscard]] int fd() const override { return -1; }
  [[nodiscard]] bool IsForIpv6() const override { return false; }
  uint32_t TakeOverflows() override { return 0; }
  [[nodiscard]] bool has_gso() const override { return has_gso_; }
  [[nodiscard]] bool has_gro() const override { return true; }

  size_t calls = 0;
  Store sent;
  Store waiting;
  core::SourceAddress from;

 private:
  size_t next_ = 0;
  bool has_gso_ = true;
};

}  // namespace overlayd::bench

#endif  // OVERLAYD_BENCH_NATIVE_DEVICES_H_
