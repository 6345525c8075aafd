#include "native/engine/flood_tree.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "native/core/checksum.h"
#include "native/core/segment.h"
#include "native/engine/address_guard.h"

namespace overlayd::engine {

using core::Counter;
using core::DropReason;

void FloodTree::Originate(const core::Tables& tables, uint8_t* frame, size_t size,
                          const core::FrameInfo& info, bool is_partial, size_t gso_size,
                          uint64_t now_ms) {
  if (tables.tree_peers.empty()) return counters_.Drop(DropReason::kFloodNoMembers);
  if (!is_partial) return Say(tables, {frame, size}, now_ms);
  if (gso_size == 0) {
    core::CompleteChecksum(frame, info);
    return Say(tables, {frame, size}, now_ms);
  }
  core::Cutter cutter(frame, info, gso_size);
  for (size_t i = 0; i < cutter.count(); ++i) {
    uint8_t* segment = cutter.Make(i);
    // A slice's headers stand in the tail of the one before: what is sent is a copy.
    std::vector<uint8_t> whole(segment, segment + cutter.FrameSize(i));
    core::FrameInfo parsed;
    if (!core::ParseFrame(whole.data(), whole.size(), &parsed) ||
        parsed.frame_class != core::FrameClass::kTransport) {
      return counters_.Drop(DropReason::kTapParse);
    }
    core::CompleteChecksum(whole.data(), parsed);
    Say(tables, whole, now_ms);
  }
}

void FloodTree::Say(const core::Tables& tables, std::span<const uint8_t> frame, uint64_t now_ms) {
  const core::FloodHeader header{tables.tree_origin, plane_.floods.TakeSequence(),
                                 core::kFloodHops};
  // Remembered, for it comes back.
  if (plane_.floods.Take(0, header, frame, now_ms) != FloodState::Verdict::kNew) {
    return counters_.Drop(DropReason::kFloodRate);
  }
  std::vector<uint8_t> content(core::kFloodHeaderSize + frame.size());
  core::WriteFloodHeader(content.data(), header);
  std::memcpy(content.data() + core::kFloodHeaderSize, frame.data(), frame.size());
  counters_.Add(Counter::kFlooded);
  PassOn(tables, 0, content);
}

bool FloodTree::Take(const core::Tables& tables, uint32_t via, std::span<uint8_t> content,
                     uint64_t now_ms, std::span<uint8_t>* frame) {
  const auto drop = [&](DropReason reason) {
    counters_.Drop(reason);
    return false;
  };
  // A small mesh has none of these: there, one datagram of a hostile member would become one of each for each.
  if (!tables.takes_floods) return drop(DropReason::kFloodNoTree);
  core::FloodHeader header;
  if (content.size() < core::kFloodHeaderSize + core::kEthernetHeaderSize) {
    return drop(DropReason::kInnerShort);
  }
  if (!core::ReadFloodHeader(content.data(), &header)) return drop(DropReason::kGateZero);
  *frame = content.subspan(core::kFloodHeaderSize);
  if (header.origin == tables.tree_origin) return drop(DropReason::kFloodAgain);
  if (!IsAllowed(tables, header.origin, *frame)) return false;
  const FloodState::Verdict verdict = plane_.floods.Take(via, header, *frame, now_ms);
  if (verdict == FloodState::Verdict::kAgain) return drop(DropReason::kFloodAgain);
  if (verdict == FloodState::Verdict::kTooMany) return drop(DropReason::kFloodRate);
  Learn(tables, header.origin, core::LoadMac(frame->data() + 6), now_ms);
  if (header.hops != 0) {
    --header.hops;
    core::WriteFloodHeader(content.data(), header);
    counters_.Add(Counter::kFloodsPassed);
    PassOn(tables, via, content);
  }
  return true;
}

void FloodTree::PassOn(const core::Tables& tables, uint32_t via, std::span<const uint8_t> content) {
  for (const uint32_t slot : tables.tree_peers) {
    if (slot == via) continue;
    const core::PeerEntry& peer = tables.peers[slot];
    const core::PathEntry& path = tables.paths[peer.path];
    PathState& state = plane_.paths[path.state];
    const size_t datagram =
        std::min<size_t>(path.datagram_bytes, state.limit_bytes.load(std::memory_order_relaxed));
    sealer_.Send(plane_.sessions.at(peer.session), core::InnerKind::kFlood, content, path.endpoint,
                 datagram, &state);
  }
}

// As for frames that come directly, with the origin in the sender's place.
bool FloodTree::IsAllowed(const core::Tables& tables, uint64_t origin,
                          std::span<const uint8_t> frame) {
  const auto drop = [&](DropReason reason) {
    counters_.Drop(reason);
    return false;
  };
  const core::Mac mac = core::LoadMac(frame.data() + 6);
  if (core::IsReservedMulticast(core::LoadMac(frame.data()))) {
    return drop(DropReason::kReservedMulticast);
  }
  if (core::LoadBe16(frame.data() + 12) == core::kEtherTypeMacControl) {
    return drop(DropReason::kMacControl);
  }
  if (core::IsGroup(mac)) return drop(DropReason::kMulticastSource);
  if (mac == 0) return drop(DropReason::kZeroSource);
  const std::vector<core::Mac>& own_macs = plane_.networks[0].own_macs;
  if (std::find(own_macs.begin(), own_macs.end(), mac) != own_macs.end()) {
    return drop(DropReason::kOwnMac);
  }
  const uint32_t declared = tables.declared_fdb.Find(core::FdbKey(0, mac));
  const uint32_t slot = tables.peer_ids.Find(origin);
  if (declared != core::kNoSlot && declared != slot) {
    return drop(declared == core::kLocalPeer ? DropReason::kOwnSource : DropReason::kSourceGuard);
  }
  core::FrameInfo info;
  const bool is_spoofed =
      tables.neighbours->has_guarded() && core::ParseFrame(frame.data(), frame.size(), &info) &&
      IsAddressSpoofed(tables, own_macs, 0, slot, frame.data(), frame.size(), info);
  return !is_spoofed || drop(DropReason::kSpoofedAddress);
}

// Whose flood it is we have on a neighbour's word: that takes no MAC from where it is.
void FloodTree::Learn(const core::Tables& tables, uint64_t origin, core::Mac mac, uint64_t now_ms) {
  const uint32_t slot = tables.peer_ids.Find(origin);
  if (slot == core::kNoSlot) return;
  if (tables.declared_fdb.Find(core::FdbKey(0, mac)) != core::kNoSlot) return;
  const auto now_s = static_cast<uint32_t>(now_ms / 1000);
  const uint16_t holder = plane_.fdb.Lookup(0, mac, now_s);
  if (holder != 0 && holder != slot) return;
  if (plane_.fdb.Learn(0, mac, static_cast<uint16_t>(slot), now_s) == core::Fdb::Learned::kNew) {
    counters_.Add(Counter::kFdbLearned);
  }
}

}  // namespace overlayd::engine
