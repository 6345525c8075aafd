#include "native/engine/tcp_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "native/core/segment.h"
#include "native/io/tcp_socket.h"

namespace overlayd::engine {

TcpConnection::TcpConnection(int epoll, io::Fd fd, uint32_t number,
                             const core::SourceAddress& remote)
    : epoll_(epoll),
      number_(number),
      remote_(remote),
      from_(core::SourceFromNumber(core::AddressFamily::kTcp, number)),
      fd_(std::move(fd)) {}

bool TcpConnection::Watch(bool is_connecting) {
  const std::lock_guard guard(mutex_);
  is_open_ = !is_connecting;
  epoll_event event{};
  event.events = is_connecting ? EPOLLOUT : EPOLLIN;
  event.data.u64 = number_;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_.get(), &event) == 0;
}

void TcpConnection::Open() {
  const std::lock_guard guard(mutex_);
  if (has_ended_) return;
  is_open_ = true;
  WatchLocked(EPOLLIN);
}

void TcpConnection::WatchLocked(uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = number_;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_.get(), &event);
}

int TcpConnection::SendTrain(const io::OutTrain& train) {
  if (train.count > core::kMaxTrain || train.stride > core::StreamCutter::kLongest) {
    return -EMSGSIZE;
  }
  // Lengths between the datagrams, which lie in as many parts as they like.
  uint8_t lengths[core::kMaxTrain][core::kLengthPrefixBytes];
  iovec parts[3 * core::kMaxTrain + 8];
  size_t used = 0;
  size_t total = 0;
  for (size_t i = 0; i < train.part_count; ++i) total += train.parts[i].iov_len;
  size_t left = total;
  size_t part = 0;
  size_t part_at = 0;
  for (size_t i = 0; i < train.count && left != 0; ++i) {
    size_t size = std::min(train.stride, left);
    left -= size;
    core::StoreLe16(lengths[i], static_cast<uint16_t>(size));
    parts[used++] = {lengths[i], core::kLengthPrefixBytes};
    total += core::kLengthPrefixBytes;
    while (size != 0) {
      const iovec& from = train.parts[part];
      const size_t take = std::min(size, from.iov_len - part_at);
      parts[used++] = {static_cast<uint8_t*>(from.iov_base) + part_at, take};
      size -= take;
      part_at += take;
      if (part_at == from.iov_len) {
        ++part;
        part_at = 0;
      }
    }
  }

  const std::lock_guard guard(mutex_);
  if (!is_open_) return -ENOTCONN;
  if (!pending_.empty()) return -ENOBUFS;
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = used;
  const ssize_t sent = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR ? -ENOBUFS : -errno;
  if (static_cast<size_t>(sent) == total) return 0;
  pending_.reserve(total - static_cast<size_t>(sent));
  size_t skip = static_cast<size_t>(sent);
  for (size_t i = 0; i < used; ++i) {
    const size_t skipped = std::min(skip, parts[i].iov_len);
    skip -= skipped;
    const auto* from = static_cast<const uint8_t*>(parts[i].iov_base);
    pending_.insert(pending_.end(), from + skipped, from + parts[i].iov_len);
  }
  pending_at_ = 0;
  WatchLocked(EPOLLIN | EPOLLOUT);
  return 0;
}

bool TcpConnection::Flush() {
  const std::lock_guard guard(mutex_);
  while (pending_at_ < pending_.size()) {
    const ssize_t sent = ::send(fd_.get(), pending_.data() + pending_at_,
                                pending_.size() - pending_at_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    pending_at_ += static_cast<size_t>(sent);
  }
  pending_.clear();
  if (!has_ended_) WatchLocked(EPOLLIN);
  return true;
}

size_t TcpConnection::Cut(io::InTrain* trains, size_t count, size_t limit, bool* is_malformed) {
  size_t got = 0;
  while (got < count) {
    std::span<uint8_t> datagram;
    const core::StreamCutter::Cut cut = cutter_.Next(limit, &datagram);
    *is_malformed = cut == core::StreamCutter::Cut::kMalformed;
    if (cut != core::StreamCutter::Cut::kDatagram) break;
    trains[got++] = {datagram.data(), datagram.size(), datagram.size(), false, from_, 0};
  }
  return got;
}

int TcpConnection::Receive(io::InTrain* trains, size_t count, size_t limit, bool may_read) {
  bool is_malformed = false;
  if (const size_t got = Cut(trains, count, limit, &is_malformed); got != 0) {
    return static_cast<int>(got);
  }
  if (is_malformed) return -EPROTO;
  if (!may_read) return -EAGAIN;
  const std::span<uint8_t> room = cutter_.Room();
  const ssize_t read = ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
  if (read < 0) return errno == EINTR ? -EAGAIN : -errno;
  if (read == 0) return -ECONNRESET;
  cutter_.Filled(static_cast<size_t>(read));
  if (const size_t got = Cut(trains, count, limit, &is_malformed); got != 0) {
    return static_cast<int>(got);
  }
  return is_malformed ? -EPROTO : -EAGAIN;
}

bool TcpConnection::EndLocked() {
  is_open_ = false;
  if (std::exchange(has_ended_, true)) return false;
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd_.get(), nullptr);
  return true;
}

void TcpConnection::Shut() {
  const std::lock_guard guard(mutex_);
  if (EndLocked()) ::shutdown(fd_.get(), SHUT_RDWR);
}

void TcpConnection::Reset() {
  const std::lock_guard guard(mutex_);
  if (!EndLocked()) return;
  // Another thread may be about to send: the descriptor itself goes with the last who holds the connection.
  const linger now{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace overlayd::engine
