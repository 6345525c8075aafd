#include "native/engine/tcp_hub.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <utility>

#include "native/core/handshake_layout.h"
#include "native/io/tcp_socket.h"

namespace overlayd::engine {
namespace {

using core::Counter;
using core::DropReason;

constexpr uint64_t kStopData = uint64_t{1} << 32;
constexpr uint64_t kWakeData = kStopData + 1;
constexpr uint64_t kListenerData = kStopData + 16;
constexpr int kSweepEveryMs = 500;
constexpr size_t kEventsAtOnce = 64;
constexpr size_t kReadsAtOnce = 4;
constexpr uint64_t kAcceptAgainMs = 100;

}  // namespace

/// One connection as the receive path sees it.
class TcpHub::Reader final : public io::UdpSocket {
 public:
  Reader(TcpConnection& connection, size_t limit) : connection_(connection), limit_(limit) {}

  int Receive(io::InTrain* trains, size_t count) override {
    // Others wait too: what the kernel has left makes the descriptor readable again.
    const bool may_read = calls_++ < kReadsAtOnce;
    result_ = connection_.Receive(trains, count, limit_, may_read);
    return result_;
  }
  [[nodiscard]] const core::SourceAddress* Remote() const override { return &connection_.remote(); }
  /// Perhaps more was read than was taken.
  [[nodiscard]] bool HasMore() const { return result_ > 0; }
  [[nodiscard]] bool HasFailed() const { return result_ < 0 && result_ != -EAGAIN; }
  [[nodiscard]] bool IsNonsense() const { return result_ == -EPROTO; }

  int Send(const io::OutTrain*, size_t) override { return -ENOTCONN; }
  int SendTrain(const io::OutTrain&) override { return -ENOTCONN; }
  int SendOne(const uint8_t*, size_t, const core::SourceAddress&) override { return -ENOTCONN; }
  [[nodiscard]] int fd() const override { return connection_.fd(); }
  [[nodiscard]] bool IsForIpv6() const override { return false; }
  uint32_t TakeOverflows() override { return 0; }
  [[nodiscard]] bool has_gso() const override { return false; }
  [[nodiscard]] bool has_gro() const override { return false; }

 private:
  TcpConnection& connection_;
  const size_t limit_;
  size_t calls_ = 0;
  int result_ = -EAGAIN;
};

TcpHub::TcpHub(Plane& plane, size_t worker, io::TapQueue& tap, Sockets& sockets)
    : plane_(plane),
      rx_(plane, worker, tap, sockets, counters_),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeData;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
}

TcpHub::~TcpHub() {
  for (auto& [number, entry] : entries_) entry.connection->Shut();
}

int TcpHub::Listen(const std::string& address, uint16_t port, const char** step) {
  io::Fd listener;
  if (const int error = io::ListenTcp(address, port, &listener, step); error != 0) return error;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kListenerData + listeners_.size();
  *step = "epoll_ctl";
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener.get(), &event) != 0) return -errno;
  listeners_.push_back(std::move(listener));
  return 0;
}

void TcpHub::Run(int stop_fd) {
  epoll_event stop{};
  stop.events = EPOLLIN;
  stop.data.u64 = kStopData;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop_fd, &stop);
  epoll_event events[kEventsAtOnce];
  for (;;) {
    const int timeout_ms = Sweep(BootTimeMs());
    const int got = ::epoll_wait(epoll_.get(), events, kEventsAtOnce, timeout_ms);
    const uint64_t now_ms = BootTimeMs();
    for (int i = 0; i < got; ++i) {
      const uint64_t data = events[i].data.u64;
      if (data == kStopData) return;
      if (data >= kListenerData) {
        Accept(listeners_[data - kListenerData].get(), now_ms);
      } else if (data == kWakeData) {
        uint64_t count;
        if (::read(wake_.get(), &count, sizeof count) < 0) continue;
      } else {
        OnReady(static_cast<uint32_t>(data), events[i].events, now_ms);
      }
    }
  }
}

std::shared_ptr<TcpConnection> TcpHub::Find(uint32_t number) {
  const std::lock_guard guard(mutex_);
  const auto found = entries_.find(number);
  return found == entries_.end() ? nullptr : found->second.connection;
}

void TcpHub::Add(std::shared_ptr<TcpConnection> connection, Stage stage, uint64_t now_ms) {
  const uint32_t number = connection->number();
  {
    const std::lock_guard guard(mutex_);
    const core::SourceKey source = core::SourceKeyOf(connection->remote());
    entries_[number] = {connection, stage, number >= kFirstAccepted, source, now_ms};
  }
  if (!connection->Watch(stage == Stage::kConnecting)) End(number, true);
}

// --- accepting ---

