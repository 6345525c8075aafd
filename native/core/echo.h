#ifndef OVERLAYD_NATIVE_CORE_ECHO_H_
#define OVERLAYD_NATIVE_CORE_ECHO_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "native/core/source_address.h"

/*
 * The bodies of native's own control messages (docs/protocol.md#4), little-endian. When to send:
 * path_clock.h.
 *
 *            0         4          8         16
 *   PING     | path id | sequence | sent_us | padding, any length ...
 *   PONG     | path id | sequence | sent_us | observed endpoint 19 | received_bytes 2 |   (37)
 *   RR       | interval_ms 2 | largest 2 | singles 4 | train_segments 4 | lost 4 | ce 4 |   (20)
 *
 * PING: path id and sequence are the sender's and come back untouched, as does sent_us (its own
 * clock). PONG leaves by the path its PING came on; `observed` is where the PING came from (zeros:
 * through relays, from no endpoint), `received_bytes` the UDP payload it came in, which answers a
 * probe of that size.
 *
 * RR: what the sender of the RR received on the path the RR travels on. The four counts are totals
 * since the session began, modulo 2^32, so a lost RR loses nothing: differences of two RRs make an
 * interval. `largest` is the longest UDP payload of the last interval. `train_segments`
 * continued the one before them in a send (kFlagContinues), `singles` did not: the sender compares both with what it sent and switches GSO off where
 * trains suffer. Longer bodies are accepted: later versions append.
 */
namespace overlayd::core {

inline constexpr uint8_t kControlPing = 1;
inline constexpr uint8_t kControlPong = 2;
inline constexpr uint8_t kControlReceiverReport = 3;

inline constexpr size_t kPingBytes = 16;
inline constexpr size_t kPongBytes = kPingBytes + kEndpointBytes + 2;
inline constexpr size_t kReceiverReportBytes = 20;

struct Ping {
  uint32_t path = 0;
  uint32_t sequence = 0;
  uint64_t sent_us = 0;
};

struct Pong {
  Ping ping;
  SourceAddress observed;
  uint16_t received_bytes = 0;
};

struct ReceiverReport {
  uint16_t interval_ms = 0;
  uint16_t largest_bytes = 0;
  uint32_t singles = 0;
  uint32_t train_segments = 0;
  uint32_t lost = 0;
  uint32_t ce = 0;

  friend bool operator==(const ReceiverReport&, const ReceiverReport&) = default;
};

/// Writes the body; what is behind kPingBytes is padding and set to zero.
void EncodePing(const Ping& ping, std::span<uint8_t> body);
[[nodiscard]] std::optional<Ping> DecodePing(std::span<const uint8_t> body);

void EncodePong(const Pong& pong, std::span<uint8_t, kPongBytes> body);
[[nodiscard]] std::optional<Pong> DecodePong(std::span<const uint8_t> body);

void EncodeReceiverReport(const ReceiverReport& report,
                          std::span<uint8_t, kReceiverReportBytes> body);
[[nodiscard]] std::optional<ReceiverReport> DecodeReceiverReport(std::span<const uint8_t> body);

/// What was received in one phase of a session, for the reports about it. Flat; one thread.
class ReceiveStatistics {
 public:
  /// One authentic datagram with a frame. `is_single`: it does not continue the one before it in a train.
  void OnDatagram(uint64_t counter, size_t datagram_bytes, bool is_single, bool has_ce) {
    OnOther(counter);
    ++(is_single ? singles_ : train_segments_);
    ce_ += has_ce;
    largest_bytes_ = std::max(largest_bytes_, datagram_bytes);
  }

  /// One that counts only for what is missing: control, keepalives.
  void OnOther(uint64_t counter) {
    if (received_ == 0) first_ = counter;
    first_ = std::min(first_, counter);
    highest_ = std::max(highest_, counter);
    ++received_;
  }

  /// A new phase counts from zero again; losses of the one before are kept.
  void OnNewPhase() {
    lost_before_ += LostNow();
    first_ = highest_ = received_ = 0;
  }

  /// The report, with `largest` since the one before.
  [[nodiscard]] ReceiverReport Take(uint16_t interval_ms) {
    const ReceiverReport report{interval_ms,
                                static_cast<uint16_t>(std::min<size_t>(largest_bytes_, 0xffff)),
                                singles_,
                                train_segments_,
                                static_cast<uint32_t>(lost_before_ + LostNow()),
                                ce_};
    largest_bytes_ = 0;
    return report;
  }

 private:
  /// Gaps in the counters: reordered ones are taken off again when they arrive.
  [[nodiscard]] uint64_t LostNow() const {
    return received_ == 0 ? 0 : highest_ - first_ + 1 - std::min(received_, highest_ - first_ + 1);
  }

  uint64_t first_ = 0;
  uint64_t highest_ = 0;
  uint64_t received_ = 0;
  uint64_t lost_before_ = 0;
  uint32_t singles_ = 0;
  uint32_t train_segments_ = 0;
  uint32_t ce_ = 0;
  size_t largest_bytes_ = 0;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_ECHO_H_
