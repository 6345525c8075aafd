#include "native/engine/housekeeper.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>

#include "native/core/echo.h"
#include "native/core/relay_header.h"
#include "native/core/wire.h"
#include "native/engine/control_message.h"

namespace overlayd::engine {
namespace {

using core::Counter;

constexpr uint64_t kMaxSleepUs = 500'000;  // notices within that a path that began to carry frames
constexpr uint64_t kMinSleepUs = 5'000;
constexpr uint64_t kAgeEveryUs = 5'000'000;
constexpr uint64_t kReportEveryUs = 1'000'000;
constexpr size_t kControlDatagram = 1200;

}  // namespace

Housekeeper::Housekeeper(Plane& plane, size_t worker, Sockets& sockets)
    : plane_(plane),
      worker_(worker),
      sockets_(sockets),
      sealer_(plane, sockets, counters_),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Housekeeper::Run(int stop_fd) {
  pollfd fds[] = {{stop_fd, POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  for (;;) {
    const uint64_t sleep_us = std::clamp(Tick(), kMinSleepUs, kMaxSleepUs);
    ::poll(fds, 2, static_cast<int>((sleep_us + 999) / 1000));
    if (fds[0].revents != 0) return;
    if (fds[1].revents != 0) {
      uint64_t count;
      if (::read(wake_.get(), &count, sizeof count) < 0) continue;  // somebody else's wake-up
    }
  }
}

void Housekeeper::Wake() {
  const uint64_t one = 1;
  // A full counter means that a wake-up is under way already.
  [[maybe_unused]] const ssize_t wrote = ::write(wake_.get(), &one, sizeof one);
}

uint64_t Housekeeper::Tick() {
  const Quiescence::Guard guard(plane_.quiescence, worker_);
  const core::Tables* tables = plane_.tables.load(std::memory_order_acquire);
  const uint64_t now_us = BootTimeUs();
  uint64_t next_us = now_us + kMaxSleepUs;
  const bool is_report_due = now_us >= next_report_us_;
  if (is_report_due) next_report_us_ = now_us + kReportEveryUs;
  for (const core::PathEntry& path : tables->paths) {
    if (path.session == core::kNoSlot) continue;
    next_us = std::min(next_us, TickPath(path, now_us));
    if (is_report_due) SendReport(path, plane_.paths[path.state]);
  }
  if (now_us >= next_age_us_) {
    plane_.fdb.Age(static_cast<uint32_t>(now_us / 1'000'000));
    next_age_us_ = now_us + kAgeEveryUs;
  }
  return next_us > now_us ? next_us - now_us : 0;
}

uint64_t Housekeeper::TickPath(const core::PathEntry& path, uint64_t now_us) {
  PathState& state = plane_.paths[path.state];
  core::PathClock::TickResult result;
  core::Ping ping{path.id, 0, now_us};
  {
    const std::lock_guard guard(state.mutex);
    const uint64_t carried_ms = std::max(state.last_frame_ms.load(std::memory_order_relaxed),
                                         state.last_relayed_ms.load(std::memory_order_relaxed));
    const bool has_carried = carried_ms != state.last_seen_frame_ms;
    state.last_seen_frame_ms = carried_ms;
    // Whether small ones are answered is known only while they are sent.
    result = state.clock.Tick(now_us, has_carried || state.size_watch.IsAsking());
    if (result.send_ping) {
      ping.sequence = state.clock.NextSequence();
      state.clock.OnSent(now_us, ping.sequence);
    }
  }
  if (result.send_ping) {
    uint8_t body[core::kPingBytes];
    core::EncodePing(ping, body);
    sealer_.Send(plane_.sessions.at(path.session), core::InnerKind::kControl,
                 MakeControlMessage(core::kControlPing, body), path.endpoint, kControlDatagram,
                 &state);
    counters_.Add(Counter::kPingsTx);
  }
  if (result.became_dead) {
    Event event{.kind = EventKind::kPathDead};
    event.path = path.id;
    plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
  }
  return std::min(result.next_deadline_us, TickSize(path, state, now_us));
}

uint64_t Housekeeper::TickSize(const core::PathEntry& path, PathState& state, uint64_t now_us) {
  core::SizeWatch::Path now;
  core::SizeWatch::TickResult result;
  {
    const std::lock_guard guard(state.mutex);
    if (state.clock.IsAlive()) {
      now.bytes = std::min(path.datagram_bytes, state.limit_bytes.load(std::memory_order_relaxed));
      now.carries_large = state.has_sent_large.exchange(false, std::memory_order_relaxed);
    }
    now.patience_us = state.clock.PatienceUs();
    now.loss_permille = state.clock.LossPermille(now_us);
    result = state.size_watch.Tick(now_us, now);
    if (result.ask) state.size_watch.OnAsked(now_us);
  }
  if (result.ask) SendPadded(path, now.bytes, core::kWatchSequenceBit, counters_);
  if (result.is_lost) {
    // At once, whatever control is at: every frame in this size is lost.
    constexpr uint32_t kFloor = core::SizeWatch::kFloorBytes;
    state.limit_bytes.store(kFloor, std::memory_order_relaxed);
    counters_.Add(Counter::kBlackHoles);
    Event event{.kind = EventKind::kPathTooBig};
    event.path = path.id;
    event.value = kFloor;
    plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
  }
  return result.next_deadline_us;
}

// Tells the sender what arrived, while something does.
void Housekeeper::SendReport(const core::PathEntry& path, PathState& state) {
  core::ReceiverReport report;
  {
    const std::lock_guard guard(state.received_lock);
    if (!state.has_received) return;
    state.has_received = false;
    report = state.received.Take(kReportEveryUs / 1000);
  }
  uint8_t body[core::kReceiverReportBytes];
  core::EncodeReceiverReport(report, body);
  sealer_.Send(plane_.sessions.at(path.session), core::InnerKind::kControl,
               MakeControlMessage(core::kControlReceiverReport, body), path.endpoint,
               kControlDatagram, &state);
}

void Housekeeper::SendProbe(const core::PathEntry& path, uint32_t datagram_bytes,
                            core::CounterBlock& counters) {
  SendPadded(path, datagram_bytes, 0, counters);
}

void Housekeeper::SendPadded(const core::PathEntry& path, uint32_t datagram_bytes, uint32_t mark,
                             core::CounterBlock& counters) {
  const size_t fixed =
      core::HeaderSizeTo(path.endpoint) + core::kDatagramOverhead + kControlHeaderBytes;
  constexpr size_t kLongest = 65507;
  if (path.session == core::kNoSlot || datagram_bytes < fixed + core::kPingBytes ||
      datagram_bytes > kLongest) {
    return;
  }
  PathState& state = plane_.paths[path.state];
  std::vector<uint8_t> body(datagram_bytes - fixed);
  const uint32_t number =
      state.next_probe.fetch_add(1, std::memory_order_relaxed) & ~core::kWatchSequenceBit;
  core::EncodePing({path.id, number | mark | core::kProbeSequenceBit, BootTimeUs()}, body);
  Sealer(plane_, sockets_, counters)
      .Send(plane_.sessions.at(path.session), core::InnerKind::kControl,
            MakeControlMessage(core::kControlPing, body), path.endpoint, datagram_bytes, &state);
  counters.Add(Counter::kPingsTx);
}

}  // namespace overlayd::engine