void TcpHub::Accept(int listener, uint64_t now_ms) {
  while (accepts_.Tokens(now_ms) != 0) {
    io::Fd fd;
    core::SourceAddress remote;
    const int error = io::AcceptTcp(listener, &fd, &remote);
    if (error == -EAGAIN || error == -EINTR) return;
    if (error == -ECONNABORTED) continue;
    if (error != 0) break;  // no descriptors left, say: wait
    (void)accepts_.TryTake(now_ms);
    const bool is_inside =
        std::any_of(plane_.overlay_prefixes.begin(), plane_.overlay_prefixes.end(),
                    [&](const core::AddressPrefix& prefix) { return prefix.Contains(remote); });
    if (is_inside) counters_.Drop(DropReason::kCandidateInOverlay);
    if (is_inside || !MakeRoom(remote, now_ms)) {
      counters_.Add(Counter::kTcpRefused);
      io::ResetTcp(std::move(fd));
      continue;
    }
    const uint32_t number = next_number_;
    next_number_ = next_number_ == UINT32_MAX ? kFirstAccepted : next_number_ + 1;
    counters_.Add(Counter::kTcpAccepted);
    Tell(EventKind::kTcpOpened, number, remote, false);
    Add(std::make_shared<TcpConnection>(epoll_.get(), std::move(fd), number, remote),
        Stage::kStranger, now_ms);
  }
  // Too many at once: what waits is the kernel's until the next sweep.
  is_accepting_ = false;
  accept_again_ms_ = now_ms + kAcceptAgainMs;
  for (const io::Fd& each : listeners_) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, each.get(), nullptr);
  }
}

// False: nobody is asked to leave for this one.
bool TcpHub::MakeRoom(const core::SourceAddress& remote, uint64_t now_ms) {
  const core::SourceKey source = core::SourceKeyOf(remote);
  size_t all = 0;
  size_t of_source = 0;
  std::vector<std::pair<uint32_t, Entry>> strangers;  // at most kMaxStrangers
  {
    const std::lock_guard guard(mutex_);
    all = entries_.size();
    for (const auto& each : entries_) {
      if (!each.second.is_accepted) continue;
      of_source += each.second.source == source;
      if (each.second.stage != Stage::kMember) strangers.push_back(each);
    }
  }
  const auto held_by = [&](const core::SourceKey& whose) {
    return static_cast<size_t>(
        std::count_if(strangers.begin(), strangers.end(),
                      [&](const auto& each) { return each.second.source == whose; }));
  };
  const size_t own = held_by(source);
  if (own >= kMaxStrangersOfSource || of_source >= kMaxOfSource) return false;
  if (strangers.size() < kMaxStrangers && all < kMaxConnections) return true;
  // Held by its source, whether it is silent, and for how long: the largest goes.
  std::tuple<size_t, bool, uint64_t> worst;
  uint32_t victim = 0;
  for (const auto& [number, entry] : strangers) {
    const size_t held = held_by(entry.source);
    const bool is_silent = entry.stage == Stage::kStranger;
    const uint64_t held_ms = now_ms - entry.since_ms;
    if (!is_silent && held_ms < kSafeMs && held < own + 2) continue;
    const std::tuple rank{held, is_silent, held_ms};
    if (victim != 0 && rank <= worst) continue;
    worst = rank;
    victim = number;
  }
  if (victim == 0) return false;
  counters_.Add(Counter::kTcpRefused);
  End(victim, true);
  return true;
}

// --- reading ---

void TcpHub::OnReady(uint32_t number, uint32_t events, uint64_t now_ms) {
  const std::shared_ptr<TcpConnection> connection = Find(number);
  if (connection == nullptr) return;
  bool is_connecting = false;
  {
    const std::lock_guard guard(mutex_);
    const auto found = entries_.find(number);
    if (found == entries_.end()) return;
    is_connecting = found->second.stage == Stage::kConnecting;
    if (is_connecting) {
      found->second.stage = Stage::kMember;
      found->second.since_ms = now_ms;
    }
  }
  if (is_connecting) {
    if (io::TcpError(connection->fd()) != 0) return End(number, false);
    connection->Open();
    counters_.Add(Counter::kTcpConnected);
    return Tell(EventKind::kTcpOpened, number, connection->remote(), true);
  }
  if ((events & EPOLLOUT) != 0 && !connection->Flush()) return End(number, false);
  if ((events & ~EPOLLOUT) != 0 && !Read(*connection, now_ms)) End(number, true);
}

bool TcpHub::Read(TcpConnection& connection, uint64_t now_ms) {
  const uint32_t number = connection.number();
  size_t limit = core::StreamCutter::kLongest;
  {
    const std::lock_guard guard(mutex_);
    const auto found = entries_.find(number);
    if (found != entries_.end() && found->second.stage == Stage::kStranger) {
      limit = core::kHandshakeBytes;
    }
  }
  Reader reader(connection, limit);
  do {
    rx_.Drain(reader, now_ms);
  } while (reader.HasMore());
  if (reader.IsNonsense()) counters_.Drop(DropReason::kUdpSize);
  const RxPath::Heard heard = rx_.TakeHeard();
  const std::lock_guard guard(mutex_);
  const auto found = entries_.find(number);
  if (found == entries_.end()) return true;
  Entry& entry = found->second;
  if (heard.is_authentic) {
    entry.stage = Stage::kMember;
    entry.since_ms = now_ms;
  } else if (heard.has_init && entry.stage == Stage::kStranger) {
    entry.stage = Stage::kAsked;
    entry.since_ms = now_ms;
  }
  return !reader.HasFailed();
}

