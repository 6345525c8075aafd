#include "native/engine/rx_path.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "native/core/echo.h"
#include "native/core/ecn.h"
#include "native/core/wire.h"
#include "native/engine/address_guard.h"
#include "native/engine/control_message.h"
#include "native/engine/join_probe.h"

namespace overlayd::engine {
namespace {

using core::Counter;
using core::DropReason;
using core::FrameInfo;

// Slots lie a little further apart than they are long: equal offsets would share cache sets.
constexpr size_t kSlotSize = 65536;
constexpr size_t kSlotStride = kSlotSize + 64 * 21;
constexpr size_t kHeadroom = 64;
constexpr size_t kManySlots = io::UdpSocket::kMaxBatch;  // single datagrams: join across slots
constexpr size_t kFewSlots = 8;                          // coalesced ones: stay in cache
constexpr size_t kBatchesPerDrain = 16;
constexpr size_t kFramesBetweenYields = 64;
constexpr uint64_t kEndpointEventEveryMs = 1000;
constexpr uint64_t kJoinProbeEveryMs = 1000;
constexpr size_t kControlDatagram = 1200;
constexpr core::TokenRate kMacEventRate{16, 4'000};
constexpr uint32_t kReportsToShrink = 2;
constexpr uint32_t kFloorDatagram = 548;  // docs/protocol.md §8: a path carries that, or nothing
constexpr uint32_t kProbesRemembered = 64;
constexpr uint64_t kForgedLimit = uint64_t{1} << 36;

}  // namespace

struct RxPath::Opened {
  core::Session& session;
  uint32_t slot;
  uint32_t index;
  uint32_t phase;
  uint64_t counter;
  const core::SourceAddress& from;
  size_t datagram_size;
};

RxPath::RxPath(Plane& plane, size_t worker, io::TapQueue& tap, Sockets& sockets,
               core::CounterBlock& counters, size_t queue)
    : plane_(plane),
      worker_(worker),
      tap_(tap),
      sockets_(sockets),
      counters_(counters),
      queue_(queue),
      mac_events_(kMacEventRate),
      buffer_(new uint8_t[kHeadroom + 2 * kManySlots * kSlotStride]),
      slots_in_use_(kManySlots),
      joiner_({.may_join_tcp = plane.has_offload_header && plane.may_join_tcp,
               .may_join_udp = plane.may_join_udp,
               .takes_partial_tcp = plane.has_offload_header}),
      sealer_(plane, sockets, counters),
      relay_(plane, sockets, counters),
      tree_(plane, sockets, counters) {}

RxPath::~RxPath() = default;

void RxPath::Begin(const io::UdpSocket& socket, uint64_t now_ms) {
  tables_ = plane_.tables.load(std::memory_order_acquire);
  now_ms_ = now_ms;
  remote_ = socket.Remote();
  cached_index_ = 0;  // tables may have changed since
  cached_path_peer_ = 0;
  cached_mac_peer_ = 0;
  cached_source_ = 0;
  guards_addresses_ = tables_->neighbours->has_guarded();
  network_id_ = 0;
  network_index_ = 0;
}

void RxPath::Drain(io::UdpSocket& socket, uint64_t now_ms) {
  const Quiescence::Guard guard(plane_.quiescence, worker_);
  Begin(socket, now_ms);
  for (size_t batch = 0; batch < kBatchesPerDrain; ++batch) {
    const size_t slots = slots_in_use_;
    size_t datagrams = 0;
    const size_t got = ReceiveBatch(socket, slots, &datagrams);
    if (got != 0) slots_in_use_ = datagrams >= got * 8 ? kFewSlots : kManySlots;
    if (got < slots) break;
  }
  WriteRun();
  if (const uint32_t lost = socket.TakeOverflows(); lost != 0) {
    counters_.Add(Counter::kRxqOverflow, lost);
  }
}

bool RxPath::DrainStrangers(io::UdpSocket& socket, uint64_t now_ms) {
  const Quiescence::Guard guard(plane_.quiescence, worker_);
  Begin(socket, now_ms);
  size_t datagrams = 0;
  const size_t got = ReceiveBatch(socket, kManySlots, &datagrams);
  WriteRun();
  // The queue is short and its pace ours, so this is our rate limit and no loss of traffic.
  if (const uint32_t lost = socket.TakeOverflows(); lost != 0) {
    counters_.Drop(DropReason::kGateRate, lost);
  }
  return got == kManySlots;
}

// Where a batch ends within a train, the next goes on with it: it is received into the other half, and by then the train
// is written.
size_t RxPath::ReceiveBatch(io::UdpSocket& socket, size_t slots, size_t* datagrams) {
  holds_run_ = joiner_.is_open();
  first_slot_ = holds_run_ ? kManySlots - first_slot_ : 0;
  for (size_t i = 0; i < slots; ++i) {
    trains_[i].data = buffer_.get() + kHeadroom + (first_slot_ + i) * kSlotStride;
    trains_[i].size = kSlotSize;
  }
  const int got = socket.Receive(trains_, slots);
  if (got <= 0) return 0;  // EAGAIN, or an ICMP error of an earlier send: nothing to do
  counters_.Add(Counter::kUdpRxCalls);
  size_t bytes = 0;
  for (int i = 0; i < got; ++i) {
    const io::InTrain& train = trains_[i];
    bytes += train.size;
    OnTrain(train, datagrams);
  }
  if (holds_run_) WriteRun();
  counters_.Add(Counter::kUdpRxDatagrams, *datagrams);
  counters_.Add(Counter::kUdpRxBytes, bytes);
  return static_cast<size_t>(got);
}

void RxPath::OnTrain(const io::InTrain& train, size_t* datagrams) {
  if (train.is_truncated) return counters_.Drop(DropReason::kUdpSize);
  if (IsFromOverlay(train.from)) [[unlikely]] {
    return counters_.Drop(DropReason::kCandidateInOverlay,
                          train.stride == 0 ? 1 : (train.size + train.stride - 1) / train.stride);
  }
  ecn_ = train.ecn;
  if (remote_ == nullptr && core::IsMulticastOrVirtual(train.from)) [[unlikely]] {
    return counters_.Drop(DropReason::kUdpType);  // no kernel delivers that
  }
  size_t at = 0;
  if (train.size != 0 && train.data[0] == core::kTypeRelay) [[unlikely]] {
    at = OnRelayed(train, datagrams);
  }
  for (; at < train.size; at += train.stride) {
    ++*datagrams;
    OnDatagram(train.data + at, std::min(train.stride, train.size - at), train.from);
  }
  if (train.size == 0) counters_.Drop(DropReason::kUdpShort);
}

// The tunnel inside itself: it would die with the link it runs over (docs/protocol.md §6).
bool RxPath::IsFromOverlay(const core::SourceAddress& from) const {
  return std::any_of(plane_.overlay_prefixes.begin(), plane_.overlay_prefixes.end(),
                     [&](const core::AddressPrefix& prefix) { return prefix.Contains(from); });
}

size_t RxPath::OnRelayed(const io::InTrain& train, size_t* datagrams) {
  size_t at = 0;
  while (at < train.size && train.data[at] == core::kTypeRelay) {
    const RelayedRun run = RelayPath::FrontRun(
        {train.data + at, train.size - at, train.stride, train.from, train.ecn});
    *datagrams += run.count();
    OnRelayedRun(run);
    at += run.size;
  }
  return at;
}

void RxPath::OnRelayedRun(const RelayedRun& run) {
  const core::LabelEntry* label = relay_.Take(*tables_, run, now_ms_, [&](uint32_t peer) {
    return PathFrom(peer, run.from) != core::kNoSlot;
  });
  if (label == nullptr) return;
  const core::SourceAddress from = core::SourceFromLabel(label->label);
  front_size_ = core::kRelayHeaderSize;
  for (size_t at = 0; at < run.size; at += run.stride) {
    const size_t size = std::min(run.stride, run.size - at);
    if (size <= core::kRelayHeaderSize) {
      counters_.Drop(DropReason::kUdpShort);
      continue;
    }
    OnDatagram(run.data + at + core::kRelayHeaderSize, size - core::kRelayHeaderSize, from);
  }
  front_size_ = 0;
}

void RxPath::OnDatagram(uint8_t* data, size_t size, const core::SourceAddress& from) {
  if (data[0] == core::kTypeData) [[likely]] {
    return OnData(data, size, from);
  }
  OnStranger(data, size, from);
}

void RxPath::OnStranger(uint8_t* data, size_t size, const core::SourceAddress& from) {
  if (data[0] == core::kTypeRelay) {
    if (front_size_ != 0) return counters_.Drop(DropReason::kRelayNested);
    return OnRelayedRun({data, size, size, from, ecn_});  // behind others in a train
  }
  if (!core::Gate::IsHandshake(data[0])) return counters_.Drop(DropReason::kUdpType);
  // Rates and cookies belong to hosts: a new connection is no new source.
  const core::SourceAddress& source = core::IsTcp(from) ? *remote_ : from;
  const core::GateDecision decision = plane_.gate->Inspect({data, size}, source, now_ms_);
  switch (decision.kind) {
    case core::GateDecision::Kind::kDrop:
      return counters_.Drop(decision.reason);
    case core::GateDecision::Kind::kReply:
      SendPlain(*tables_, sockets_, counters_, {decision.reply.data(), decision.reply_size}, from);
      if (decision.other_mesh) {
        Event event{.kind = EventKind::kOtherMesh};
        event.endpoint = from;
        plane_.events.Push(EventRing::Ring::kHandshake, std::move(event));
      }
      return;
    case core::GateDecision::Kind::kPassUp: {
      heard_.has_init |= data[0] == core::kTypeInit;
      Event event{.kind = EventKind::kHandshake};
      event.endpoint = from;
      event.has_cookie = decision.has_cookie;
      event.is_resumed = decision.resumed;
      event.bytes.assign(data, data + size);
      const auto ring = data[0] == core::kTypeInit && !decision.resumed
                            ? EventRing::Ring::kInit
                            : EventRing::Ring::kHandshake;
      if (!plane_.events.Push(ring, std::move(event))) counters_.Drop(DropReason::kRingFull);
      return;
    }
  }
}

void RxPath::OnData(uint8_t* data, size_t size, const core::SourceAddress& from) {
  if (size < core::kDatagramOverhead) return counters_.Drop(DropReason::kUdpShort);
  core::DataHeader header;
  if (!core::ReadDataHeader(data, &header)) return counters_.Drop(DropReason::kGateZero);
  // 0 is nobody's index, and means "nothing cached" here.
  if (header.receiver_index == 0) return counters_.Drop(DropReason::kUnknownSession);
  if (header.receiver_index != cached_index_) {
    const uint32_t slot = tables_->sessions.Find(header.receiver_index);
    if (slot == core::kNoSlot) return counters_.Drop(DropReason::kUnknownSession);
    cached_index_ = header.receiver_index;
    cached_slot_ = slot;
  }
  core::Session& session = plane_.sessions.at(cached_slot_);
  core::RxPhase& rx = session.rx[header.phase & 1];
  const uint32_t phase_plus_one = rx.phase_plus_one.load(std::memory_order_acquire);
  if (phase_plus_one == 0 || static_cast<uint8_t>(phase_plus_one - 1) != header.phase) {
    return counters_.Drop(DropReason::kKeyPhase);
  }
  if (!rx.window.Check(header.counter)) {
    session.replayed.fetch_add(1, std::memory_order_relaxed);
    return counters_.Drop(DropReason::kReplay);
  }
  uint8_t* inner = data + core::kDataHeaderSize;
  const size_t inner_size = size - core::kDataHeaderSize - core::kTagSize;
  if (!plane_.AeadOf(session).open(rx.key, scratch_, data, header.counter, inner, inner_size)) {
    const uint64_t forged = session.forged.fetch_add(1, std::memory_order_relaxed) + 1;
    if (forged == kForgedLimit) {
      Event event{.kind = EventKind::kSessionLimit};
      event.session = cached_index_;
      plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
    }
    return counters_.Drop(DropReason::kForged);
  }
  // By (phase, counter): what the phase before still brings is not newer than anything of this one.
  const core::RxPhase& other = session.rx[(header.phase & 1) ^ 1];
  const bool is_newest = header.counter >= rx.window.Highest() &&
                         (other.phase_plus_one.load(std::memory_order_relaxed) < phase_plus_one ||
                          !other.is_confirmed.load(std::memory_order_relaxed));
  if (!rx.window.Commit(header.counter)) {
    session.replayed.fetch_add(1, std::memory_order_relaxed);
    return counters_.Drop(DropReason::kReplay);
  }
  counters_.Add(Counter::kOpened);
  heard_.is_authentic = true;
  const Opened opened{session,        cached_slot_, cached_index_,     phase_plus_one - 1,
                      header.counter, from,         front_size_ + size};
  session.rx_packets.fetch_add(1, std::memory_order_relaxed);
  session.rx_bytes.fetch_add(size, std::memory_order_relaxed);
  session.last_rx_ms.store(now_ms_, std::memory_order_relaxed);
  if (!rx.is_confirmed.load(std::memory_order_relaxed)) [[unlikely]] {
    if (!rx.is_confirmed.exchange(true)) {
      if (opened.phase != 0) counters_.Add(Counter::kRekeys);
      Event event{.kind = EventKind::kPhaseConfirmed};
      event.session = opened.index;
      event.phase = opened.phase;
      event.endpoint = from;
      plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
    }
  }
  const auto kind = static_cast<core::InnerKind>(inner[0]);
  const uint8_t flags = inner[1];
  NoteArrival(opened, is_newest, kind, flags);
  if ((flags & ~core::kKnownFlags) != 0) return counters_.Drop(DropReason::kInnerFlags);
  const uint32_t network = core::LoadLe32(inner + 2);
  if (network != network_id_ && !EnterNetwork(network)) [[unlikely]]
    return;
  OnInner(opened, kind, flags, inner + core::kInnerHeaderSize, inner_size - core::kInnerHeaderSize);
}

// What follows is for another network than what came before. `word`: its 24 bits and the zero byte behind them.
bool RxPath::EnterNetwork(uint32_t word) {
  const uint32_t index = word > core::kMaxNetworkId ? core::kNoSlot : tables_->IndexOf(word);
  if (index == core::kNoSlot) {
    counters_.Drop(word > core::kMaxNetworkId ? DropReason::kGateZero : DropReason::kInnerNetwork);
    return false;
  }
  network_id_ = word;
  network_index_ = index;
  cached_mac_peer_ = 0;
  cached_source_ = 0;
  return true;
}

io::TapQueue& RxPath::TapOf(uint32_t network_index) {
  return network_index == 0 ? tap_ : *plane_.networks[network_index].queues[queue_];
}

uint32_t RxPath::PathFrom(uint32_t peer, const core::SourceAddress& from) {
  if (peer == cached_path_peer_ && from == cached_from_) return cached_path_;
  uint32_t found = core::kNoSlot;
  const core::PeerEntry& entry = tables_->peers[peer];
  for (uint32_t at = entry.first_path; at != core::kNoSlot; at = tables_->paths[at].next_of_peer) {
    if (tables_->paths[at].endpoint == from) {
      found = at;
      break;
    }
  }
  cached_path_peer_ = peer;
  cached_from_ = from;
  cached_path_ = found;
  return found;
}

// Counts the datagram for its path; a newer one from an address that is no path of the peer is told (roaming).
void RxPath::NoteArrival(const Opened& opened, bool is_newest, core::InnerKind kind,
                         uint8_t flags) {
  const uint32_t path = PathFrom(opened.session.peer, opened.from);
  if (path != core::kNoSlot) {
    PathState& state = plane_.paths[tables_->paths[path].state];
    state.rx_datagrams.fetch_add(1, std::memory_order_relaxed);
    state.rx_bytes.fetch_add(opened.datagram_size, std::memory_order_relaxed);
    if (kind == core::InnerKind::kFrame || kind == core::InnerKind::kFragment) {
      state.last_frame_ms.store(now_ms_, std::memory_order_relaxed);
      const bool is_single = (flags & core::kFlagContinues) == 0;
      const std::lock_guard guard(state.received_lock);
      if (state.received_phase != opened.phase) {
        state.received_phase = opened.phase;
        state.received.OnNewPhase();
      }
      state.received.OnDatagram(opened.counter, opened.datagram_size, is_single,
                                ecn_ == core::kEcnCongested);
      state.has_received = true;
    } else {
      const std::lock_guard guard(state.received_lock);
      if (state.received_phase == opened.phase) state.received.OnOther(opened.counter);
    }
    return;
  }
  if (!is_newest) return;
  std::atomic<uint64_t>& next = opened.session.next_endpoint_event_ms;
  if (now_ms_ < next.load(std::memory_order_relaxed)) return;
  next.store(now_ms_ + kEndpointEventEveryMs, std::memory_order_relaxed);
  Event event{.kind = EventKind::kEndpointSeen};
  event.session = opened.index;
  event.endpoint = opened.from;
  plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
}

void RxPath::OnInner(const Opened& opened, core::InnerKind kind, uint8_t flags, uint8_t* content,
                     size_t size) {
  switch (kind) {
    case core::InnerKind::kFrame:
      return OnFrame(opened, flags, content, size);
    case core::InnerKind::kControl:
      return OnControl(opened, content, size);
    case core::InnerKind::kKeepalive:
      if (network_id_ != 0) counters_.Drop(DropReason::kInnerNetwork);
      return;
    case core::InnerKind::kFragment:
      return OnFragment(opened, flags, content, size);
    case core::InnerKind::kFlood:
      return OnFlood(opened, content, size);
  }
  counters_.Drop(DropReason::kInnerKind);
}

void RxPath::OnFrame(const Opened& opened, uint8_t flags, uint8_t* frame, size_t size) {
  core::Arrival arrival{frame,
                        size,
                        opened.counter,
                        opened.slot,
                        opened.phase,
                        network_index_,
                        /*is_partial=*/false,
                        {}};
  if (!core::ParseFrame(frame, size, &arrival.info)) {
    return counters_.Drop(DropReason::kInnerShort);
  }
  if (core::IsReservedMulticast(core::LoadMac(frame))) {
    return counters_.Drop(DropReason::kReservedMulticast);
  }
  if (arrival.info.ether_type == core::kEtherTypeMacControl) {
    return counters_.Drop(DropReason::kMacControl);
  }
  if (ecn_ != core::kEcnNotCapable && !core::CombineEcn(frame, size, arrival.info, ecn_)) {
    return counters_.Drop(DropReason::kEcn);
  }
  const core::Mac mac = core::LoadMac(frame + 6);
  if (core::IsGroup(mac)) return counters_.Drop(DropReason::kMulticastSource);
  const uint32_t peer = opened.session.peer;
  const auto now_s = static_cast<uint32_t>(now_ms_ / 1000);
  if (mac != cached_mac_ || peer != cached_mac_peer_ || now_s != cached_mac_second_) {
    if (mac == 0) return counters_.Drop(DropReason::kZeroSource);
    const std::vector<core::Mac>& own_macs = plane_.networks[network_index_].own_macs;
    if (std::find(own_macs.begin(), own_macs.end(), mac) != own_macs.end()) {
      return counters_.Drop(DropReason::kOwnMac);
    }
    const uint32_t declared = tables_->declared_fdb.Find(core::FdbKey(network_index_, mac));
    if (declared != core::kNoSlot && declared != peer) {
      TellMacClaim(MacVerdict::kRefused, mac, opened);
      return counters_.Drop(declared == core::kLocalPeer ? DropReason::kOwnSource
                                                         : DropReason::kSourceGuard);
    }
    if (declared == core::kNoSlot) {
      switch (plane_.fdb.Learn(network_id_, mac, static_cast<uint16_t>(peer), now_s)) {
        case core::Fdb::Learned::kNew:
          counters_.Add(Counter::kFdbLearned);
          break;
        case core::Fdb::Learned::kMoved:
          counters_.Add(Counter::kFdbMoved);
          break;
        case core::Fdb::Learned::kFlapping:
          TellMacClaim(MacVerdict::kFlapping, mac, opened);
          break;
        default:
          break;
      }
    }
    cached_mac_ = mac;
    cached_mac_peer_ = peer;
    cached_mac_second_ = now_s;
  }
  counters_.Add(Counter::kTapTxFrames);
  counters_.Add(Counter::kTapTxBytes, size);
  if ((flags & core::kFlagPartialChecksum) != 0) {
    // Offsets are ours, never the sender's: only a whole TCP or UDP packet may go unfinished (docs/protocol.md §3).
    if (arrival.info.frame_class != core::FrameClass::kTransport) {
      return counters_.Drop(DropReason::kPartialChecksumOffsets);
    }
    if (!core::VerifyPartial(frame, arrival.info)) {
      return counters_.Drop(DropReason::kPartialChecksum);
    }
    arrival.is_partial = true;
  }
  // What joins has the addresses of the run it joins, so one look serves a train.
  if (joiner_.is_open() && joiner_.Append(arrival)) return;
  if (guards_addresses_ && IsSpoofed(peer, frame, size, arrival.info)) [[unlikely]] {
    TellMacClaim(MacVerdict::kSpoofed, mac, opened);
    return counters_.Drop(DropReason::kSpoofedAddress);
  }
  WriteRun();
  joiner_.Start(arrival);
}

bool RxPath::IsSpoofed(uint32_t peer, const uint8_t* frame, size_t size,
                       const core::FrameInfo& info) {
  // Flows of single packets come from one host for a while. Never 0, which means nothing.
  const bool is_plain_ipv4 = info.ether_type == core::kEtherTypeIpv4 && !info.has_vlan_tag &&
                             size >= core::kEthernetHeaderSize + 20;
  const uint64_t source =
      is_plain_ipv4 ? uint64_t{peer} << 32 | core::LoadLe32(frame + core::kEthernetHeaderSize + 12)
                    : 0;
  if (source != 0 && source == cached_source_) return false;
  if (IsAddressSpoofed(*tables_, plane_.networks[network_index_].own_macs, network_index_, peer,
                       frame, size, info)) {
    return true;
  }
  cached_source_ = source;
  return false;
}

void RxPath::TellMacClaim(MacVerdict verdict, core::Mac mac, const Opened& opened) {
  if (!mac_events_.TryTake(now_ms_)) return;
  Event event{.kind = EventKind::kMacClaim};
  event.session = opened.index;  // whose quota it takes
  event.network = network_id_;
  event.peer = opened.session.peer;
  event.mac = mac;
  event.verdict = verdict;
  plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
}

void RxPath::WriteRun() {
  if (!joiner_.is_open()) return;
  holds_run_ = false;
  const size_t segments = joiner_.segments();
  io::TapQueue& tap = TapOf(joiner_.network());
  const core::Joiner::Joined joined = joiner_.Finish();
  if (joined.has_completed_checksum) counters_.Add(Counter::kChecksumsCompleted);
  if (segments > 1) {
    counters_.Add(
        joined.offload.gso_type == core::kGsoUdp ? Counter::kUsoJoined : Counter::kJoinedSegments,
        segments);
  }
  const ssize_t wrote = tap.Write(joined.offload, joined.slices, joined.slice_count);
  counters_.Add(Counter::kTapTxWrites);
  if (wrote == -EINVAL) [[unlikely]] {
    return OnRefused(plane_.sessions.at(joiner_.session()), tap, segments);
  }
  if (wrote < 0) counters_.Drop(DropReason::kTapWrite, segments);
  if (!joiner_.IsTcp()) GiveWay(segments);
}

// A program that has its CPU with us reads nothing while we write, and its socket holds some 250 small datagrams: what
// waits with us is safe, what we write beyond that is lost. Costs nothing where nobody waits.
void RxPath::GiveWay(size_t frames) {
  given_way_before_ += frames;
  if (given_way_before_ < kFramesBetweenYields) return;
  given_way_before_ = 0;
  ::sched_yield();
}

// The frame is gone and counted for the member who sent it. Joining ends only when the kernel refuses frames of our own
// too: a member that finds one the kernel dislikes must not slow down all the others (docs/protocol.md §3).
void RxPath::OnRefused(core::Session& session, io::TapQueue& tap, size_t segments) {
  counters_.Drop(DropReason::kTapEinval, segments);
  session.tap_refused.fetch_add(segments, std::memory_order_relaxed);
  core::Joiner::Options options = joiner_.options();
  if (!options.may_join_tcp && !options.may_join_udp) return;
  if (now_ms_ < next_join_probe_ms_) return;
  next_join_probe_ms_ = now_ms_ + kJoinProbeEveryMs;
  counters_.Add(Counter::kJoinProbes);
  const JoinAbility able = ProbeJoining(tap);
  const bool is_lost = (options.may_join_tcp && !able.tcp) || (options.may_join_udp && !able.udp);
  if (!is_lost) return;
  options.may_join_tcp &= able.tcp;
  options.may_join_udp &= able.udp;
  joiner_.set_options(options);
  Event fault{.kind = EventKind::kFault};
  fault.code = kFaultJoinOff;
  fault.error = EINVAL;
  plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(fault));
}

void RxPath::OnFragment(const Opened& opened, uint8_t flags, uint8_t* content, size_t size) {
  counters_.Add(Counter::kFragmentsRx);
  const core::ReassemblyResult result =
      reassembler_.Add({.session = opened.index,
                        .phase = static_cast<uint8_t>(opened.phase),
                        .counter = opened.counter,
                        .flags = static_cast<uint8_t>(flags & core::kFlagPartialChecksum),
                        .network = network_id_,
                        .bytes = {content, size}},
                       now_ms_);
  if (result.timed_out != 0) counters_.Drop(DropReason::kFragmentTimeout, result.timed_out);
  if (result.pushed_out != 0) counters_.Drop(DropReason::kFragmentFull, result.pushed_out);
  if (result.kind == core::ReassemblyResult::Kind::kDropped) return counters_.Drop(result.reason);
  if (result.kind == core::ReassemblyResult::Kind::kIncomplete) return;
  counters_.Add(Counter::kReassembled);
  switch (static_cast<core::InnerKind>(result.original_kind)) {
    case core::InnerKind::kFrame: {
      const uint8_t ecn = std::exchange(ecn_, core::kEcnNotCapable);  // fragments carry no marks
      OnFrame(opened, flags & core::kFlagPartialChecksum, result.whole.data(), result.whole.size());
      ecn_ = ecn;
      // The reassembly buffer is borrowed until the next fragment.
      return WriteRun();
    }
    case core::InnerKind::kControl:
      return OnControl(opened, result.whole.data(), result.whole.size());
    case core::InnerKind::kFlood:
      return OnFlood(opened, result.whole.data(), result.whole.size());
    default:
      counters_.Drop(DropReason::kInnerKind);
  }
}

void RxPath::OnFlood(const Opened& opened, uint8_t* content, size_t size) {
  if (network_id_ != 0) return counters_.Drop(DropReason::kInnerNetwork);  // flooded directly
  std::span<uint8_t> frame;
  if (!tree_.Take(*tables_, opened.session.peer, {content, size}, now_ms_, &frame)) return;
  const core::Slice slice{frame.data(), frame.size()};
  counters_.Add(Counter::kTapTxWrites);
  if (tap_.Write({}, &slice, 1) < 0) return counters_.Drop(DropReason::kTapWrite);
  counters_.Add(Counter::kTapTxFrames);
  counters_.Add(Counter::kTapTxBytes, frame.size());
}

// PING, PONG and reports are answered here: they must not wait for JavaScript (docs/protocol.md, "Who does what").
void RxPath::OnControl(const Opened& opened, uint8_t* message, size_t size) {
  if (network_id_ != 0) return counters_.Drop(DropReason::kInnerNetwork);  // it belongs to none
  ControlMessage control;
  if (!ReadControlMessage({message, size}, &control)) {
    return counters_.Drop(DropReason::kInnerShort);
  }
  switch (control.type) {
    case core::kControlPing:
      return OnPing(opened, control.body);
    case core::kControlPong:
      return OnPong(opened, control.body);
    case core::kControlReceiverReport:
      return OnReceiverReport(opened, control.body);
    default:
      break;
  }
  Event event{.kind = EventKind::kControl};
  event.session = opened.index;
  event.endpoint = opened.from;
  event.value = control.type;
  event.bytes.assign(control.body.begin(), control.body.end());
  if (!plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event))) {
    counters_.Drop(DropReason::kControlQuota);
  }
}

