#include "native/engine/address_guard.h"

#include <algorithm>

#include "native/core/neighbour.h"

namespace overlayd::engine {

bool IsAddressSpoofed(const core::Tables& tables, std::span<const core::Mac> own_macs,
                      uint32_t network_index, uint32_t peer, const uint8_t* frame, size_t size,
                      const core::FrameInfo& info) {
  const core::NeighbourSources sources = core::NeighbourSourcesOf(frame, size, info);
  const uint32_t network = tables.networks[network_index].id;
  for (size_t i = 0; i < sources.count; ++i) {
    const core::Mac mac = tables.neighbours->FindGuarded(network, sources.addresses[i]);
    if (mac == 0) continue;
    if (std::find(own_macs.begin(), own_macs.end(), mac) != own_macs.end()) return true;
    const uint32_t holder = tables.declared_fdb.Find(core::FdbKey(network_index, mac));
    if (holder == core::kNoSlot || holder == peer) continue;
    if (holder == core::kLocalPeer) return true;
    const core::PeerEntry& entry = tables.peers[holder];
    if (entry.session != core::kNoSlot && entry.path != core::kNoSlot) return true;
  }
  return false;
}

}  // namespace overlayd::engine
