#ifndef OVERLAYD_NATIVE_ENGINE_PLANE_H_
#define OVERLAYD_NATIVE_ENGINE_PLANE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "native/core/aead.h"
#include "native/core/counters.h"
#include "native/core/fdb.h"
#include "native/core/gate.h"
#include "native/core/tables.h"
#include "native/engine/event_ring.h"
#include "native/engine/flood_state.h"
#include "native/engine/label_state.h"
#include "native/engine/network_state.h"
#include "native/engine/path_state.h"
#include "native/engine/quiescence.h"
#include "native/engine/session_table.h"
#include "native/io/udp_socket.h"

namespace overlayd::engine {

/// CLOCK_BOOTTIME: goes on during suspend, so that key age and silence are what they are.
uint64_t BootTimeUs();
inline uint64_t BootTimeMs() { return BootTimeUs() / 1000; }

/// What all threads of one data plane share. Made before the threads, gone after them.
struct Plane {
  Plane(std::function<void()> wake, core::HashSeed seed)
      : fdb(seed), address_seed(seed), floods(seed), events(std::move(wake)) {}

  Quiescence quiescence;
  std::atomic<const core::Tables*> tables{nullptr};
  SessionTable sessions;
  PathStates paths;        // by PathEntry::state
  LabelStates labels;      // by LabelEntry::state
  NetworkStates networks;  // by local index
  core::Fdb fdb;
  const core::HashSeed address_seed;  // of Tables::path_by_address
  FloodState floods;
  EventRing events;

  std::unique_ptr<core::Gate> gate;

  std::array<const core::Aead*, 5> aeads{};  // by suite number; nullptr: not on this machine
  std::array<uint8_t, 16> mesh_id{};
  std::vector<core::AddressPrefix>
      overlay_prefixes;  // no datagram of the tunnel may come from there
  uint32_t mtu_bytes = 0;
  bool may_join_tcp = true;
  bool may_join_udp = false;
  bool has_offload_header = true;  // frames cross the TAP with vnet_hdr

  [[nodiscard]] const core::Aead& AeadOf(const core::Session& session) const {
    return *aeads[static_cast<size_t>(session.suite)];
  }
};

/// The sockets of one queue pair, by family.
struct Sockets {
  std::vector<std::unique_ptr<io::UdpSocket>> all;
  /// For addresses of the TCP family; nullptr: there is no TCP.
  io::UdpSocket* tcp = nullptr;

  /// The one that can reach `to`; nullptr: no socket of that family, or no endpoint.
  [[nodiscard]] io::UdpSocket* For(const core::SourceAddress& to) const {
    if (core::IsMulticastOrVirtual(to)) [[unlikely]]
      return core::IsTcp(to) ? tcp : nullptr;
    const bool is_ipv6 = !core::IsIpv4(to);
    for (const auto& socket : all) {
      if (socket->IsForIpv6() == is_ipv6) return socket.get();
    }
    return nullptr;
  }
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_PLANE_H_
