#include "native/engine/tx_path.h"

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "native/core/checksum.h"
#include "native/core/ecn.h"
#include "native/core/fragment.h"
#include "native/core/mss.h"
#include "native/core/multicast.h"
#include "native/core/relay_header.h"
#include "native/core/segment.h"
#include "native/engine/neighbour_answer.h"
#include "native/engine/relay_path.h"
#include "native/engine/train_refusal.h"

namespace overlayd::engine {
namespace {

using core::Counter;
using core::DropReason;
using core::FrameInfo;
using core::kDatagramOverhead;
using core::kInnerHeaderSize;

constexpr size_t kHeadroom = 64;  // offload header, inner and fragment headers
constexpr size_t kMaxFrame = 65535 + 64;
constexpr size_t kArenaSize = 256 * 1024;
constexpr size_t kMaxTrains = io::UdpSocket::kMaxBatch;
constexpr size_t kMaxTrainBytes = 65507;  // one UDP payload, IPv4
constexpr size_t kFlushAtBytes = 48 * 1024;
constexpr size_t kFramesPerDrain = 256;
constexpr size_t kMinSegmentPayload = 64;
// Of a super-frame. Linux makes none of less than 48 bytes; a guest with raw sockets may ask for one of a byte, and each
// costs a datagram to each member.
constexpr size_t kMaxSegments = 2048;
constexpr int kWritableWaitMs = 100;
constexpr int kWritableWaitInsideMs = 10;
// Frames to a MAC that nobody knows, in units of one packet of the usual MTU. Each costs a copy per member, and a host
// that is there answers the first.
constexpr core::TokenRate kUnknownUnicastRate{1000, 1'000'000};
constexpr size_t kUnknownUnicastUnit = 1500;
constexpr core::TokenRate kMacEventRate{64, 16'000};
constexpr core::TokenRate kMembershipEventRate{256, 64'000};
constexpr size_t kMaxMembershipFrame = 2048;
constexpr uint64_t kSessionLimitPackets = uint64_t{1} << 30;
// Counters beyond this would endanger the nonce; a rekey was asked for long before.
constexpr uint64_t kHardLimitPackets = uint64_t{1} << 40;

}  // namespace

struct TxPath::Train {
  core::SourceAddress to;
  uint32_t path_state;
  uint32_t path_id;
  size_t stride;
  size_t bytes;
  size_t count;
  size_t continued;  // of them, marked as continuing the one before
  size_t part_count;
  uint64_t next_counter;
  bool is_closed;  // a short datagram ended it
  uint8_t ecn;     // one IP header: datagrams of another mark are another train
  iovec parts[core::kMaxTrain];
};

TxPath::TxPath(Plane& plane, size_t worker, io::TapQueue& tap, Sockets& sockets,
               core::CounterBlock& counters, size_t queue)
    : plane_(plane),
      worker_(worker),
      tap_(tap),
      sockets_(sockets),
      counters_(counters),
      queue_(queue),
      unknown_unicast_(core::kMaxNetworks, core::TokenBucket(kUnknownUnicastRate)),
      mac_events_(kMacEventRate),
      membership_events_(kMembershipEventRate),
      read_buffer_(new uint8_t[kHeadroom + kMaxFrame]),
      flood_buffer_(new uint8_t[kHeadroom + kMaxFrame]),
      wanted_(plane.events),
      tree_(plane, sockets, counters),
      arena_(new uint8_t[kArenaSize]),
      trains_(new Train[kMaxTrains]) {}

TxPath::~TxPath() = default;

bool TxPath::Drain(uint64_t now_ms) {
  const Quiescence::Guard guard(plane_.quiescence, worker_);
  Begin(0, now_ms);
  return MoveFrames();
}

void TxPath::DrainNetwork(uint32_t index, io::Poller& poller, uint64_t now_ms) {
  const Quiescence::Guard guard(plane_.quiescence, worker_);
  Begin(index, now_ms);
  if (!MoveFrames()) poller.Remove(source_->fd());
}

void TxPath::Begin(uint32_t network_index, uint64_t now_ms) {
  tables_ = plane_.tables.load(std::memory_order_acquire);
  network_index_ = network_index;
  network_id_ = tables_->networks[network_index].id;
  LookAtTables();
  now_ms_ = now_ms;
  cached_source_ = kNoMac;
}

// The network at hand in the tables as they are now: it may have been closed, and its place given to another.
void TxPath::LookAtTables() {
  network_ = &tables_->networks[network_index_];
  source_ = nullptr;
  if (!network_->is_open || network_->id != network_id_) return;
  source_ = network_index_ == 0 ? &tap_ : plane_.networks[network_index_].queues[queue_].get();
}

// False: the TAP is gone.
bool TxPath::MoveFrames() {
  for (size_t i = 0; i < kFramesPerDrain && source_ != nullptr; ++i) {
    core::OffloadHeader offload;
    uint8_t* frame = read_buffer_.get() + kHeadroom;
    const ssize_t got = source_->Read(frame, kMaxFrame, &offload);
    if (got == -EAGAIN || got == -EINTR) break;
    if (got < 0) {
      Flush();
      Event fault{.kind = EventKind::kFault};
      fault.code = "OVL_TAP_LOST";
      fault.error = static_cast<int>(-got);
      fault.network = network_id_;
      plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(fault));
      return false;
    }
    counters_.Add(Counter::kTapRxFrames);
    counters_.Add(Counter::kTapRxBytes, static_cast<uint64_t>(got));
    Forward(frame, static_cast<size_t>(got), offload);
    if (arena_used_ >= kFlushAtBytes) FlushBetweenFrames();
  }
  FlushBetweenFrames();
  return true;
}

void TxPath::Forward(uint8_t* frame, size_t size, const core::OffloadHeader& offload) {
  FrameInfo info;
  if (!core::ParseFrame(frame, size, &info)) return counters_.Drop(DropReason::kTapShort);
  ecn_ = core::EcnOf(frame, size, info);
  const core::Mac destination = core::LoadMac(frame);
  if (core::IsReservedMulticast(destination)) return counters_.Drop(DropReason::kReservedMulticast);
  if (info.ether_type == core::kEtherTypeMacControl) return counters_.Drop(DropReason::kMacControl);
  bool is_partial = false;
  if (!SettleChecksum(frame, size, offload, info, &is_partial)) {
    return counters_.Drop(DropReason::kTapParse);
  }
  const size_t gso_size =
      (offload.gso_type & ~core::kGsoEcn) == core::kGsoNone ? 0 : offload.gso_size;
  if (gso_size != 0 && (!is_partial || size / gso_size > kMaxSegments)) {
    return counters_.Drop(DropReason::kTapParse);
  }

  if (const core::Mac source = core::LoadMac(frame + 6); source != cached_source_) {
    NoteLocalSource(source);
  }
  if (core::IsGroup(destination)) {
    if (AnswerNeighbour(*tables_, network_index_, frame, size, info, *source_, counters_,
                        &asked_peer_)) {
      return;
    }
    const std::vector<uint32_t>* listeners = ListenersOf(destination, frame, size, info);
    if (listeners == nullptr) {
      return FloodAll(frame, size, info, is_partial, gso_size);
    }
    if (listeners->empty()) {
      if (network_->has_absent) TellFlood(frame, size, info);
      return counters_.Drop(DropReason::kGroupNobody);
    }
    counters_.Add(Counter::kGrouped);
    return Flood(*listeners, frame, size, info, is_partial, gso_size);
  }
  uint32_t peer = tables_->declared_fdb.Find(core::FdbKey(network_index_, destination));
  if (peer == core::kNoSlot) {
    const auto now_s = static_cast<uint32_t>(now_ms_ / 1000);
    peer = plane_.fdb.Lookup(network_id_, destination, now_s);
    if (peer == 0) {
      const auto units = static_cast<uint32_t>(size / kUnknownUnicastUnit + 1);
      if (!unknown_unicast_[network_index_].TryTake(now_ms_, units)) {
        return counters_.Drop(DropReason::kUnknownUnicast);
      }
      return FloodAll(frame, size, info, is_partial, gso_size);
    }
  } else if (peer == core::kLocalPeer) {
    return counters_.Drop(DropReason::kOwnDestination);  // the bridge has flooded it to that port
  }
  ToPeer(peer, frame, size, info, is_partial, gso_size);
}

// Local evidence wins: who sends from here is not behind a peer any more, and the control plane tells the others.
void TxPath::NoteLocalSource(core::Mac mac) {
  cached_source_ = mac;
  uint32_t holder = plane_.fdb.Remove(network_id_, mac);
  const uint32_t declared = tables_->declared_fdb.Find(core::FdbKey(network_index_, mac));
  if (declared != core::kNoSlot) holder = declared;
  if (holder == core::kLocalPeer || !mac_events_.TryTake(now_ms_)) return;
  Event event{.kind = EventKind::kMacClaim};
  event.network = network_id_;
  event.peer = holder;
  event.mac = mac;
  event.verdict = MacVerdict::kLocal;
  plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
}

// The kernel's offsets are believed only where they agree with our parse; other unfinished checksums are completed here.
bool TxPath::SettleChecksum(uint8_t* frame, size_t size, const core::OffloadHeader& offload,
                            const FrameInfo& info, bool* is_partial) {
  *is_partial = false;
  if ((offload.flags & core::kOffloadNeedsChecksum) == 0) return true;
  if (info.frame_class == core::FrameClass::kTransport && info.ip_end == size &&
      offload.checksum_start == info.l4_offset &&
      offload.checksum_offset == info.ChecksumOffset() &&
      // Segments get a field of their own; a lone one must hold what the far side will look for.
      (offload.gso_type != core::kGsoNone || core::VerifyPartial(frame, info))) {
    *is_partial = true;
    return true;
  }
  const size_t start = offload.checksum_start;
  const size_t field = start + offload.checksum_offset;
  if (field + 2 > size || start > size) return false;
  auto checksum =
      static_cast<uint16_t>(~core::FoldSum(core::SumBytes(frame + start, size - start)));
  if (checksum == 0) checksum = 0xffff;  // equal as a sum, and never taken for "none"
  core::StoreBe16(frame + field, checksum);
  counters_.Add(Counter::kChecksumsCompleted);
  return true;
}

// Tagged frames are flooded: nobody asks for listeners in there.
const std::vector<uint32_t>* TxPath::ListenersOf(core::Mac group, const uint8_t* frame, size_t size,
                                                 const FrameInfo& info) {
  if (info.ether_type != core::kEtherTypeIpv4 && info.ether_type != core::kEtherTypeIpv6) {
    return nullptr;
  }
  const core::Membership membership = core::MembershipOf(frame, size, info);
  if (membership != core::Membership::kNone) TellMembership(frame, size);
  // Who hears the report of another keeps his own to himself: only routers get them (RFC 4541 §2.1.1).
  if (membership == core::Membership::kReport) {
    group = core::kRouterGroup;
  } else if (info.has_vlan_tag || !core::IsSnooped(group)) {
    return nullptr;
  }
  const uint32_t position = tables_->groups.Find(core::FdbKey(network_index_, group));
  return position == core::kNoSlot ? nullptr : &tables_->group_peers[position];
}

void TxPath::TellMembership(const uint8_t* frame, size_t size) {
  if (size > kMaxMembershipFrame || !membership_events_.TryTake(now_ms_)) {
    ++memberships_missed_[network_index_];
    return;
  }
  Event event{.kind = EventKind::kMembership};
  event.network = network_id_;
  event.value = std::exchange(memberships_missed_[network_index_], 0);
  event.bytes.assign(frame, frame + size);
  plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
}

void TxPath::FloodAll(uint8_t* frame, size_t size, const FrameInfo& info, bool is_partial,
                      size_t gso_size) {
  if (network_index_ != 0 || tables_->tree_origin == 0) [[likely]] {
    return Flood(network_->reachable, frame, size, info, is_partial, gso_size);
  }
  if (network_->has_absent) TellFlood(frame, size, info);
  tree_.Originate(*tables_, frame, size, info, is_partial, gso_size, now_ms_);
}

void TxPath::Flood(const std::vector<uint32_t>& members, uint8_t* frame, size_t size,
                   const FrameInfo& info, bool is_partial, size_t gso_size) {
  if (network_->has_absent) [[unlikely]]
    TellFlood(frame, size, info);
  if (members.empty()) return counters_.Drop(DropReason::kFloodNoMembers);
  counters_.Add(Counter::kFlooded);
  for (size_t i = 0; i + 1 < members.size(); ++i) {
    uint8_t* copy = flood_buffer_.get() + kHeadroom;  // cutting destroys the frame
    std::memcpy(copy, frame, size);
    ToPeer(members[i], copy, size, info, is_partial, gso_size);
  }
  ToPeer(members.back(), frame, size, info, is_partial, gso_size);
}

// Somebody did not get this flood. Listener reports and router solicitations, which kernels send by themselves and
// which want nobody's answer, are not worth a session with each peer.
void TxPath::TellFlood(const uint8_t* frame, size_t size, const FrameInfo& info) {
  constexpr size_t kArpTarget = 24;
  const core::Mac to = core::LoadMac(frame);
  if (core::IsHousekeeping(to)) return;
  if (const uint32_t peer = std::exchange(asked_peer_, 0); peer != 0) {
    return wanted_.Tell(network_id_, peer, 0, now_ms_);
  }
  const bool is_arp = info.ether_type == core::kEtherTypeArp && info.l3_offset != 0 &&
                      size >= info.l3_offset + kArpTarget + 4;
  const uint8_t* target = frame + info.l3_offset + kArpTarget;
  wanted_.Tell(network_id_, 0, is_arp ? core::LoadBe32(target) : 0, now_ms_);
}

void TxPath::ToPeer(uint32_t peer_slot, uint8_t* frame, size_t size, const FrameInfo& info,
                    bool is_partial, size_t gso_size) {
  const core::PeerEntry& peer = tables_->peers[peer_slot];
  if (!peer.is_present) return counters_.Drop(DropReason::kNoPeer);
  if (peer.session == core::kNoSlot || peer.path == core::kNoSlot) [[unlikely]] {
    wanted_.Tell(network_id_, peer_slot, 0, now_ms_);
    return counters_.Drop(peer.session == core::kNoSlot ? DropReason::kNoSession
                                                        : DropReason::kNoPath);
  }
  core::Session& session = plane_.sessions.at(peer.session);
  const core::PathEntry& path = tables_->paths[peer.path];

  if (path.is_relayed) [[unlikely]] {
    const Route route = RouteTo(*tables_, path.endpoint);
    if (route.problem != DropReason::kNone) return counters_.Drop(route.problem);
  }

  const size_t datagram = std::min<size_t>(
      path.datagram_bytes, plane_.paths[path.state].limit_bytes.load(std::memory_order_relaxed));
  const size_t max_frame = std::min<size_t>(datagram, kMaxTrainBytes) - kDatagramOverhead -
                           (path.is_relayed ? core::kRelayHeaderSize : 0);

  if (info.IsTcp() && (info.tcp_flags & core::kTcpSyn) != 0 &&
      core::ClampMss({frame, size}, max_frame - info.l3_offset, is_partial)) {
    counters_.Add(Counter::kMssClamped);
  }
  if (is_partial && (gso_size != 0 || (info.IsTcp() && size > max_frame))) {
    size_t payload = gso_size != 0 ? gso_size : size - info.payload_offset;
    if (info.IsTcp() && max_frame >= info.payload_offset + kMinSegmentPayload) {
      payload = std::min(payload, max_frame - info.payload_offset);
    }
    return SendCut(path, session, frame, info, payload, max_frame);
  }
  const uint8_t flags = is_partial ? core::kFlagPartialChecksum : 0;
  if (size > max_frame) return SendFragments(path, session, frame, size, flags, max_frame);
  SendWhole(path, session, frame, size, flags);
}

void TxPath::SendWhole(const core::PathEntry& path, core::Session& session, uint8_t* frame,
                       size_t size, uint8_t flags) {
  const uint32_t phase = session.tx_phase.load(std::memory_order_acquire);
  if (phase == core::kNoTxPhase) return counters_.Drop(DropReason::kNoSession);
  uint8_t* inner = frame - kInnerHeaderSize;
  const uint64_t counter = core::ReserveCounters(session.tx[phase & 1], 1);
  core::WriteInnerHeader(inner, core::InnerKind::kFrame, flags, network_id_);
  Seal(path, session, phase, counter, inner, kInnerHeaderSize + size);
}

void TxPath::SendCut(const core::PathEntry& path, core::Session& session, uint8_t* frame,
                     const FrameInfo& info, size_t segment_payload, size_t max_frame) {
  core::Cutter cutter(frame, info, segment_payload);
  const uint32_t phase = session.tx_phase.load(std::memory_order_acquire);
  if (phase == core::kNoTxPhase) return counters_.Drop(DropReason::kNoSession);
  const size_t count = cutter.count();
  if (cutter.FrameSize(0) >
      max_frame) {  // UDP segments that do not fit, or headers that leave no room
    for (size_t i = 0; i < count; ++i) {
      uint8_t* segment = cutter.Make(i);
      const size_t size = cutter.FrameSize(i);
      if (size > max_frame) {
        SendFragments(path, session, segment, size, core::kFlagPartialChecksum, max_frame);
      } else {  // the last may be short enough
        SendWhole(path, session, segment, size, core::kFlagPartialChecksum);
      }
    }
    return;
  }
  const uint64_t first = core::ReserveCounters(session.tx[phase & 1], static_cast<uint32_t>(count));
  if (count > 1) counters_.Add(Counter::kTrainsTx);
  for (size_t i = 0; i < count; ++i) {
    uint8_t* segment = cutter.Make(i);
    uint8_t flags = core::kFlagPartialChecksum;
    if (i + 1 == count) flags |= core::kFlagLastOfTrain;
    uint8_t* inner = segment - kInnerHeaderSize;
    core::WriteInnerHeader(inner, core::InnerKind::kFrame, flags, network_id_);
    Seal(path, session, phase, first + i, inner, kInnerHeaderSize + cutter.FrameSize(i));
  }
}

// As in Cutter, the headers of a slice overwrite the tail of the slice before, which is sealed already.
void TxPath::SendFragments(const core::PathEntry& path, core::Session& session, uint8_t* frame,
                           size_t size, uint8_t flags, size_t max_frame) {
  const uint32_t phase = session.tx_phase.load(std::memory_order_acquire);
  if (phase == core::kNoTxPhase) return counters_.Drop(DropReason::kNoSession);
  const core::FragmentPlan plan = core::PlanFragments(size, max_frame - core::kFragmentHeaderBytes);
  if (plan.count == 0) return counters_.Drop(DropReason::kTooBig);
  // A mark on one fragment could not be given to the whole: routers shall drop instead (RFC 6040 §5).
  const uint8_t ecn = std::exchange(ecn_, core::kEcnNotCapable);
  const uint64_t first = core::ReserveCounters(session.tx[phase & 1], plan.count);
  for (uint8_t i = 0; i < plan.count; ++i) {
    uint8_t* header = frame + plan.OffsetOf(i) - core::kFragmentHeaderBytes;
    uint8_t* inner = header - kInnerHeaderSize;
    core::WriteInnerHeader(inner, core::InnerKind::kFragment, flags, network_id_);
    core::WriteFragmentHeader(header, plan, i, static_cast<uint8_t>(core::InnerKind::kFrame));
    Seal(path, session, phase, first + i, inner,
         kInnerHeaderSize + core::kFragmentHeaderBytes + plan.LengthOf(i));
  }
  ecn_ = ecn;
  counters_.Add(Counter::kFragmentsTx, plan.count);
}

void TxPath::Seal(const core::PathEntry& path, core::Session& session, uint32_t phase,
                  uint64_t counter, uint8_t* inner, size_t inner_size) {
  if (counter >= kSessionLimitPackets) [[unlikely]] {
    if (!session.is_limit_reported.exchange(true, std::memory_order_relaxed)) {
      Event event{.kind = EventKind::kSessionLimit};
      event.session = session.index.load(std::memory_order_relaxed);
      plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
    }
    if (counter >= kHardLimitPackets) return counters_.Drop(DropReason::kSessionExpired);
  }
  const size_t front_size = path.is_relayed ? core::kRelayHeaderSize : 0;
  const size_t size = front_size + core::kDataHeaderSize + inner_size + core::kTagSize;
  uint8_t* out;
  Train& train = Reserve(path, size, &out);
  // Who leaves alone is a single in the far side's reports, whatever made it: lone frames of one size share a train.
  if (train.count > 1 && counter == train.next_counter) {
    inner[1] |= core::kFlagContinues;
    ++train.continued;
  }
  train.next_counter = counter + 1;
  if (front_size != 0) [[unlikely]] {
    core::WriteRelayHeader(out, {core::kFirstTtl, tables_->labels[path.label].out_label});
    out += front_size;
  }
  core::WriteDataHeader(out, {static_cast<uint8_t>(phase), session.remote_index, counter});
  plane_.AeadOf(session).seal(session.tx[phase & 1].key, scratch_, out, counter, inner, inner_size,
                              out + core::kDataHeaderSize);
  counters_.Add(Counter::kSealed);
  session.tx_packets.fetch_add(1, std::memory_order_relaxed);
  session.tx_bytes.fetch_add(size, std::memory_order_relaxed);
}

TxPath::Train& TxPath::Reserve(const core::PathEntry& path, size_t size, uint8_t** out) {
  if (arena_used_ + size > kArenaSize) Flush();
  *out = arena_.get() + arena_used_;
  // Only the youngest train of a path may grow: datagrams of one path stay in order.
  Train* train = nullptr;
  for (size_t i = train_count_; i-- > 0;) {
    if (trains_[i].path_state == path.state) {
      train = &trains_[i];
      break;
    }
  }
  if (train == nullptr || train->is_closed || size > train->stride || train->ecn != ecn_ ||
      train->count == core::kMaxTrain || train->bytes + size > kMaxTrainBytes) {
    if (train_count_ == kMaxTrains) {
      Flush();
      *out = arena_.get();
    }
    train = &trains_[train_count_++];
    train->to =
        path.is_relayed ? tables_->paths[tables_->labels[path.label].path].endpoint : path.endpoint;
    train->path_state = path.state;
    train->path_id = path.id;
    train->stride = size;
    train->bytes = 0;
    train->count = 0;
    train->continued = 0;
    train->part_count = 0;
    train->is_closed = false;
    train->ecn = ecn_;
  }
  if (size != train->stride) train->is_closed = true;
  iovec* last = train->part_count == 0 ? nullptr : &train->parts[train->part_count - 1];
  if (last != nullptr && static_cast<uint8_t*>(last->iov_base) + last->iov_len == *out) {
    last->iov_len += size;
  } else {
    train->parts[train->part_count++] = {*out, size};
  }
  train->bytes += size;
  ++train->count;
  arena_used_ += size;
  return *train;
}

// Between frames nothing of the tables is held: a full socket may be waited for outside.
void TxPath::FlushBetweenFrames() {
  may_leave_ = true;
  Flush();
  may_leave_ = false;
}

void TxPath::Flush() {
  // Runs of trains for the same socket go out in one call.
  size_t first = 0;
  while (first < train_count_) {
    io::UdpSocket* socket = sockets_.For(trains_[first].to);
    size_t end = first + 1;
    while (end < train_count_ && sockets_.For(trains_[end].to) == socket) ++end;
    if (socket == nullptr) {
      counters_.Drop(DropReason::kNoPath, end - first);
    } else {
      FlushSocket(*socket, first, end - first);
    }
    first = end;
  }
  train_count_ = 0;
  arena_used_ = 0;
}

void TxPath::FlushSocket(io::UdpSocket& socket, size_t first, size_t count) {
  io::OutTrain out[kMaxTrains];
  size_t done = 0;
  while (done < count) {
    Train& head = trains_[first + done];
    if (head.count > 1 && !MayUseGso(socket, head)) {
      SendSingly(socket, head);
      ++done;
      continue;
    }
    size_t batch = 0;
    for (; done + batch < count; ++batch) {
      const Train& train = trains_[first + done + batch];
      if (train.count > 1 && !MayUseGso(socket, train)) break;
      out[batch] = {train.parts, train.part_count, train.stride, train.count, train.to, train.ecn};
    }
    const int sent = socket.Send(out, batch);
    counters_.Add(Counter::kUdpTxCalls);
    if (sent == -EAGAIN || sent == -EINTR) {
      if (WaitWritable(socket)) continue;
      for (; done < count; ++done) {
        counters_.Drop(DropReason::kSendEnobufs, trains_[first + done].count);
      }
      return;
    }
    if (sent < 0) {
      if (IsTrainRefused(head.count, sent)) {
        const size_t taken = SendSingly(socket, head);
        OnTrainRefused(plane_, counters_, StateOf(head), head.path_id, sent, taken, head.count,
                       now_ms_);
      } else {
        OnSendError(head, -sent);
      }
      ++done;
      continue;
    }
    for (int i = 0; i < sent; ++i) {
      const Train& train = trains_[first + done + static_cast<size_t>(i)];
      NoteSent(train, train.count, train.bytes);
      if (PathState* state = StateOf(train)) {
        if (train.count > 1) state->gso.Succeed();
        state->trains.NoteTrain(static_cast<uint32_t>(train.count),
                                static_cast<uint32_t>(train.continued));
      }
    }
    done += static_cast<size_t>(sent);
  }
}

bool TxPath::MayUseGso(const io::UdpSocket& socket, const Train& train) {
  if (!socket.has_gso()) return false;
  const PathState* state = StateOf(train);
  return state == nullptr || MaySendTrains(*state, now_ms_);
}

PathState* TxPath::StateOf(const Train& train) {
  return train.path_state == core::kNoSlot ? nullptr : &plane_.paths[train.path_state];
}

void TxPath::NoteSent(const Train& train, size_t datagrams, size_t bytes) {
  counters_.Add(Counter::kUdpTxDatagrams, datagrams);
  counters_.Add(Counter::kUdpTxBytes, bytes);
  PathState* state = StateOf(train);
  if (state == nullptr || datagrams == 0) return;
  state->tx_datagrams.fetch_add(datagrams, std::memory_order_relaxed);
  state->tx_bytes.fetch_add(bytes, std::memory_order_relaxed);
  state->last_frame_ms.store(now_ms_, std::memory_order_relaxed);
  state->NoteSize(train.stride);
  if (state->largest_sent.load(std::memory_order_relaxed) < train.stride) {
    state->largest_sent.store(static_cast<uint32_t>(train.stride), std::memory_order_relaxed);
  }
}

// For kernels and devices without UDP_SEGMENT: the datagrams of a train one by one, still in one call.
size_t TxPath::SendSingly(io::UdpSocket& socket, Train& train) {
  iovec parts[core::kMaxTrain];
  io::OutTrain out[core::kMaxTrain];
  size_t count = 0;
  for (size_t i = 0; i < train.part_count; ++i) {
    auto* at = static_cast<uint8_t*>(train.parts[i].iov_base);
    size_t left = train.parts[i].iov_len;
    while (left != 0) {
      const size_t size = std::min(left, train.stride);
      parts[count] = {at, size};
      out[count] = {&parts[count], 1, size, 1, train.to, train.ecn};
      ++count;
      at += size;
      left -= size;
    }
  }
  size_t done = 0;
  size_t sent_datagrams = 0;
  size_t sent_bytes = 0;
  while (done < count) {
    const int sent = socket.Send(out + done, count - done);
    counters_.Add(Counter::kUdpTxCalls);
    if (sent == -EAGAIN || sent == -EINTR) {
      if (WaitWritable(socket)) continue;
      counters_.Drop(DropReason::kSendEnobufs, count - done);
      break;
    }
    if (sent < 0) {
      Train single = train;
      single.count = 1;
      OnSendError(single, -sent);
      ++done;
      continue;
    }
    for (int i = 0; i < sent; ++i) sent_bytes += out[done + static_cast<size_t>(i)].stride;
    done += static_cast<size_t>(sent);
    sent_datagrams += static_cast<size_t>(sent);
  }
  NoteSent(train, sent_datagrams, sent_bytes);
  if (PathState* state = StateOf(train)) {
    state->trains.NoteSingly(static_cast<uint32_t>(sent_datagrams),
                             static_cast<uint32_t>(std::min(train.continued, sent_datagrams)));
  }
  return sent_datagrams;
}

void TxPath::OnSendError(Train& train, int error) {
  PathState* state = StateOf(train);
  if (error == EMSGSIZE) {
    counters_.Drop(DropReason::kTooBig, train.count);
    // docs/protocol.md §8: what nearly every path carries, then the floor. Control finds the size between by probing.
    constexpr uint32_t kUsual = 1200;
    constexpr uint32_t kFloor = 548;
    const uint32_t lowered = train.stride > kUsual ? kUsual : kFloor;
    if (state != nullptr && state->limit_bytes.load(std::memory_order_relaxed) > lowered) {
      state->limit_bytes.store(lowered, std::memory_order_relaxed);
      Event event{.kind = EventKind::kPathTooBig};
      event.path = train.path_id;
      event.value = lowered;
      plane_.events.Push(EventRing::Ring::kAuthenticated, std::move(event));
    }
    return;
  }
  counters_.Drop(error == ENOBUFS ? DropReason::kSendEnobufs : DropReason::kSendError, train.count);
}

// The kernel's queue is full: wait for it, so that the TAP's queue fills and senders feel it. What waits here is sealed
// and self-contained, so tables may change meanwhile when no frame is half cut. False: it did not drain in time, and
// the caller drops what it has: a link that takes nothing must not hold up the control plane, which waits for us.
bool TxPath::WaitWritable(io::UdpSocket& socket) {
  has_waited_ = true;
  const bool may_leave = may_leave_;
  if (may_leave) plane_.quiescence.Exit(worker_);
  pollfd wait{socket.fd(), POLLOUT, 0};
  const int ready = ::poll(&wait, 1, may_leave ? kWritableWaitMs : kWritableWaitInsideMs);
  if (may_leave) {
    plane_.quiescence.Enter(worker_);
    tables_ = plane_.tables.load(std::memory_order_acquire);
    LookAtTables();
    ForgetRemovedPaths();
  }
  return ready > 0 || (ready < 0 && errno == EINTR);
}

// Trains that wait are still sent, but the places of removed paths may belong to others by now.
void TxPath::ForgetRemovedPaths() {
  for (size_t i = 0; i < train_count_; ++i) {
    Train& train = trains_[i];
    const auto is_same = [&](const core::PathEntry& path) {
      return path.state == train.path_state && path.id == train.path_id;
    };
    if (std::none_of(tables_->paths.begin(), tables_->paths.end(), is_same)) {
      train.path_state = core::kNoSlot;
    }
  }
}

}  // namespace overlayd::engine
