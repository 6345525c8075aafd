#ifndef OVERLAYD_NATIVE_IO_PORT_SORTER_H_
#define OVERLAYD_NATIVE_IO_PORT_SORTER_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "native/io/udp_socket.h"

/*
 * A port with several queues, into which the kernel sorts what arrives by its first bytes, so that a flood of INITs
 * fills a queue of its own and displaces neither traffic nor those who have proven something:
 *
 *   INIT without cookie and resumption, or of a wrong length ──> strangers
 *   INIT with one of them ─────────────────────────────────────> proven
 *   all else, by source address ───────────────────────────────> one of the main sockets
 *
 * A proof is looked at by the gate only; whoever feigns one shares the queue of those who have one.
 *
 * The sockets of a port are a SO_REUSEPORT group, in the order they were bound, and a classic BPF program
 * (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5) says the number of the one that takes a datagram. UDP GRO asks before the
 * program does, and by hash: all of a group have it or none has.
 */
namespace overlayd::io {

struct SideQueues {
  std::unique_ptr<UdpSocket> strangers;
  std::unique_ptr<UdpSocket> proven;
};

/// Adds side queues to `main_sockets` bound sockets of that address and port, all of the group. False: this kernel
/// does not sort; nothing was added, and all arrives at the main sockets.
[[nodiscard]] bool AddSideQueues(const std::string& address, uint16_t port,
                                 const UdpOptions& options, const UdpSocket& any_main,
                                 size_t main_sockets, SideQueues* out);

}  // namespace overlayd::io

#endif  // OVERLAYD_NATIVE_IO_PORT_SORTER_H_
