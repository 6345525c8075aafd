#ifndef OVERLAYD_NATIVE_ENGINE_TRAIN_REFUSAL_H_
#define OVERLAYD_NATIVE_ENGINE_TRAIN_REFUSAL_H_

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "native/engine/plane.h"

/*
 * What the kernel says to a train (UDP GSO) that it will not send. EIO: the egress device has no transmit checksum.
 * EINVAL: a segment is larger than its MTU, which sending singly finds out, or GSO is not there. Both belong to the way
 * and not to the socket, and may pass: a route changes, a driver's offload is switched on again.
 */
namespace overlayd::engine {

/// Whether to send the datagrams of the train one by one. `error` as from a send: 0 or negative.
[[nodiscard]] inline bool IsTrainRefused(size_t count, int error) {
  return count > 1 && (error == -EIO || error == -EINVAL);
}

/// After that was done, and `taken` of its `count` datagrams went: gives trains up on the path for a while, and tells
/// it once. `state` nullptr: the path was removed meanwhile.
inline void OnTrainRefused(Plane& plane, core::CounterBlock& counters, PathState* state,
                           uint32_t path_id, int error, size_t taken, size_t count,
                           uint64_t now_ms) {
  if (error == -EINVAL && taken != count) return;
  counters.Add(core::Counter::kGsoFallbacks);
  if (state == nullptr || !state->gso.Fail(now_ms)) return;
  Event fault{.kind = EventKind::kFault};
  fault.code = "OVL_GSO_OFF";
  fault.error = -error;
  fault.path = path_id;
  plane.events.Push(EventRing::Ring::kAuthenticated, std::move(fault));
}

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_TRAIN_REFUSAL_H_
