#ifndef OVERLAYD_NATIVE_ENGINE_RX_PATH_H_
#define OVERLAYD_NATIVE_ENGINE_RX_PATH_H_

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "native/core/fragment.h"
#include "native/core/frame.h"
#include "native/core/joiner.h"
#include "native/core/token_bucket.h"
#include "native/engine/flood_tree.h"
#include "native/engine/plane.h"
#include "native/engine/relay_path.h"
#include "native/engine/sealer.h"
#include "native/io/tap_device.h"

/*
 * UDP -> TAP, in packet order:
 *
 *   Drain      receive coalesced datagrams until the socket is empty
 *   OnDatagram DATA here; everything else to the gate
 *   OnRelayed  what came through relays, or goes on (relay_path.h), in runs
 *   OnData     session by index, replay check, open in place, replay commit
 *   OnFrame    guards, learn the source MAC, join with the frame before
 *   WriteRun   one TAP write for a joined train
 *
 * Nothing is learned and no endpoint moves before authentication. Belongs to one thread.
 */
namespace overlayd::engine {

class RxPath {
 public:
  /// `tap`: of the default network; frames of others go to their TAP queue of this number.
  RxPath(Plane& plane, size_t worker, io::TapQueue& tap, Sockets& sockets,
         core::CounterBlock& counters, size_t queue = 0);
  ~RxPath();

  /// Moves what waits at `socket`, up to a budget.
  void Drain(io::UdpSocket& socket, uint64_t now_ms = BootTimeMs());
  /// Moves one batch of what waits at a queue of strangers (io/port_sorter.h). True: more may wait.
  bool DrainStrangers(io::UdpSocket& socket, uint64_t now_ms = BootTimeMs());

  /// What came since the last call.
  struct Heard {
    bool has_init = false;  // one that the gate let in
    bool is_authentic = false;
  };
  Heard TakeHeard() { return std::exchange(heard_, {}); }

 private:
  struct Opened;  // an authentic datagram

  void Begin(const io::UdpSocket& socket, uint64_t now_ms);
  /// Number of messages, 0 when there is none.
  size_t ReceiveBatch(io::UdpSocket& socket, size_t slots, size_t* datagrams);
  void OnTrain(const io::InTrain& train, size_t* datagrams);
  [[nodiscard]] bool IsFromOverlay(const core::SourceAddress& from) const;
  /// The RELAY datagrams at the front of a train; how many bytes they are.
  size_t OnRelayed(const io::InTrain& train, size_t* datagrams);
  void OnRelayedRun(const RelayedRun& run);
  void OnDatagram(uint8_t* data, size_t size, const core::SourceAddress& from);
  void OnStranger(uint8_t* data, size_t size, const core::SourceAddress& from);
  void OnData(uint8_t* data, size_t size, const core::SourceAddress& from);
  bool EnterNetwork(uint32_t word);
  [[nodiscard]] io::TapQueue& TapOf(uint32_t network_index);
  void OnInner(const Opened& opened, core::InnerKind kind, uint8_t flags, uint8_t* content,
               size_t size);
  void OnFrame(const Opened& opened, uint8_t flags, uint8_t* frame, size_t size);
  void OnFragment(const Opened& opened, uint8_t flags, uint8_t* content, size_t size);
  void OnFlood(const Opened& opened, uint8_t* content, size_t size);
  void OnControl(const Opened& opened, uint8_t* message, size_t size);
  void OnPing(const Opened& opened, std::span<const uint8_t> body);
  void OnPong(const Opened& opened, std::span<const uint8_t> body);
  void OnReceiverReport(const Opened& opened, std::span<const uint8_t> body);
  void JudgeTrains(const Opened& opened, uint32_t path, PathState& state,
                   const core::ReceiverReport& report, uint32_t largest_sent);
  void NoteArrival(const Opened& opened, bool is_newest, core::InnerKind kind, uint8_t flags);
  uint32_t PathFrom(uint32_t peer, const core::SourceAddress& from);
  [[nodiscard]] bool IsSpoofed(uint32_t peer, const uint8_t* frame, size_t size,
                               const core::FrameInfo& info);
  void TellMacClaim(MacVerdict verdict, core::Mac mac, const Opened& opened);
  void WriteRun();
  void GiveWay(size_t frames);
  void OnRefused(core::Session& session, io::TapQueue& tap, size_t segments);

  Plane& plane_;
  const size_t worker_;
  io::TapQueue& tap_;
  Sockets& sockets_;
  core::CounterBlock& counters_;
  const size_t queue_;
  const core::Tables* tables_ = nullptr;
  uint64_t now_ms_ = 0;
  uint8_t ecn_ = 0;  // of the IP header of the datagram at hand
  Heard heard_;
  const core::SourceAddress* remote_ = nullptr;  // of the stream at hand
  size_t front_size_ = 0;  // what stood in front of the datagram at hand: a RELAY header

  // The network at hand, which lasts as long as the tables do.
  uint32_t network_id_ = 0;
  uint32_t network_index_ = 0;

  // The last session and sender, since datagrams come in runs.
  uint32_t cached_index_ = 0;
  uint32_t cached_slot_ = core::kNoSlot;
  core::SourceAddress cached_from_;
  uint32_t cached_path_ = core::kNoSlot;
  uint32_t cached_path_peer_ = 0;
  uint64_t cached_mac_ = 0;
  uint32_t cached_mac_peer_ = 0;
  uint32_t cached_mac_second_ = 0;
  bool guards_addresses_ = false;  // some address is one member's alone
  uint64_t cached_source_ = 0;     // peer and IPv4 address that were right
  core::TokenBucket mac_events_;

  std::unique_ptr<uint8_t[]> buffer_;
  io::InTrain trains_[io::UdpSocket::kMaxBatch];
  size_t slots_in_use_;
  size_t given_way_before_ = 0;  // frames ago
  size_t first_slot_ = 0;
  bool holds_run_ = false;  // the open run began in the batch before
  core::Joiner joiner_;
  uint64_t next_join_probe_ms_ = 0;
  core::Reassembler reassembler_;
  core::AeadScratch scratch_;
  Sealer sealer_;
  RelayPath relay_;
  FloodTree tree_;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_RX_PATH_H_
