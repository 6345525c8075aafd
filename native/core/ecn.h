#ifndef OVERLAYD_NATIVE_CORE_ECN_H_
#define OVERLAYD_NATIVE_CORE_ECN_H_

#include <cstddef>
#include <cstdint>

#include "native/core/frame.h"

/*
 * Congestion marks through the tunnel, RFC 6040 in its normal mode: the outer header leaves with the inner field, and
 * what a router on the underlay marked is put into the frame on arrival.
 *
 *              outer   Not-ECT  ECT(0)   ECT(1)   CE
 *   inner Not-ECT      Not-ECT  Not-ECT  Not-ECT  dropped: its sender would not hear of the congestion
 *         ECT(0)       ECT(0)   ECT(0)   ECT(1)   CE
 *         ECT(1)       ECT(1)   ECT(1)   ECT(1)   CE
 *         CE           CE       CE       CE       CE
 */
namespace overlayd::core {

inline constexpr uint8_t kEcnNotCapable = 0;
inline constexpr uint8_t kEcnCapable1 = 1;
inline constexpr uint8_t kEcnCapable0 = 2;
inline constexpr uint8_t kEcnCongested = 3;

/// The ECN field of a parsed frame; kEcnNotCapable for what is not IP.
[[nodiscard]] uint8_t EcnOf(const uint8_t* frame, size_t size, const FrameInfo& info);

/// Puts the mark of the outer header into the frame, the IPv4 header checksum with it. False: it must be dropped.
[[nodiscard]] bool CombineEcn(uint8_t* frame, size_t size, const FrameInfo& info, uint8_t outer);

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_ECN_H_
