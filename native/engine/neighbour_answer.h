#ifndef OVERLAYD_NATIVE_ENGINE_NEIGHBOUR_ANSWER_H_
#define OVERLAYD_NATIVE_ENGINE_NEIGHBOUR_ANSWER_H_

#include <cstddef>
#include <cstdint>

#include "native/core/counters.h"
#include "native/core/frame.h"
#include "native/core/tables.h"
#include "native/io/tap_device.h"

namespace overlayd::engine {

/// Answers a frame to a group that asks for the MAC of a host behind a peer, if that is known and the peer can be
/// reached now: an answer for one that cannot would turn "host unreachable" into silence. True: answered, and the frame
/// goes no further. `tap`: of that network. `away`: the slot of that peer when it cannot be reached, else 0.
bool AnswerNeighbour(const core::Tables& tables, uint32_t network_index, const uint8_t* frame,
                     size_t size, const core::FrameInfo& info, io::TapQueue& tap,
                     core::CounterBlock& counters, uint32_t* away);

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_NEIGHBOUR_ANSWER_H_
