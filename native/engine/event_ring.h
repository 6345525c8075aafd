#ifndef OVERLAYD_NATIVE_ENGINE_EVENT_RING_H_
#define OVERLAYD_NATIVE_ENGINE_EVENT_RING_H_

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "native/core/source_address.h"

/*
 * What the workers tell the control plane. Bounded in three rings, so that one kind cannot starve another: INITs of
 * strangers, the rest of handshakes, and what is authenticated (with a quota per session). One wake-up per burst: the
 * callback runs when something waits and nobody has been told since the last Drain.
 */
namespace overlayd::engine {

enum class EventKind : uint8_t {
  kHandshake,
  kOtherMesh,
  kControl,
  kPhaseConfirmed,
  kEndpointSeen,
  kPathAlive,
  kPathDead,
  kProbeAnswered,
  kPathTooBig,
  kObserved,
  kSessionLimit,
  kLabelUnknown,
  kPeerWanted,
  kTcpOpened,
  kMacClaim,
  kMembership,
  kTcpClosed,
  kFault,
  kOverflow,
};

/// What a frame's source MAC was, where that is news.
enum class MacVerdict : uint8_t {
  kLocal,     ///< On a port of this host, where a peer had it.
  kFlapping,  ///< Moved too often: `peer` did not get it.
  kSpoofed,   ///< Sent by `peer`, in a frame whose IP address is another's.
  kRefused,   ///< Sent by `peer`, declared elsewhere or a local port's.
};

struct Event {
  EventKind kind;
  uint32_t session = 0;  // receiver_index
  uint32_t phase = 0;
  uint32_t path = 0;  // path id
  uint32_t peer = 0;  // slot
  uint32_t network = 0;
  uint32_t value = 0;  // datagram bytes, control type, label, connection, IPv4 address, events lost
  uint32_t rtt_us = 0;
  int error = 0;          // errno
  const char* code = "";  // OVL_ code, static storage
  bool has_cookie = false;
  bool is_resumed = false;
  MacVerdict verdict = MacVerdict::kLocal;
  uint64_t mac = 0;
  core::SourceAddress endpoint{};
  std::vector<uint8_t> bytes{};
};

class EventRing {
 public:
  static constexpr size_t kMaxInits = 256;
  static constexpr size_t kMaxHandshakes = 1024;
  static constexpr size_t kMaxAuthenticated = 8192;
  static constexpr size_t kMaxPerSession = 512;
  static constexpr size_t kMaxControlBytes = 8 * 1024 * 1024;

  explicit EventRing(std::function<void()> wake) : wake_(std::move(wake)) {}

  enum class Ring : uint8_t { kInit, kHandshake, kAuthenticated };
  /// False: the ring or the session's quota is full; counted, and told by a kOverflow event (not for INITs: those are
  /// repeated by their sender).
  bool Push(Ring ring, Event event);
  /// All that waits, authenticated first.
  std::vector<Event> Drain();

 private:
  std::function<void()> wake_;
  std::mutex mutex_;
  std::array<std::deque<Event>, 3> rings_;
  std::unordered_map<uint32_t, size_t> by_session_;
  size_t control_bytes_ = 0;
  uint32_t lost_ = 0;
  bool is_told_ = false;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_EVENT_RING_H_
