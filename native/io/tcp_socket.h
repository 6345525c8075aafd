#ifndef OVERLAYD_NATIVE_IO_TCP_SOCKET_H_
#define OVERLAYD_NATIVE_IO_TCP_SOCKET_H_

#include <cstdint>
#include <string>

#include "native/core/source_address.h"
#include "native/io/fd.h"

/*
 * TCP sockets for where UDP is blocked, all non-blocking. What the kernel has not sent yet is bounded (TCP_NOTSENT_LOWAT):
 * a datagram that had to wait longer is better dropped, the sender inside feels it.
 */
namespace overlayd::io {

/// Listens at `address` (literal) : `port`. -errno with `step` on failure.
int ListenTcp(const std::string& address, uint16_t port, Fd* out, const char** step);

/// The next one that waits, with who it is. -EAGAIN: none.
int AcceptTcp(int listener, Fd* out, core::SourceAddress* remote);

/// Begins to connect; poll for writability, then TcpError. -errno.
int ConnectTcp(const core::SourceAddress& to, Fd* out);

/// What became of a connect. 0 or -errno.
int TcpError(int fd);

/// Ends with RST and without TIME_WAIT: for strangers who get nothing.
void ResetTcp(Fd fd);

}  // namespace overlayd::io

#endif  // OVERLAYD_NATIVE_IO_TCP_SOCKET_H_