int TcpHub::Sweep(uint64_t now_ms) {
  if (!is_accepting_ && now_ms >= accept_again_ms_) {
    is_accepting_ = true;
    for (size_t i = 0; i < listeners_.size(); ++i) {
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = kListenerData + i;
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listeners_[i].get(), &event);
    }
  }
  std::vector<uint32_t> late;
  bool is_empty = true;
  {
    const std::lock_guard guard(mutex_);
    is_empty = entries_.empty();
    for (const auto& [number, entry] : entries_) {
      uint64_t patience_ms = kSilentMs;
      if (entry.stage == Stage::kConnecting) patience_ms = kConnectWithinMs;
      if (entry.stage == Stage::kStranger) patience_ms = kInitWithinMs;
      if (entry.stage == Stage::kAsked) patience_ms = kProveWithinMs;
      if (now_ms >= entry.since_ms + patience_ms) late.push_back(number);
    }
  }
  for (const uint32_t number : late) End(number, true);
  if (!is_accepting_) return static_cast<int>(kAcceptAgainMs);
  return is_empty ? -1 : kSweepEveryMs;
}

void TcpHub::End(uint32_t number, bool is_rude) {
  std::shared_ptr<TcpConnection> connection;
  bool is_trusted = false;
  {
    const std::lock_guard guard(mutex_);
    const auto found = entries_.find(number);
    if (found == entries_.end()) return;
    connection = found->second.connection;
    is_trusted = !found->second.is_accepted || found->second.stage == Stage::kMember;
    entries_.erase(found);
  }
  if (is_rude && !is_trusted) {
    connection->Reset();
  } else {
    connection->Shut();
  }
  Tell(EventKind::kTcpClosed, number, connection->remote(), is_trusted);
}

void TcpHub::Tell(EventKind kind, uint32_t number, const core::SourceAddress& endpoint,
                  bool is_trusted) {
  Event event{.kind = kind};
  event.value = number;
  event.endpoint = endpoint;
  // What strangers cause takes the room of strangers.
  plane_.events.Push(is_trusted ? EventRing::Ring::kAuthenticated : EventRing::Ring::kHandshake,
                     std::move(event));
}

// --- the control thread ---

void TcpHub::Connect(uint32_t number, const core::SourceAddress& to) {
  io::Fd fd;
  bool is_free = number != 0 && number < kFirstAccepted && !core::IsMulticastOrVirtual(to);
  {
    const std::lock_guard guard(mutex_);
    is_free = is_free && !entries_.contains(number) && entries_.size() < kMaxConnections;
  }
  if (!is_free || io::ConnectTcp(to, &fd) != 0) {
    return Tell(EventKind::kTcpClosed, number, to, true);
  }
  Add(std::make_shared<TcpConnection>(epoll_.get(), std::move(fd), number, to), Stage::kConnecting,
      BootTimeMs());
  const uint64_t one = 1;  // its time-out is a sweep's affair
  [[maybe_unused]] const ssize_t wrote = ::write(wake_.get(), &one, sizeof one);
}

void TcpHub::Close(uint32_t number) {
  std::shared_ptr<TcpConnection> connection;
  {
    const std::lock_guard guard(mutex_);
    const auto found = entries_.find(number);
    if (found == entries_.end()) return;
    connection = found->second.connection;
    entries_.erase(found);
  }
  connection->Shut();
}

core::SourceAddress TcpHub::RemoteOf(uint32_t number) {
  const std::shared_ptr<TcpConnection> connection = Find(number);
  return connection == nullptr ? core::SourceAddress{} : connection->remote();
}

// --- senders ---

int TcpHub::Send(const io::OutTrain* trains, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (const int error = SendTrain(trains[i]); error != 0) {
      return i != 0 ? static_cast<int>(i) : error;
    }
  }
  return static_cast<int>(count);
}

int TcpHub::SendTrain(const io::OutTrain& train) {
  const std::shared_ptr<TcpConnection> connection = Find(core::ConnectionOf(train.to));
  return connection == nullptr ? -ENOTCONN : connection->SendTrain(train);
}

int TcpHub::SendOne(const uint8_t* data, size_t size, const core::SourceAddress& to) {
  const iovec part{const_cast<uint8_t*>(data), size};
  return SendTrain({&part, 1, size, 1, to});
}

}  // namespace overlayd::engine
