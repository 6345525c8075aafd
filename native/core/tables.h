#ifndef OVERLAYD_NATIVE_CORE_TABLES_H_
#define OVERLAYD_NATIVE_CORE_TABLES_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "native/core/drop_reason.h"
#include "native/core/keyed_hash.h"
#include "native/core/neighbour_table.h"
#include "native/core/source_address.h"

/*
 * What the control plane has decided, as the workers read it: an immutable snapshot behind one atomic pointer. A change
 * makes a new snapshot; the old one is freed when no worker can hold it (engine/quiescence.h).
 */
namespace overlayd::core {

inline constexpr uint32_t kMaxPeers = 4096;
inline constexpr uint32_t kNoSlot = UINT32_MAX;
/// In the declared FDB: a port of this host, no peer.
inline constexpr uint32_t kLocalPeer = 0;

/// Network ids have 24 bits on the wire; the default network is 0.
inline constexpr uint32_t kMaxNetworkId = 0xffffff;
/// Open at a time, the default one included.
inline constexpr uint32_t kMaxNetworks = 64;

/// A network of this host. Its position in Tables::networks is its local index, which the other tables and the engine's
/// network states go by; 0 is the default network. Another may have it in a later snapshot.
struct NetworkEntry {
  uint32_t id = 0;
  bool is_open = false;
  std::vector<uint32_t> reachable;  // members with session and path: whom a flood goes to
  bool has_absent = false;          // there are members that are not
};

/// A way to a peer. `state` indexes the engine's path states, which outlive snapshots.
struct PathEntry {
  uint32_t id = 0;
  uint32_t peer = 0;
  uint32_t session = kNoSlot;  // slot in the session table
  uint32_t state = 0;
  uint32_t next_of_peer = kNoSlot;  // position of the peer's next path
  uint32_t datagram_bytes = 0;      // largest UDP payload
  SourceAddress endpoint;
  bool is_relayed = false;
  uint32_t label = kNoSlot;  // relayed: position of the label it goes by; kNoSlot: unknown
};

/// One of our labels (docs/protocol.md §7). `state` indexes the engine's label states, which outlive snapshots.
struct LabelEntry {
  uint32_t label = 0;
  uint32_t peer = 0;
  uint32_t out_label = 0;  // 0: the peer has not told it yet
  bool ends_here = true;
  uint32_t forward = kNoSlot;  // else: position of the label it goes on by; kNoSlot: removed
  uint32_t state = 0;
  // Where datagrams under `out_label` go: the peer's active path, unless there is a problem.
  DropReason problem = DropReason::kNone;
  uint32_t path = kNoSlot;  // position
};

struct PeerEntry {
  bool is_present = false;
  uint32_t session = kNoSlot;     // sending session's slot
  uint32_t path = kNoSlot;        // position of the active path
  uint32_t first_path = kNoSlot;  // list of all paths
};

/// Open-addressing map from a non-zero 64-bit key to a 32-bit value; built once, then read only.
class FlatMap {
 public:
  explicit FlatMap(size_t entries = 0);
  void Insert(uint64_t key, uint32_t value);
  /// kNoSlot when absent.
  [[nodiscard]] uint32_t Find(uint64_t key) const {
    for (size_t at = Place(key);; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return slots_[at].value;
      if (slots_[at].key == 0) return kNoSlot;
    }
  }

 private:
  struct Slot {
    uint64_t key = 0;
    uint32_t value = kNoSlot;
  };
  [[nodiscard]] size_t Place(uint64_t key) const {
    return static_cast<size_t>((key * 0x9e3779b97f4a7c15ULL) >> 32) & mask_;
  }
  std::vector<Slot> slots_;
  size_t mask_;
};

struct Tables {
  std::vector<PeerEntry> peers;        // by peer slot, size kMaxPeers + 1
  std::vector<PathEntry> paths;        // dense
  std::vector<NetworkEntry> networks;  // by local index
  FlatMap network_indexes;             // network id -> local index, of open ones but the default
  FlatMap sessions;                    // receiver_index -> session slot
  FlatMap declared_fdb;                // FdbKey -> peer, or kLocalPeer
  FlatMap groups;                      // FdbKey of a group -> position in group_peers
  std::vector<std::vector<uint32_t>> group_peers;  // reachable ones
  std::vector<LabelEntry> labels;                  // dense
  FlatMap label_positions;                         // label -> position
  FlatMap path_by_address;  // AddressKey -> position of a path, to be compared
  std::shared_ptr<const NeighbourTable> neighbours;  // whose MAC must be declared, too
  // Where the default network is large: our id as the origin of floods, and the reachable ones that they go to. 0: small.
  // Who counts a few members less than the others has peers and no origin: it passes on what others flood.
  uint64_t tree_origin = 0;
  std::vector<uint32_t> tree_peers;
  bool takes_floods = false;  // what others flood along the tree
  FlatMap peer_ids;           // first 8 bytes of a PeerId -> slot

  /// Local index of a network, kNoSlot when it is not open.
  [[nodiscard]] uint32_t IndexOf(uint32_t network) const {
    return network == 0 ? 0 : network_indexes.Find(network);
  }
};

/// Key of an address, never zero. Two addresses may have the same one.
inline uint64_t AddressKey(const HashSeed& seed, const SourceAddress& address) {
  uint64_t words[2];
  std::memcpy(words, address.ip.data(), sizeof words);
  return HashPair(seed, words[0] + address.port, words[1]) | 1;
}

/// Key of a MAC in the network at a local index: never zero. (Beside a MAC the 24 bits of its id find no room.)
inline uint64_t FdbKey(uint32_t network_index, uint64_t mac) {
  return (uint64_t{1} << 63) ^ mac ^ (uint64_t{network_index} << 48);
}

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_TABLES_H_
