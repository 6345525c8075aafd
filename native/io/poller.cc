#include "native/io/poller.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace overlayd::io {

int Poller::Open() {
  epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
  return epoll_.is_open() ? 0 : -errno;
}

int Poller::Add(int fd, uint32_t tag) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = tag;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

void Poller::Remove(int fd) { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

size_t Poller::Wait(std::span<uint32_t> out, int timeout_ms) const {
  std::array<epoll_event, 16> events;
  const size_t room = std::min(out.size(), events.size());
  const int got = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(room), timeout_ms);
  const size_t count = got > 0 ? static_cast<size_t>(got) : 0;
  for (size_t i = 0; i < count; ++i) out[i] = events[i].data.u32;
  return count;
}

}  // namespace overlayd::io
