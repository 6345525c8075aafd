#include "native/engine/relay_path.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "native/core/segment.h"
#include "native/engine/train_refusal.h"

namespace overlayd::engine {
namespace {

using core::Counter;
using core::DropReason;

constexpr size_t kMaxTrainBytes = 65507;  // one UDP payload, IPv4
constexpr uint64_t kToldForMs = 1000;

DropReason ReasonOf(int error) {
  switch (error) {
    case EMSGSIZE:
      return DropReason::kTooBig;
    case EAGAIN:  // a relay does not wait: as a router, it drops
    case ENOBUFS:
      return DropReason::kSendEnobufs;
    default:
      return DropReason::kSendError;
  }
}

}  // namespace

Route RouteTo(const core::Tables& tables, const core::SourceAddress& to) {
  if (!core::IsRelayed(to)) return {DropReason::kNone, to, 0, 0};
  const uint32_t position = tables.label_positions.Find(core::LabelOf(to));
  if (position == core::kNoSlot) return {DropReason::kRelayUnknown, to, 0, 0};
  const core::LabelEntry& label = tables.labels[position];
  if (label.problem != DropReason::kNone) return {label.problem, to, 0, 0};
  return {DropReason::kNone, tables.paths[label.path].endpoint, core::kRelayHeaderSize,
          label.out_label};
}

void SendPlain(const core::Tables& tables, Sockets& sockets, core::CounterBlock& counters,
               std::span<const uint8_t> bytes, const core::SourceAddress& to) {
  const Route route = RouteTo(tables, to);
  if (route.problem != DropReason::kNone) return counters.Drop(route.problem);
  io::UdpSocket* socket = sockets.For(route.to);
  if (socket == nullptr) return counters.Drop(DropReason::kNoPath);
  int error = 0;
  if (route.header_size == 0) {
    error = socket->SendOne(bytes.data(), bytes.size(), route.to);
  } else {
    std::vector<uint8_t> datagram(route.header_size + bytes.size());
    route.WriteFront(datagram.data());
    std::copy(bytes.begin(), bytes.end(),
              datagram.begin() + static_cast<ptrdiff_t>(route.header_size));
    error = socket->SendOne(datagram.data(), datagram.size(), route.to);
  }
  if (error != 0) return counters.Drop(DropReason::kSendError);
  counters.Add(Counter::kUdpTxDatagrams);
  counters.Add(Counter::kUdpTxBytes, route.header_size + bytes.size());
}

RelayedRun RelayPath::FrontRun(const RelayedRun& train) {
  size_t end = std::min(train.stride, train.size);
  while (end < train.size && train.size - end >= core::kRelayHeaderSize &&
         train.stride >= core::kRelayHeaderSize &&
         std::memcmp(train.data + end, train.data, core::kRelayHeaderSize) == 0) {
    end = std::min(end + train.stride, train.size);
  }
  return {train.data, end, std::min(train.stride, end), train.from, train.ecn};
}

void RelayPath::PassOn(const core::Tables& tables, const core::LabelEntry& label,
                       const RelayedRun& run, uint8_t ttl, uint64_t now_ms) {
  const size_t count = run.count();
  if (label.forward == core::kNoSlot) return counters_.Drop(DropReason::kRelayUnknown, count);
  const core::LabelEntry& next = tables.labels[label.forward];
  if (next.problem != DropReason::kNone) return counters_.Drop(next.problem, count);
  const uint8_t next_ttl = core::NextTtl(ttl);
  if (next_ttl == 0) return counters_.Drop(DropReason::kRelayTtl, count);
  {
    LabelState& state = plane_.labels[label.state];
    const std::lock_guard guard(state.lock);
    if (!state.bucket.TryTake(now_ms, static_cast<uint32_t>(count))) {
      return counters_.Drop(DropReason::kRelayRate, count);
    }
  }
  for (size_t at = 0; at < run.size; at += run.stride) {
    core::WriteRelayHeader(run.data + at, {next_ttl, next.out_label});
  }
  const core::PathEntry& path = tables.paths[next.path];
  // Its clock shall notice soon when the way of others ends.
  plane_.paths[path.state].last_relayed_ms.store(now_ms, std::memory_order_relaxed);
  Send(path, run, now_ms);
}

void RelayPath::Send(const core::PathEntry& path, const RelayedRun& run, uint64_t now_ms) {
  io::UdpSocket* socket = sockets_.For(path.endpoint);
  if (socket == nullptr) return counters_.Drop(DropReason::kNoPath, run.count());
  PathState& state = plane_.paths[path.state];
  const bool may_send_trains = socket->has_gso() && MaySendTrains(state, now_ms);
  const size_t most = std::max<size_t>(
      1, may_send_trains ? std::min(core::kMaxTrain, kMaxTrainBytes / run.stride) : 1);
  size_t sent = 0;
  size_t sent_bytes = 0;
  for (size_t at = 0; at < run.size; at += most * run.stride) {
    const size_t size = std::min(most * run.stride, run.size - at);
    const size_t taken =
        SendTrain(*socket, path, {run.data + at, size, run.stride, run.from, run.ecn}, now_ms);
    sent += taken;
    sent_bytes += std::min(taken * run.stride, size);
  }
  counters_.Add(Counter::kRelayed, sent);
  counters_.Add(Counter::kUdpTxDatagrams, sent);
  counters_.Add(Counter::kUdpTxBytes, sent_bytes);
  state.tx_datagrams.fetch_add(sent, std::memory_order_relaxed);
  state.tx_bytes.fetch_add(sent_bytes, std::memory_order_relaxed);
}

size_t RelayPath::SendTrain(io::UdpSocket& socket, const core::PathEntry& path,
                            const RelayedRun& train, uint64_t now_ms) {
  const iovec part{train.data, train.size};
  const size_t count = train.count();
  const int error = socket.SendTrain(
      {&part, 1, std::min(train.stride, train.size), count, path.endpoint, train.ecn});
  counters_.Add(Counter::kUdpTxCalls);
  PathState& state = plane_.paths[path.state];
  if (error == 0) {
    if (count > 1) state.gso.Succeed();
    return count;
  }
  if (IsTrainRefused(count, error)) {
    size_t taken = 0;
    for (size_t at = 0; at < train.size; at += train.stride) {
      const size_t size = std::min(train.stride, train.size - at);
      taken +=
          SendTrain(socket, path, {train.data + at, size, size, train.from, train.ecn}, now_ms);
    }
    OnTrainRefused(plane_, counters_, &state, path.id, error, taken, count, now_ms);
    return taken;
  }
  counters_.Drop(ReasonOf(-error), count);
  return 0;
}

// Strangers cost a look at a hash table; nothing is told about them.
void RelayPath::TellUnknown(const core::Tables& tables, uint32_t label,
                            const core::SourceAddress& from, uint64_t now_ms) {
  const uint32_t position =
      tables.path_by_address.Find(core::AddressKey(plane_.address_seed, from));
  if (position == core::kNoSlot || !(tables.paths[position].endpoint == from)) return;
  const uint32_t peer = tables.paths[position].peer;
  if (now_ms - told_since_ms_ >= kToldForMs) {
    told_since_ms_ = now_ms;
    told_count_ = 0;
  }
  size_t of_peer = 0;
  for (size_t i = 0; i < told_count_; ++i) {
    if (told_[i].peer != peer) continue;
    if (told_[i].label == label) return;
    ++of_peer;
  }
  if (told_count_ == kToldPerSecond || of_peer == kToldPerPeer) return;
  told_[told_count_++] = {peer, label};
  Event event{.kind = EventKind::kLabelUnknown};
  event.peer = peer;
  event.value = label;
  plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
}

}  // namespace overlayd::engine
