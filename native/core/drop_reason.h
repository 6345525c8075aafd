#ifndef OVERLAYD_NATIVE_CORE_DROP_REASON_H_
#define OVERLAYD_NATIVE_CORE_DROP_REASON_H_

#include <cstddef>
#include <cstdint>

/*
 * Why a frame or datagram went no further. Every discarded one is counted under exactly one of
 * these; the names are what `overlayctl report` shows. One list makes the enum, the names and the
 * JavaScript export.
 *
 *   X(kEnumerator, name)
 */
#define OVERLAYD_DROP_REASONS(X)                                                         \
  /* tx: TAP -> UDP */                                                                   \
  X(kTapShort, tap_short)                   /* read shorter than headers */              \
  X(kTapParse, tap_parse)                   /* frame we cannot cut or parse */           \
  X(kNoPeer, no_peer)                       /* unknown destination peer */               \
  X(kNoSession, no_session)                 /* peer without keys */                      \
  X(kNoPath, no_path)                       /* peer without a usable path */             \
  X(kFloodNoMembers, flood_no_members)      /* nobody to flood to */                     \
  X(kGroupNobody, group_nobody)             /* its listeners are all out of reach */     \
  X(kSourceGuard, source_guard)             /* source address not allowed */             \
  X(kReservedMulticast, reserved_multicast) /* 01:80:c2:00:00:0x */                      \
  X(kMacControl, mac_control)               /* pause frames, to any address */           \
  X(kOwnDestination, own_destination)       /* to a local port's MAC */                  \
  X(kUnknownUnicast, unknown_unicast)       /* more than may be flooded */               \
  X(kTooBig, too_big)                       /* exceeds every limit we have */            \
  X(kArenaFull, arena_full)                 /* send arena exhausted */                   \
  X(kSendEnobufs, send_enobufs)             /* kernel queue full */                      \
  X(kSendError, send_error)                 /* other send errno */                       \
  /* rx: the outer datagram */                                                           \
  X(kUdpShort, udp_short)                                                                \
  X(kUdpType, udp_type)                                                                  \
  X(kUdpSize, udp_size)                                                                  \
  X(kUdpVersion, udp_version)                                                            \
  X(kUdpMesh, udp_mesh)                                                                  \
  X(kGateRate, gate_rate)   /* over a rate limit */                                      \
  X(kGateToken, gate_token) /* no guess token left */                                    \
  X(kGateZero, gate_zero)   /* zeros that are not */                                     \
  X(kUnknownSession, unknown_session)                                                    \
  X(kKeyPhase, key_phase) /* no rx key of that phase */                                  \
  X(kReplay, replay)                                                                     \
  X(kForged, forged) /* authentication failed */                                         \
  /* rx: the opened content */                                                           \
  X(kInnerShort, inner_short)                                                            \
  X(kInnerKind, inner_kind)                                                              \
  X(kInnerNetwork, inner_network)                                                        \
  X(kInnerFlags, inner_flags)                                                            \
  X(kPartialChecksum, partial_checksum)                /* bit set, packet unfit */       \
  X(kPartialChecksumOffsets, partial_checksum_offsets) /* L4 header not in the frame */  \
  X(kOwnMac, own_mac)                                  /* source is our bridge or TAP */ \
  X(kOwnSource, own_source)                            /* source is a local port's */    \
  X(kSpoofedAddress, spoofed_address)                  /* IP source is another's */      \
  X(kMulticastSource, multicast_source)                                                  \
  X(kZeroSource, zero_source)                                                            \
  X(kCandidateInOverlay, candidate_in_overlay) /* the tunnel inside itself */            \
  X(kEcn, ecn)                                 /* marked, but not ECN-capable */         \
  X(kFragmentBad, fragment_bad)                /* inconsistent fragment */               \
  X(kFragmentTimeout, fragment_timeout)        /* rest never came */                     \
  X(kFragmentFull, fragment_full)              /* too many in progress */                \
  X(kFloodAgain, flood_again)                  /* seen before, came another way */       \
  X(kFloodRate, flood_rate)                    /* more than a member may flood */        \
  X(kFloodNoTree, flood_no_tree)               /* of a large mesh, and here is none */   \
  X(kTapWrite, tap_write)                                                                \
  X(kTapEinval, tap_einval)       /* kernel refused a train */                           \
  X(kControlQuota, control_quota) /* session floods control */                           \
  X(kRingFull, ring_full)         /* control plane too slow */                           \
  X(kRelayUnknown, relay_unknown) /* label that leads nowhere */                         \
  X(kRelaySource, relay_source)   /* not from the label's peer */                        \
  X(kRelayTtl, relay_ttl)                                                                \
  X(kRelayNested, relay_nested) /* relayed inside relayed */                             \
  X(kRelayRate, relay_rate)                                                              \
  X(kSessionExpired, session_expired) /* hard stop without a rekey */

namespace overlayd::core {

/// `kNone` is "not dropped" and is never counted; the others index counter arrays from 1.
enum class DropReason : uint8_t {
  kNone = 0,
#define OVERLAYD_X(enumerator, name) enumerator,
  OVERLAYD_DROP_REASONS(OVERLAYD_X)
#undef OVERLAYD_X
};

/// Names by value; [0] is "none".
inline constexpr const char* kDropReasonNames[] = {"none",
#define OVERLAYD_X(enumerator, name) #name,
                                                   OVERLAYD_DROP_REASONS(OVERLAYD_X)
#undef OVERLAYD_X
};

/// Size for arrays indexed by DropReason, `kNone` included.
inline constexpr size_t kDropReasonCount = sizeof kDropReasonNames / sizeof kDropReasonNames[0];

[[nodiscard]] constexpr const char* DropReasonName(DropReason reason) {
  return kDropReasonNames[static_cast<size_t>(reason)];
}

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_DROP_REASON_H_
