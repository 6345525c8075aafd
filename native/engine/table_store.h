#ifndef OVERLAYD_NATIVE_ENGINE_TABLE_STORE_H_
#define OVERLAYD_NATIVE_ENGINE_TABLE_STORE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "native/core/aead.h"
#include "native/core/gate.h"
#include "native/core/mac.h"
#include "native/engine/neighbour_store.h"
#include "native/engine/plane.h"

/*
 * The control plane's side of the tables: takes batches of entries, all or nothing, and publishes a new snapshot.
 * Belongs to the control thread. What each entry means: src/dataplane/dataplane.ts.
 */
namespace overlayd::engine {

struct DirectionKey {
  std::array<uint8_t, core::kAeadKeySize> key{};
  std::array<uint8_t, core::kAeadIvSize> iv{};
};

struct SessionInstall {
  uint32_t session;
  uint32_t peer;
  uint32_t remote_index;
  core::Suite suite;
  DirectionKey rx;
  DirectionKey tx;
};
struct SessionRxKey {
  uint32_t session;
  uint32_t phase;
  DirectionKey rx;
};
struct SessionTxKey {
  uint32_t session;
  uint32_t phase;
  DirectionKey tx;
};
struct SessionRxRetire {
  uint32_t session;
  uint32_t phase;
};
struct SessionRemove {
  uint32_t session;
};
struct PeerSet {
  uint32_t peer;
  uint32_t session;  // 0: none
  uint32_t path;     // 0: none
  uint64_t id = 0;   // first 8 bytes of its PeerId, little-endian; 0: nobody asks
};
struct PeerRemove {
  uint32_t peer;
};
struct PathSet {
  uint32_t path;
  uint32_t peer;
  uint32_t session;  // 0: silent
  core::SourceAddress endpoint;
  uint32_t datagram_bytes;
};
struct PathRemove {
  uint32_t path;
};
struct LabelSet {
  uint32_t label;
  uint32_t peer;
  uint32_t out_label;  // 0: not known yet
  uint32_t forward;    // 0: ends here
};
struct LabelRemove {
  uint32_t label;
};
struct FdbSet {
  uint32_t network;
  uint64_t mac;
  uint32_t peer;  // 0: a port of this host
};
struct FdbRemove {
  uint32_t network;
  uint64_t mac;
};
struct GroupSet {
  uint32_t network;
  uint64_t mac;
  std::vector<uint32_t> peers;
};
struct GroupRemove {
  uint32_t network;
  uint64_t mac;
};
struct MembersSet {
  uint32_t network;  // not the default one
  std::vector<uint32_t> peers;
};
struct TreeSet {
  uint64_t origin;  // first 8 bytes of our PeerId; 0: there is no tree
  std::vector<uint32_t> peers;
};
struct ResumeSet {
  std::array<uint8_t, core::kHintBytes> hint;
  std::array<uint8_t, core::kPairKeyBytes> pair_key;
};
struct ResumeRemove {
  std::array<uint8_t, core::kHintBytes> hint;
};

using TableEntry = std::variant<SessionInstall, SessionRxKey, SessionTxKey, SessionRxRetire,
                                SessionRemove, PeerSet, PeerRemove, PathSet, PathRemove, LabelSet,
                                LabelRemove, FdbSet, FdbRemove, GroupSet, GroupRemove, MembersSet,
                                NeighbourSet, NeighbourRemove, TreeSet, ResumeSet, ResumeRemove>;

class TableStore {
 public:
  explicit TableStore(Plane& plane);
  ~TableStore();

  /// Applies all entries or none. Empty on success, else why entry `*refused` cannot be applied.
  std::string Apply(std::span<TableEntry> entries, size_t* refused);

  /// Shows workers the network at a local index that is free; its state is filled in.
  void OpenNetwork(uint32_t index, uint32_t network);
  /// When it returns, no worker is in it.
  void CloseNetwork(uint32_t index);

  struct PathRow {
    uint32_t id;
    uint32_t state;
  };
  [[nodiscard]] std::vector<PathRow> Paths() const;
  struct LabelRow {
    uint32_t label;
    uint32_t state;
  };
  [[nodiscard]] std::vector<LabelRow> Labels() const;
  struct SessionRow {
    uint32_t index;
    uint32_t slot;
  };
  [[nodiscard]] std::vector<SessionRow> Sessions() const;
  struct FdbRow {
    uint32_t network;
    core::Mac mac;
    uint32_t peer;
  };
  /// The declared ones; learned ones are in Plane::fdb.
  [[nodiscard]] std::vector<FdbRow> DeclaredFdb() const;
  /// Slot of a session, kNoSlot when unknown.
  [[nodiscard]] uint32_t SessionSlot(uint32_t index) const;

 private:
  struct Master {
    struct Peer {
      uint32_t session = 0;
      uint32_t path = 0;
      uint64_t id = 0;
    };
    struct Path {
      uint32_t peer;
      uint32_t session;
      core::SourceAddress endpoint;
      uint32_t datagram_bytes;
      uint32_t state;
    };
    struct Label {
      uint32_t peer;
      uint32_t out_label;
      uint32_t forward;
      uint32_t state;
    };
    std::map<uint32_t, Peer> peers;
    std::map<uint32_t, Path> paths;
    std::map<uint32_t, Label> labels;
    std::unordered_map<uint32_t, uint32_t> sessions;         // receiver_index -> slot
    std::map<std::pair<uint32_t, core::Mac>, uint32_t> fdb;  // network, MAC -> peer
    // Shared, since every batch is tried on a copy.
    using GroupPeers = std::shared_ptr<const std::vector<uint32_t>>;
    std::map<std::pair<uint32_t, core::Mac>, GroupPeers> groups;
    std::map<uint32_t, GroupPeers> members;  // by network
    uint64_t tree_origin = 0;
    std::vector<uint32_t> tree_peers;
  };
  struct Plan;

  std::string Check(Plan& plan, const TableEntry& entry);
  void Commit(Plan& plan, std::span<TableEntry> entries);
  void Publish();
  void PublishNetworks(core::Tables& tables) const;
  void PublishGroups(core::Tables& tables) const;
  void PublishTree(core::Tables& tables) const;
  void PublishLabels(core::Tables& tables) const;
  void InstallRx(core::Session& session, uint32_t phase, const DirectionKey& key);
  void InstallTx(core::Session& session, uint32_t phase, const DirectionKey& key);

  Plane& plane_;
  Master master_;
  NeighbourStore neighbours_;
  std::array<core::NetworkEntry, core::kMaxNetworks> networks_;  // id and is_open
  std::vector<uint32_t> free_path_states_;
  std::vector<uint32_t> free_label_states_;
  std::unique_ptr<const core::Tables> published_;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_TABLE_STORE_H_