void RxPath::OnPing(const Opened& opened, std::span<const uint8_t> body) {
  const std::optional<core::Ping> ping = core::DecodePing(body);
  if (!ping) return counters_.Drop(DropReason::kInnerShort);
  uint8_t pong[core::kPongBytes];
  core::EncodePong({*ping, opened.from, static_cast<uint16_t>(opened.datagram_size)}, pong);
  const uint32_t path = PathFrom(opened.session.peer, opened.from);
  sealer_.Send(opened.session, core::InnerKind::kControl,
               MakeControlMessage(core::kControlPong, pong), opened.from, kControlDatagram,
               path == core::kNoSlot ? nullptr : &plane_.paths[tables_->paths[path].state]);
}

void RxPath::OnPong(const Opened& opened, std::span<const uint8_t> body) {
  const std::optional<core::Pong> pong = core::DecodePong(body);
  if (!pong) return counters_.Drop(DropReason::kInnerShort);
  counters_.Add(Counter::kPongsRx);
  const core::PathEntry* path = nullptr;
  for (uint32_t at = tables_->peers[opened.session.peer].first_path; at != core::kNoSlot;
       at = tables_->paths[at].next_of_peer) {
    if (tables_->paths[at].id == pong->ping.path) path = &tables_->paths[at];
  }
  if (path == nullptr) return;  // removed meanwhile
  PathState& state = plane_.paths[path->state];
  const uint64_t now_us = BootTimeUs();
  const bool is_probe = (pong->ping.sequence & core::kProbeSequenceBit) != 0;
  const bool is_watch = is_probe && (pong->ping.sequence & core::kWatchSequenceBit) != 0;
  bool became_alive = false;
  bool is_observed_new = false;
  uint32_t rtt_us = 0;
  if (is_probe) {
    // Only what was sent lately: a member cannot feign answers to probes that never were.
    constexpr uint32_t kMarks = core::kProbeSequenceBit | core::kWatchSequenceBit;
    const uint32_t next = state.next_probe.load(std::memory_order_relaxed);
    const uint32_t age = (next - pong->ping.sequence) & ~kMarks;
    if (age == 0 || age > kProbesRemembered) return;
  }
  {
    const std::lock_guard guard(state.mutex);
    if (is_probe) {
      state.size_watch.OnAnswered(pong->received_bytes);
      if (is_watch) return;
      became_alive = state.clock.OnProbeAnswered(now_us);
      rtt_us = static_cast<uint32_t>(std::min<uint64_t>(now_us - pong->ping.sent_us, UINT32_MAX));
    } else {
      const core::PathClock::PongResult result = state.clock.OnPong(now_us, pong->ping.sequence);
      if (!result.is_known) return;
      state.size_watch.OnSmallAnswered(now_us, result.sent_us);
      became_alive = result.became_alive;
      rtt_us = result.rtt_us;
    }
    // Through relays we are seen at no endpoint.
    if (!path->is_relayed && !(pong->observed == core::SourceAddress{})) {
      is_observed_new = !(state.observed == pong->observed);
      state.observed = pong->observed;
    }
  }
  const auto push = [&](EventKind kind, uint32_t value) {
    Event event{.kind = kind};
    event.session = opened.index;  // whose quota it takes
    event.path = path->id;
    event.rtt_us = rtt_us;
    event.value = value;
    event.endpoint = pong->observed;
    plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
  };
  if (became_alive) push(EventKind::kPathAlive, 0);
  if (is_probe) push(EventKind::kProbeAnswered, pong->received_bytes);
  if (is_observed_new) push(EventKind::kObserved, 0);
}

