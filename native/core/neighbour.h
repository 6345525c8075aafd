#ifndef OVERLAYD_NATIVE_CORE_NEIGHBOUR_H_
#define OVERLAYD_NATIVE_CORE_NEIGHBOUR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "native/core/frame.h"
#include "native/core/mac.h"

/*
 * Who has that address? A question to everybody (ARP, RFC 826; neighbour solicitation, RFC 4861) may be answered for the
 * one who has it, where that is known (docs/protocol.md §10). Only the plainest form is: what is left out goes its usual
 * way and reaches the holder itself.
 *
 *   from no address     ARP probe (RFC 5227), duplicate address detection (RFC 4862): the holder defends its address
 *   for its own one     an announcement: it is for all
 *   to one MAC          whether a neighbour lives can only be said by itself (never asked here: no group address)
 *   link-local          not what records tell, and routers are found there
 *   anything else       tags, options, fragments, lengths and checksums that are not as they should be
 */
namespace overlayd::core {

/// IPv4 as IPv4-mapped IPv6, most significant byte first.
using NeighbourAddress = std::array<uint8_t, 16>;

[[nodiscard]] NeighbourAddress NeighbourAddressOfIpv4(const uint8_t* ipv4);

struct NeighbourQuestion {
  NeighbourAddress target;
  bool is_ipv6;
};

/// Of a frame to a group, as ParseFrame read it; nothing: not to be answered.
[[nodiscard]] std::optional<NeighbourQuestion> NeighbourQuestionOf(const uint8_t* frame,
                                                                   size_t size,
                                                                   const FrameInfo& info);

/// Addresses a frame is said to come from: the sender of an IP packet or of an ARP message, and the address that a
/// neighbour advertisement speaks for. Not of tagged frames.
struct NeighbourSources {
  std::array<NeighbourAddress, 2> addresses;
  size_t count = 0;
};
[[nodiscard]] NeighbourSources NeighbourSourcesOf(const uint8_t* frame, size_t size,
                                                  const FrameInfo& info);

inline constexpr size_t kMaxNeighbourAnswer = 86;

/// Writes the answer to a frame that asks `question`: its target is at `mac`. Bytes written to `out`, which has
/// kMaxNeighbourAnswer. An advertisement does not override what a host knows (RFC 4861 §7.2.8).
size_t WriteNeighbourAnswer(const uint8_t* frame, const NeighbourQuestion& question, Mac mac,
                            uint8_t* out);

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_NEIGHBOUR_H_
