#ifndef OVERLAYD_NATIVE_ENGINE_WANTED_PEERS_H_
#define OVERLAYD_NATIVE_ENGINE_WANTED_PEERS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "native/engine/event_ring.h"

namespace overlayd::engine {

/*
 * Tells the control plane for whom frames come that has no session: each peer, and each address asked for by ARP in a
 * network, once a second, 64 in all. What is not told now is told when the next frame comes. Thread: one tx.
 */
class WantedPeers {
 public:
  explicit WantedPeers(EventRing& events) : events_(events) {}

  /// `peer` 0: a flood that some peers did not get; `target`: the IPv4 address that it asks for by ARP, or 0.
  void Tell(uint32_t network, uint32_t peer, uint32_t target, uint64_t now_ms) {
    if (now_ms - since_ms_ >= kToldForMs) {
      since_ms_ = now_ms;
      count_ = 0;
    }
    for (size_t i = 0; i < count_; ++i) {
      const Told& told = told_[i];
      if (told.network == network && told.peer == peer && told.target == target) return;
    }
    if (count_ == told_.size()) return;
    told_[count_++] = {network, peer, target};
    Event event{.kind = EventKind::kPeerWanted};
    event.network = network;
    event.peer = peer;
    event.value = target;
    events_.Push(EventRing::Ring::kAuthenticated, std::move(event));
  }

 private:
  static constexpr uint64_t kToldForMs = 1000;
  struct Told {
    uint32_t network = 0;
    uint32_t peer = 0;
    uint32_t target = 0;
  };

  EventRing& events_;
  std::array<Told, 64> told_{};
  size_t count_ = 0;
  uint64_t since_ms_ = 0;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_WANTED_PEERS_H_