// Two reports in a row that show datagrams, but none of the size we send: the path swallows the long ones.
void RxPath::OnReceiverReport(const Opened& opened, std::span<const uint8_t> body) {
  const std::optional<core::ReceiverReport> report = core::DecodeReceiverReport(body);
  if (!report) return counters_.Drop(DropReason::kInnerShort);
  const uint32_t position = PathFrom(opened.session.peer, opened.from);
  if (position == core::kNoSlot) return;
  const core::PathEntry& path = tables_->paths[position];
  PathState& state = plane_.paths[path.state];
  const uint32_t sent = state.largest_sent.exchange(0, std::memory_order_relaxed);
  const std::lock_guard guard(state.mutex);
  JudgeTrains(opened, path.id, state, *report, sent);
  if (sent <= report->largest_bytes || report->largest_bytes == 0) {
    state.reports_too_small = 0;
    return;
  }
  if (++state.reports_too_small < kReportsToShrink) return;
  state.reports_too_small = 0;
  Event event{.kind = EventKind::kPathTooBig};
  event.session = opened.index;
  event.path = path.id;
  event.value = report->largest_bytes;
  plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
}

// Under the path's mutex.
void RxPath::JudgeTrains(const Opened& opened, uint32_t path, PathState& state,
                         const core::ReceiverReport& report, uint32_t largest_sent) {
  const bool is_size_lost = largest_sent > report.largest_bytes && largest_sent > kFloorDatagram;
  const core::TrainHealth::Verdict verdict = state.trains.OnReport(report, is_size_lost, now_ms_);
  const bool is_new = verdict == core::TrainHealth::Verdict::kOff;
  if (is_new || verdict == core::TrainHealth::Verdict::kStillOff) {
    counters_.Add(Counter::kGsoFallbacks);
  }
  if (!is_new) return;
  Event fault{.kind = EventKind::kFault};
  fault.session = opened.index;
  fault.code = "OVL_TRAINS_LOST";
  fault.path = path;
  plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(fault));
}

}  // namespace overlayd::engine
