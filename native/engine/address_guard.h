#ifndef OVERLAYD_NATIVE_ENGINE_ADDRESS_GUARD_H_
#define OVERLAYD_NATIVE_ENGINE_ADDRESS_GUARD_H_

#include <cstdint>
#include <span>

#include "native/core/frame.h"
#include "native/core/mac.h"
#include "native/core/tables.h"

/*
 * A member's frame may not come from an address that is another's (docs/protocol.md §9, rule 1). Whose it is: the MAC
 * that records name is declared at that member, or at this host. While that member is out of reach, anybody may have the
 * address: it may have moved, and who could say so is gone.
 */
namespace overlayd::engine {

/// Does a frame of `peer` in the network at a local index come from an address that is guarded, and not its own?
[[nodiscard]] bool IsAddressSpoofed(const core::Tables& tables, std::span<const core::Mac> own_macs,
                                    uint32_t network_index, uint32_t peer, const uint8_t* frame,
                                    size_t size, const core::FrameInfo& info);

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_ADDRESS_GUARD_H_
