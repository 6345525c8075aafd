#ifndef OVERLAYD_NATIVE_ENGINE_HOUSEKEEPER_H_
#define OVERLAYD_NATIVE_ENGINE_HOUSEKEEPER_H_

#include <cstdint>

#include "native/core/counters.h"
#include "native/engine/plane.h"
#include "native/engine/sealer.h"
#include "native/io/fd.h"

/*
 * What must go on while JavaScript is busy and no frame moves: PINGs by each path's clock, receiver reports once a
 * second while frames flow, ageing of the FDB. A thread of its own that sleeps until the next deadline.
 */
namespace overlayd::engine {

class Housekeeper {
 public:
  Housekeeper(Plane& plane, size_t worker, Sockets& sockets);

  /// Until `stop_fd` is readable.
  void Run(int stop_fd);
  /// Tables changed: look at the clocks now. Any thread.
  void Wake();
  /// A PING padded to `datagram_bytes` of UDP payload. On the control thread, under no guard.
  void SendProbe(const core::PathEntry& path, uint32_t datagram_bytes,
                 core::CounterBlock& counters);

  [[nodiscard]] const core::CounterBlock& counters() const { return counters_; }

 private:
  /// Microseconds until the next deadline.
  uint64_t Tick();
  uint64_t TickPath(const core::PathEntry& path, uint64_t now_us);
  /// A PING padded to the size in use, or the word that it is lost. Gives the next deadline.
  uint64_t TickSize(const core::PathEntry& path, PathState& state, uint64_t now_us);
  void SendPadded(const core::PathEntry& path, uint32_t datagram_bytes, uint32_t mark,
                  core::CounterBlock& counters);
  void SendReport(const core::PathEntry& path, PathState& state);

  Plane& plane_;
  const size_t worker_;
  Sockets& sockets_;
  core::CounterBlock counters_;
  Sealer sealer_;
  io::Fd wake_;
  uint64_t next_age_us_ = 0;
  uint64_t next_report_us_ = 0;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_HOUSEKEEPER_H_
