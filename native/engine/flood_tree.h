#ifndef OVERLAYD_NATIVE_ENGINE_FLOOD_TREE_H_
#define OVERLAYD_NATIVE_ENGINE_FLOOD_TREE_H_

#include <cstdint>
#include <span>

#include "native/core/flood.h"
#include "native/core/frame.h"
#include "native/engine/sealer.h"

/*
 * Floods of a network that is too large for a copy to each member: each node hands a flood that it did not see before to
 * its neighbours, but not back. So it reaches everybody over many ways at once, and a node that dies is passed by.
 *
 *   TAP ─► Originate ─► neighbours          a peer ─► Take ─► our TAP
 *                                                       └───► neighbours but that one, one hop less
 */
namespace overlayd::engine {

class FloodTree {
 public:
  FloodTree(Plane& plane, Sockets& sockets, core::CounterBlock& counters)
      : plane_(plane), counters_(counters), sealer_(plane, sockets, counters) {}

  /// A frame of our TAP; super-frames come out as segments. `frame` is destroyed, and has room in front as TxPath's have.
  void Originate(const core::Tables& tables, uint8_t* frame, size_t size,
                 const core::FrameInfo& info, bool is_partial, size_t gso_size, uint64_t now_ms);

  /// Content of a flood that `via` handed over. True: it is new, was passed on, and `frame` is for our TAP. Whatever
  /// else it is was counted.
  bool Take(const core::Tables& tables, uint32_t via, std::span<uint8_t> content, uint64_t now_ms,
            std::span<uint8_t>* frame);

 private:
  void Say(const core::Tables& tables, std::span<const uint8_t> frame, uint64_t now_ms);
  void PassOn(const core::Tables& tables, uint32_t via, std::span<const uint8_t> content);
  [[nodiscard]] bool IsAllowed(const core::Tables& tables, uint64_t origin,
                               std::span<const uint8_t> frame);
  void Learn(const core::Tables& tables, uint64_t origin, core::Mac mac, uint64_t now_ms);

  Plane& plane_;
  core::CounterBlock& counters_;
  Sealer sealer_;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_FLOOD_TREE_H_
