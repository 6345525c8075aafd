#ifndef OVERLAYD_NATIVE_IO_UDP_SOCKET_H_
#define OVERLAYD_NATIVE_IO_UDP_SOCKET_H_

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "native/core/source_address.h"
#include "native/io/fd.h"

/*
 * UDP in batches: one call sends several trains (each a GSO send), one call receives several coalesced ones.
 */
namespace overlayd::io {

/// Datagrams of one destination, equal in size but for the last: sent by one UDP_SEGMENT message.
struct OutTrain {
  const iovec* parts;
  size_t part_count;
  size_t stride;  // size of all datagrams but the last
  size_t count;
  core::SourceAddress to;
  uint8_t ecn = 0;  // of the IP header it leaves with (core/ecn.h)
};

/// A buffer that was filled by one message, which GRO may have made of several datagrams.
struct InTrain {
  uint8_t* data;
  size_t size;
  size_t stride;  // size of all datagrams but the last
  bool is_truncated;
  core::SourceAddress from;
  uint8_t ecn = 0;  // of the IP header it came with
};

class UdpSocket {
 public:
  static constexpr size_t kMaxBatch = 64;

  virtual ~UdpSocket() = default;
  /// Sends trains in order; only the tx thread calls it. The number sent (≥ 1), or -errno of the first one.
  virtual int Send(const OutTrain* trains, size_t count) = 0;
  /// Sends one train, from any thread. 0 or -errno.
  virtual int SendTrain(const OutTrain& train) = 0;
  /// Sends one datagram, from any thread. 0 or -errno.
  virtual int SendOne(const uint8_t* data, size_t size, const core::SourceAddress& to) = 0;
  /// Fills up to `count` of `trains`, whose `data` and `size` say where and how much. Number, or -errno (-EAGAIN).
  virtual int Receive(InTrain* trains, size_t count) = 0;
  /// For poll.
  [[nodiscard]] virtual int fd() const = 0;
  [[nodiscard]] virtual bool IsForIpv6() const = 0;
  /// Datagrams the kernel dropped for want of buffer, since the last call.
  virtual uint32_t TakeOverflows() = 0;

  /// Of a stream: who is at its other end. What is received there comes from a TCP address.
  [[nodiscard]] virtual const core::SourceAddress* Remote() const { return nullptr; }

  [[nodiscard]] virtual bool has_gso() const = 0;
  [[nodiscard]] virtual bool has_gro() const = 0;
};

struct UdpOptions {
  /// Others may be bound there with this; what has it not is refused with EADDRINUSE, as ever.
  bool joins_port = false;
  bool may_use_gso = true;
  bool may_use_gro = true;
  int buffer_bytes = 0;  // for receiving; 0: the usual ones
};

/// Binds `address` (literal) : `port`; `*port` 0 is replaced by the port given. -errno with `step` on failure.
int OpenUdp(const std::string& address, uint16_t* port, const UdpOptions& options,
            std::unique_ptr<UdpSocket>* out, const char** step);

}  // namespace overlayd::io

#endif  // OVERLAYD_NATIVE_IO_UDP_SOCKET_H_
