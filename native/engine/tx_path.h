#ifndef OVERLAYD_NATIVE_ENGINE_TX_PATH_H_
#define OVERLAYD_NATIVE_ENGINE_TX_PATH_H_

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "native/core/frame.h"
#include "native/core/joiner.h"
#include "native/core/mac.h"
#include "native/core/token_bucket.h"
#include "native/engine/flood_tree.h"
#include "native/engine/plane.h"
#include "native/engine/wanted_peers.h"
#include "native/io/poller.h"
#include "native/io/tap_device.h"

/*
 * TAP -> UDP, in packet order:
 *
 *   Drain     read frames until the TAP of a network is empty
 *   Forward   parse, settle the checksum, look up the destination: one peer, or flood
 *   ToPeer    cut into segments that fit the path (TCP by its own rules, the rest by fragments)
 *   Seal      straight from the read buffer into the arena
 *   Reserve   puts datagrams of one path and size into one train
 *   Flush     one GSO message a train, one call for all
 *
 * Nothing is allocated, locked or logged between read and send. Belongs to one thread at a time.
 */
namespace overlayd::engine {

class TxPath {
 public:
  /// `tap`: of the default network; of others the TAP queue of this number is read.
  TxPath(Plane& plane, size_t worker, io::TapQueue& tap, Sockets& sockets,
         core::CounterBlock& counters, size_t queue = 0);
  ~TxPath();

  /// Moves what waits at the default network's TAP, up to a budget. False: the TAP is gone (told as a fault event).
  bool Drain(uint64_t now_ms = BootTimeMs());
  /// The same for the network at a local index, if it is open. A TAP that is gone is taken out of `poller`.
  void DrainNetwork(uint32_t index, io::Poller& poller, uint64_t now_ms = BootTimeMs());
  /// A socket was full since this was asked for the last time.
  [[nodiscard]] bool HasWaited() const { return has_waited_; }
  bool TakeWaited() { return std::exchange(has_waited_, false); }

 private:
  static constexpr core::Mac kNoMac = UINT64_MAX;

  struct Train;

  void Begin(uint32_t network_index, uint64_t now_ms);
  void LookAtTables();
  bool MoveFrames();
  void Forward(uint8_t* frame, size_t size, const core::OffloadHeader& offload);
  void NoteLocalSource(core::Mac mac);
  bool SettleChecksum(uint8_t* frame, size_t size, const core::OffloadHeader& offload,
                      const core::FrameInfo& info, bool* is_partial);
  void TellFlood(const uint8_t* frame, size_t size, const core::FrameInfo& info);
  /// Whom a frame to a group goes to; nullptr: everybody.
  const std::vector<uint32_t>* ListenersOf(core::Mac group, const uint8_t* frame, size_t size,
                                           const core::FrameInfo& info);
  void TellMembership(const uint8_t* frame, size_t size);
  /// To all members: directly, or along the tree where they are many.
  void FloodAll(uint8_t* frame, size_t size, const core::FrameInfo& info, bool is_partial,
                size_t gso_size);
  void Flood(const std::vector<uint32_t>& members, uint8_t* frame, size_t size,
             const core::FrameInfo& info, bool is_partial, size_t gso_size);
  void ToPeer(uint32_t peer, uint8_t* frame, size_t size, const core::FrameInfo& info,
              bool is_partial, size_t gso_size);
  void SendWhole(const core::PathEntry& path, core::Session& session, uint8_t* frame, size_t size,
                 uint8_t flags);
  void SendCut(const core::PathEntry& path, core::Session& session, uint8_t* frame,
               const core::FrameInfo& info, size_t segment_payload, size_t max_frame);
  void SendFragments(const core::PathEntry& path, core::Session& session, uint8_t* frame,
                     size_t size, uint8_t flags, size_t max_frame);
  void Seal(const core::PathEntry& path, core::Session& session, uint32_t phase, uint64_t counter,
            uint8_t* inner, size_t inner_size);
  /// Room for a datagram in the arena, and the train it is the last of.
  Train& Reserve(const core::PathEntry& path, size_t size, uint8_t** out);
  void FlushBetweenFrames();
  void Flush();
  void FlushSocket(io::UdpSocket& socket, size_t first, size_t count);
  /// Where the train's path keeps its statistics; nullptr when it was removed meanwhile.
  PathState* StateOf(const Train& train);
  void NoteSent(const Train& train, size_t datagrams, size_t bytes);
  void ForgetRemovedPaths();
  [[nodiscard]] bool MayUseGso(const io::UdpSocket& socket, const Train& train);
  /// Datagrams sent.
  size_t SendSingly(io::UdpSocket& socket, Train& train);
  void OnSendError(Train& train, int error);
  bool WaitWritable(io::UdpSocket& socket);

  Plane& plane_;
  const size_t worker_;
  io::TapQueue& tap_;
  Sockets& sockets_;
  core::CounterBlock& counters_;
  const size_t queue_;
  const core::Tables* tables_ = nullptr;
  uint64_t now_ms_ = 0;
  // The network at hand: where its frames come from, nullptr once it was closed.
  uint32_t network_index_ = 0;
  uint32_t network_id_ = 0;
  const core::NetworkEntry* network_ = nullptr;
  io::TapQueue* source_ = nullptr;
  uint32_t asked_peer_ = 0;           // whom the frame at hand asks for, who is out of reach
  uint8_t ecn_ = 0;                   // of the frame at hand
  core::Mac cached_source_ = kNoMac;  // looked at in this Drain
  std::vector<core::TokenBucket> unknown_unicast_;  // by network
  core::TokenBucket mac_events_;
  core::TokenBucket membership_events_;
  std::array<uint32_t, core::kMaxNetworks> memberships_missed_{};

  std::unique_ptr<uint8_t[]> read_buffer_;
  std::unique_ptr<uint8_t[]> flood_buffer_;
  WantedPeers wanted_;
  FloodTree tree_;
  std::unique_ptr<uint8_t[]> arena_;
  size_t arena_used_ = 0;
  std::unique_ptr<Train[]> trains_;
  size_t train_count_ = 0;
  bool may_leave_ = false;
  bool has_waited_ = false;
  core::AeadScratch scratch_;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_TX_PATH_H_
