#ifndef OVERLAYD_NATIVE_ENGINE_TCP_CONNECTION_H_
#define OVERLAYD_NATIVE_ENGINE_TCP_CONNECTION_H_

#include <cstdint>
#include <mutex>
#include <vector>

#include "native/core/stream_cutter.h"
#include "native/io/fd.h"
#include "native/io/udp_socket.h"

namespace overlayd::engine {

/*
 * One TCP connection that carries datagrams. Any thread sends; the hub's thread reads, and writes on what was begun.
 *
 * The queue is the kernel's, whose unsent part is bounded. A train that found room for a part of itself is kept whole
 * here and goes on when there is room again; until then, and while the kernel has none, others are dropped.
 */
class TcpConnection {
 public:
  /// `epoll` watches the descriptor from the moment of Watch on, with `number` as its data.
  TcpConnection(int epoll, io::Fd fd, uint32_t number, const core::SourceAddress& remote);

  bool Watch(bool is_connecting);
  /// The hub's thread: connect is through. Datagrams may be sent from now on.
  void Open();

  /// 0: sent or waiting. -ENOBUFS: no room. -ENOTCONN: closed, or not open yet. Any thread.
  int SendTrain(const io::OutTrain& train);
  /// Writes on. False: the connection is broken. The hub's thread.
  bool Flush();
  /// Datagrams of at most `limit` bytes, those that were read before first; one read if there are none and `may_read`.
  /// They lie in this connection until the next call. Number, -EAGAIN: none whole yet, -EPROTO: nonsense, or -errno when
  /// it ended. The hub's thread.
  int Receive(io::InTrain* trains, size_t count, size_t limit, bool may_read);

  /// Nothing is sent or read any more; what the kernel took still leaves. Any thread.
  void Shut();
  /// As Shut, with RST.
  void Reset();

  [[nodiscard]] uint32_t number() const { return number_; }
  [[nodiscard]] const core::SourceAddress& remote() const { return remote_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  void WatchLocked(uint32_t events);
  bool EndLocked();
  size_t Cut(io::InTrain* trains, size_t count, size_t limit, bool* is_malformed);

  const int epoll_;
  const uint32_t number_;
  const core::SourceAddress remote_;
  const core::SourceAddress from_;
  io::Fd fd_;
  core::StreamCutter cutter_;  // the hub's thread only

  std::mutex mutex_;  // for what follows
  std::vector<uint8_t> pending_;
  size_t pending_at_ = 0;
  bool is_open_ = false;
  bool has_ended_ = false;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_TCP_CONNECTION_H_
