#ifndef OVERLAYD_NATIVE_OS_BOUND_SOCKET_H_
#define OVERLAYD_NATIVE_OS_BOUND_SOCKET_H_

#include <cstdint>

namespace overlayd::os {

/// Opens a UDP or TCP socket, bound to an address and port, that hears and speaks on one interface
/// only (SO_BINDTODEVICE). Linux takes a packet for any of its addresses on every interface; this
/// is what keeps a service of one network from those of another. Answers leave by that interface,
/// too, to whom no route leads there. Non-blocking and close-on-exec; a TCP socket does not listen
/// yet. Returns the descriptor, owned by the caller, or -errno; -EINVAL for what is no address.
[[nodiscard]] int OpenBoundSocket(bool is_stream, const char* device, const char* address,
                                  uint16_t port);

}  // namespace overlayd::os

#endif  // OVERLAYD_NATIVE_OS_BOUND_SOCKET_H_
