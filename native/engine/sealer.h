#ifndef OVERLAYD_NATIVE_ENGINE_SEALER_H_
#define OVERLAYD_NATIVE_ENGINE_SEALER_H_

#include <cstdint>
#include <span>

#include "native/engine/plane.h"

namespace overlayd::engine {

/*
 * Seals and sends what is not a frame: control messages, keepalives, PINGs. Any thread may have one; each datagram is
 * one send, and longer ones than the path takes are fragmented like frames.
 */
class Sealer {
 public:
  Sealer(Plane& plane, Sockets& sockets, core::CounterBlock& counters)
      : plane_(plane), sockets_(sockets), counters_(counters) {}

  /// `content` goes behind the inner header. `max_datagram`: the largest UDP payload, the header of a
  /// relayed one included. Inside a quiescence guard or on
  /// the control thread. `path`: whose way it is, counts it. False: nothing was sent (counted).
  bool Send(core::Session& session, core::InnerKind kind, std::span<const uint8_t> content,
            const core::SourceAddress& to, size_t max_datagram, PathState* path = nullptr);

 private:
  bool SendOne(core::Session& session, uint32_t phase, uint64_t counter, core::InnerKind kind,
               std::span<const uint8_t> header, std::span<const uint8_t> content,
               const core::SourceAddress& to, PathState* path);

  Plane& plane_;
  Sockets& sockets_;
  core::CounterBlock& counters_;
  core::AeadScratch scratch_;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_SEALER_H_
