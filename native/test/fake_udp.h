#ifndef OVERLAYD_NATIVE_TEST_FAKE_UDP_H_
#define OVERLAYD_NATIVE_TEST_FAKE_UDP_H_

#include <sys/eventfd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "native/io/udp_socket.h"
#include "native/test/packets.h"

namespace overlayd::test {

class FakeUdp;

/// A message as one sendmsg gave it: one datagram, or a train.
struct Message {
  core::SourceAddress from;
  core::SourceAddress to;
  Bytes bytes;
  size_t stride = 0;
  size_t count = 1;
  uint8_t ecn = 0;
};

/// The underlay: delivers at once, and remembers all that was sent. Any thread.
class FakeNet {
 public:
  void Attach(const core::SourceAddress& address, FakeUdp* socket) {
    sockets_[{address.ip, address.port}] = socket;
  }
  void Deliver(Message message);

  /// All messages since the last call, in order.
  std::vector<Message> Take() {
    const std::lock_guard guard(mutex_);
    return std::exchange(log_, {});
  }
  /// May change a message, or swallow it (false).
  std::function<bool(Message&)> filter;
  /// Told when a message has come where it was sent. Any thread.
  std::function<void(const core::SourceAddress& from)> on_delivered;
  /// Off: trains arrive as single datagrams, as without UDP_GRO.
  bool coalesces = true;
  bool keeps_log = true;

 private:
  std::mutex mutex_;
  std::map<std::pair<std::array<uint8_t, 16>, uint16_t>, FakeUdp*> sockets_;
  std::vector<Message> log_;
};

class FakeUdp final : public io::UdpSocket {
 public:
  FakeUdp(FakeNet& net, const core::SourceAddress& address)
      : net_(net), address_(address), fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    net.Attach(address, this);
  }

  /// What the next Send returns instead of sending all: a number of trains, or -errno. Asked each
  /// time.
  std::function<int(const io::OutTrain*, size_t)> on_send;
  std::function<int(size_t)> on_send_one;

  int Send(const io::OutTrain* trains, size_t count) override {
    EXPECT_GE(count, 1u);
    EXPECT_LE(count, kMaxBatch);
    int will_send = static_cast<int>(count);
    if (on_send) will_send = on_send(trains, count);
    for (int i = 0; i < will_send; ++i) {
      const io::OutTrain& train = trains[i];
      Message message{address_, train.to, {}, train.stride, train.count, train.ecn};
      for (size_t part = 0; part < train.part_count; ++part) {
        const auto* from = static_cast<const uint8_t*>(train.parts[part].iov_base);
        message.bytes.insert(message.bytes.end(), from, from + train.parts[part].iov_len);
      }
      // What UDP_SEGMENT demands.
      EXPECT_TRUE(train.count == 1 || has_gso());
      EXPECT_LE(train.count, 64u);
      EXPECT_LE(message.bytes.size(), 65507u);
      EXPECT_EQ((message.bytes.size() + train.stride - 1) / train.stride, train.count);
      net_.Deliver(std::move(message));
    }
    return will_send;
  }

  int SendTrain(const io::OutTrain& train) override {
    const int sent = Send(&train, 1);
    return sent < 0 ? sent : 0;
  }

  int SendOne(const uint8_t* data, size_t size, const core::SourceAddress& to) override {
    if (on_send_one) {
      if (const int error = on_send_one(size); error != 0) return error;
    }
    net_.Deliver({address_, to, Bytes(data, data + size), size, 1, 0});
    return 0;
  }

  int Receive(io::InTrain* trains, size_t count) override {
    const std::lock_guard guard(mutex_);
    if (waiting_.empty()) return -EAGAIN;
    size_t got = 0;
    for (; got < count && !waiting_.empty(); ++got) {
      const Message message = std::move(waiting_.front());
      waiting_.pop_front();
      io::InTrain& train = trains[got];
      train.is_truncated = message.bytes.size() > train.size;
      train.size = std::min(train.size, message.bytes.size());
      std::copy_n(message.bytes.begin(), train.size, train.data);
      train.stride = message.stride;
      train.from = message.from;
      train.ecn = message.ecn;
    }
    return static_cast<int>(got);
  }

  void Enqueue(Message message) {
    const std::lock_guard guard(mutex_);
    waiting_.push_back(std::move(message));
  }
  [[nodiscard]] bool IsIdle() {
    const std::lock_guard guard(mutex_);
    return waiting_.empty();
  }

  [[nodiscard]] int fd() const override { return fd_.get(); }  // always writable
  [[nodiscard]] bool IsForIpv6() const override { return !core::IsIpv4(address_); }
  uint32_t TakeOverflows() override { return std::exchange(overflows, 0); }
  [[nodiscard]] bool has_gso() const override { return has_gso_; }
  void DisableGso() { has_gso_ = false; }
  [[nodiscard]] bool has_gro() const override { return true; }
  [[nodiscard]] const core::SourceAddress& address() const { return address_; }

  uint32_t overflows = 0;

 private:
  FakeNet& net_;
  core::SourceAddress address_;
  io::Fd fd_;
  std::mutex mutex_;
  std::deque<Message> waiting_;
  bool has_gso_ = true;
};

inline void FakeNet::Deliver(Message message) {
  FakeUdp* to = nullptr;
  std::vector<Message> pieces;
  {
    const std::lock_guard guard(mutex_);
    if (keeps_log) log_.push_back(message);
    if (filter && !filter(message)) return;
    const auto found = sockets_.find({message.to.ip, message.to.port});
    if (found == sockets_.end()) return;
    to = found->second;
  }
  const core::SourceAddress sender = message.from;
  if (coalesces || message.count == 1) {
    to->Enqueue(std::move(message));
    if (on_delivered) on_delivered(sender);
    return;
  }
  for (size_t at = 0; at < message.bytes.size(); at += message.stride) {
    const size_t size = std::min(message.stride, message.bytes.size() - at);
    const auto from = message.bytes.begin() + static_cast<ptrdiff_t>(at);
    to->Enqueue({message.from, message.to, Bytes(from, from + static_cast<ptrdiff_t>(size)), size,
                 1, message.ecn});
  }
  if (on_delivered) on_delivered(sender);
}

/// 192.0.2.`host`.
inline core::SourceAddress Underlay(uint8_t host, uint16_t port = 6783) {
  const uint8_t ip[4] = {192, 0, 2, host};
  return core::SourceFromIpv4(ip, port);
}

}  // namespace overlayd::test

#endif  // OVERLAYD_NATIVE_TEST_FAKE_UDP_H_
