#ifndef OVERLAYD_NATIVE_ENGINE_JOIN_PROBE_H_
#define OVERLAYD_NATIVE_ENGINE_JOIN_PROBE_H_

#include "native/io/tap_device.h"

/*
 * Does this kernel take joined frames? Some stable series (6.6.44 and around) answer EINVAL to every one. A frame that
 * a member sent proves nothing when it is refused: it may have been made for that. So we ask with two frames of our
 * own, which hold nothing of anybody's, at start and again whenever a joined frame was refused.
 *
 * The frames go to 01:80:c2:00:00:01 (pause), which no bridge forwards, with addresses for documentation (RFC 5737):
 * nobody receives them. A device that is down answers EIO, after it has looked at the header: that is a yes.
 */
namespace overlayd::engine {

/// Code of the fault event that tells of joining switched off.
inline constexpr const char* kFaultJoinOff = "OVL_JOIN_OFF";

struct JoinAbility {
  bool tcp = true;
  bool udp = true;

  friend bool operator==(const JoinAbility&, const JoinAbility&) = default;
};

/// Writes one TCP and one UDP super-frame of two segments, and sees which are refused. For queues with vnet_hdr.
[[nodiscard]] JoinAbility ProbeJoining(io::TapQueue& tap);

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_JOIN_PROBE_H_
