#ifndef OVERLAYD_NATIVE_CORE_FDB_H_
#define OVERLAYD_NATIVE_CORE_FDB_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "native/core/keyed_hash.h"
#include "native/core/mac.h"

/*
 * The learned FDB: (network, MAC) -> peer, from the source addresses of authenticated frames.
 * docs/protocol.md#10. Declared entries live in the table snapshot and are asked first; they never
 * come here.
 *
 * Fixed memory: 4096 sets of 8 places, of which at most 16 384 are used. A key may lie in either of
 * two sets. A place is two atomic words:
 *
 *   key    network low 16 | mac 48
 *   value  network high 8 | 0 (8) | peer 16 | last seen 32 (seconds)            peer 0: empty
 *
 * Lookup and the refresh of a known entry take no lock. A writer that gives a place to another key
 * empties the value, writes the key, then the value; a reader loads key, value, key: it sees a
 * value of another key only if the place went to another key and back between two of its loads,
 * which sends one frame to another member of the mesh. New entries and moves are rare and take the
 * mutex.
 *
 * Bounds, since a member can invent source addresses: 4096 entries per peer. When no place is free,
 * entries not seen for 300 s go first; then one of the peer with the most entries, if it has at
 * least twice as many as the one that learns; else nothing is learned (frames to that MAC are
 * flooded). So a peer that fills the table displaces itself.
 *
 * Flap damping: the fifth move within 180 s is refused, and the holder kept for 60 s. A loop in
 * somebody's LAN or two machines with one MAC then cost a flap now and then, not one per frame.
 */
namespace overlayd::core {

class Fdb {
 public:
  static constexpr size_t kCapacity = 16384;
  static constexpr uint32_t kMaxPerPeer = 4096;
  static constexpr uint16_t kMaxPeer = 4096;
  static constexpr uint32_t kMaxNetwork = 0xffffff;
  static constexpr uint32_t kAgeingS = 300;
  static constexpr uint32_t kFlapMoves = 5;
  static constexpr uint32_t kFlapWindowS = 180;
  static constexpr uint32_t kFlapHoldS = 60;

  enum class Learned : uint8_t {
    kRefreshed,  ///< Known, same peer.
    kNew,
    kMoved,     ///< Known, other peer before.
    kFlapping,  ///< Moves too often: the holder is kept.
    kFull,      ///< No place, the peer has too many, or arguments out of range: nothing learned.
  };

  struct Entry {
    uint32_t network;
    Mac mac;
    uint16_t peer;
    uint32_t age_s;
  };

  explicit Fdb(HashSeed seed);
  Fdb(const Fdb&) = delete;
  Fdb& operator=(const Fdb&) = delete;

  /// The peer behind this MAC, or 0: unknown or not seen for 300 s. Lock-free. Seconds of any
  /// monotonic clock.
  [[nodiscard]] uint16_t Lookup(uint32_t network, Mac mac, uint32_t now_s) const;

  /// An authenticated frame of `peer` (1 to 4096) had this unicast source. Lock-free unless
  /// something changes.
  Learned Learn(uint32_t network, Mac mac, uint16_t peer, uint32_t now_s);

  /// Forgets one MAC: it was seen on a local port, and local evidence wins. Who had it, or 0. Cheap
  /// when it is not there.
  uint16_t Remove(uint32_t network, Mac mac);

  /// Forgets all of one peer: it left. Returns how many.
  size_t Forget(uint16_t peer);

  /// Forgets all of one network: it was closed. Returns how many.
  size_t ForgetNetwork(uint32_t network);

  /// Frees entries not seen for 300 s; call every few seconds. Returns how many.
  size_t Age(uint32_t now_s);

  /// Calls callback(Entry) for each entry not aged out; concurrent changes may or may not be seen.
  template <typename Callback>
  void Dump(uint32_t now_s, Callback&& callback) const {
    for (const Place& place : places_) {
      const uint64_t key = place.key.load(std::memory_order_acquire);
      const uint64_t value = place.value.load(std::memory_order_acquire);
      if (PeerOf(value) == 0 || IsAged(value, now_s)) continue;
      if (place.key.load(std::memory_order_relaxed) != key) continue;
      callback(Entry{NetworkOf(key, value), key & kMaxMac, PeerOf(value), AgeOf(value, now_s)});
    }
  }

  [[nodiscard]] size_t Size() const;
  [[nodiscard]] uint32_t CountOf(uint16_t peer) const;

 private:
  static constexpr size_t kWays = 8;
  static constexpr size_t kSets = 4096;
  static constexpr size_t kPlaces = kSets * kWays;

  struct Place {
    std::atomic<uint64_t> key{0};
    std::atomic<uint64_t> value{0};
  };
  /// The times of the last moves, oldest first, and until when none is allowed.
  struct Moves {
    std::array<uint32_t, kFlapMoves - 1> at_s{};
    uint32_t count = 0;
    uint32_t hold_until_s = 0;
  };
  /// Where a key may lie: the first places of its two sets.
  struct Home {
    size_t first;
    size_t second;
  };

  static uint64_t KeyOf(uint32_t network, Mac mac) {
    return static_cast<uint64_t>(network & 0xffff) << 48 | mac;
  }
  static uint64_t ValueOf(uint32_t network, uint16_t peer, uint32_t seen_s) {
    return static_cast<uint64_t>(network >> 16) << 56 | static_cast<uint64_t>(peer) << 32 | seen_s;
  }
  static uint16_t PeerOf(uint64_t value) { return static_cast<uint16_t>(value >> 32); }
  static uint32_t SeenOf(uint64_t value) { return static_cast<uint32_t>(value); }
  static uint32_t NetworkOf(uint64_t key, uint64_t value) {
    return static_cast<uint32_t>(value >> 56) << 16 | static_cast<uint32_t>(key >> 48);
  }
  /// Threads read the clock at slightly different moments: an entry may be seen "in the future".
  static uint32_t AgeOf(uint64_t value, uint32_t now_s) {
    return now_s > SeenOf(value) ? now_s - SeenOf(value) : 0;
  }
  static bool IsAged(uint64_t value, uint32_t now_s) { return AgeOf(value, now_s) > kAgeingS; }

  [[nodiscard]] Home HomeOf(uint32_t network, Mac mac) const;
  /// Index of the place with this key and its value, or kPlaces.
  size_t Find(uint32_t network, Mac mac, uint64_t& value) const;
  Learned LearnLocked(uint32_t network, Mac mac, uint16_t peer, uint32_t now_s);
  Learned MoveLocked(size_t index, uint64_t value, uint16_t peer, uint32_t now_s);
  size_t PlaceForLocked(const Home& home, uint16_t peer, uint32_t now_s);
  void WriteLocked(size_t index, uint32_t network, Mac mac, uint16_t peer, uint32_t now_s);
  void ClearLocked(size_t index);

  HashSeed seed_;
  std::vector<Place> places_;
  mutable std::mutex mutex_;
  // Guarded by mutex_ from here on.
  std::vector<Moves> moves_;
  std::vector<uint32_t> counts_;
  size_t size_ = 0;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_FDB_H_
