#include "native/engine/table_store.h"

#include <sodium.h>

#include <algorithm>
#include <set>
#include <utility>

namespace overlayd::engine {
namespace {

constexpr uint32_t kMinDatagramBytes = 548;
constexpr uint32_t kMaxDatagramBytes = 65507;
constexpr size_t kMaxGroups = 4096;
constexpr size_t kMaxMemberLists = 4096;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

std::string Number(uint32_t value) { return std::to_string(value); }

bool ArePeerSlots(const std::vector<uint32_t>& peers) {
  return std::all_of(peers.begin(), peers.end(),
                     [](uint32_t peer) { return peer != 0 && peer <= core::kMaxPeers; });
}

bool IsReachable(const core::PeerEntry& peer) {
  return peer.session != core::kNoSlot && peer.path != core::kNoSlot;
}

}  // namespace

// A copy of the master that the batch is tried on, and what must be undone or finished.
struct TableStore::Plan {
  Master master;
  std::vector<uint32_t> new_states;
  std::vector<uint32_t> freed_states;
  std::vector<uint32_t> new_label_states;
  std::vector<uint32_t> freed_label_states;
  std::set<uint32_t> labels_set;           // anywhere in the batch: a pair names each other
  std::vector<uint32_t> removed_sessions;  // slots
  std::unordered_map<uint32_t, const SessionInstall*> installs;
  std::unordered_map<uint32_t, uint32_t> tx_phases;  // by session, where the batch changes them
  NeighbourStore::Draft neighbours;
};

TableStore::TableStore(Plane& plane) : plane_(plane), neighbours_(plane.address_seed) {
  free_path_states_.reserve(kMaxPaths);
  for (uint32_t state = kMaxPaths; state-- > 0;) free_path_states_.push_back(state);
  free_label_states_.reserve(kMaxLabels);
  for (uint32_t state = kMaxLabels; state-- > 0;) free_label_states_.push_back(state);
  networks_[0].is_open = true;
  Publish();
}

TableStore::~TableStore() { plane_.tables.store(nullptr); }

std::string TableStore::Apply(std::span<TableEntry> entries, size_t* refused) {
  Plan plan{master_, {}, {}, {}, {}, {}, {}, {}, {}, NeighbourStore::Draft(neighbours_)};
  for (const TableEntry& entry : entries) {
    if (const auto* set = std::get_if<LabelSet>(&entry)) plan.labels_set.insert(set->label);
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    std::string why = Check(plan, entries[i]);
    if (!why.empty()) {
      *refused = i;
      for (const uint32_t state : plan.new_states) free_path_states_.push_back(state);
      for (const uint32_t state : plan.new_label_states) free_label_states_.push_back(state);
      return why;
    }
  }
  Commit(plan, entries);
  return {};
}

// Works on the plan only. Sessions of the same batch are known by their install entry until Commit gives them a slot.
std::string TableStore::Check(Plan& plan, const TableEntry& entry) {
  Master& master = plan.master;
  const auto has_session = [&](uint32_t index) { return master.sessions.contains(index); };
  const auto unknown_session = [](uint32_t index) { return "unknown session " + Number(index); };
  // A frame for one member must never be sealed with the keys of another.
  const auto peer_of = [&](uint32_t index) {
    const auto install = plan.installs.find(index);
    return install != plan.installs.end() ? install->second->peer
                                          : plane_.sessions.at(master.sessions.at(index)).peer;
  };
  const auto foreign_session = [](uint32_t index) {
    return "session " + Number(index) + " belongs to another peer";
  };
  return std::visit(
      Overloaded{
          [&](const SessionInstall& e) -> std::string {
            if (e.session == 0 || has_session(e.session)) {
              return "session " + Number(e.session) + " is 0 or in use";
            }
            if (e.peer == 0 || e.peer > core::kMaxPeers) return "peer slot out of range";
            const auto suite = static_cast<size_t>(e.suite);
            if (suite >= plane_.aeads.size() || plane_.aeads[suite] == nullptr) {
              return "suite " + std::to_string(suite) + " is not available";
            }
            if (plan.installs.size() >= plane_.sessions.free_slots())
              return "session table is full";
            plan.installs[e.session] = &e;
            plan.tx_phases[e.session] = 0;
            master.sessions[e.session] = core::kNoSlot;
            return {};
          },
          [&](const SessionRxKey& e) -> std::string {
            return has_session(e.session) ? "" : unknown_session(e.session);
          },
          [&](const SessionTxKey& e) -> std::string {
            const auto found = master.sessions.find(e.session);
            if (found == master.sessions.end()) return unknown_session(e.session);
            const auto changed = plan.tx_phases.find(e.session);
            const uint32_t current = changed != plan.tx_phases.end()
                                         ? changed->second
                                         : plane_.sessions.at(found->second).tx_phase.load();
            // Two places for keys: the one after next would be written over the key in use.
            if (e.phase > current + 1) {
              return "phase " + Number(e.phase) + " does not follow " + Number(current);
            }
            if (e.phase > current) plan.tx_phases[e.session] = e.phase;
            return {};
          },
          [&](const SessionRxRetire& e) -> std::string {
            return has_session(e.session) ? "" : unknown_session(e.session);
          },
          [&](const SessionRemove& e) -> std::string {
            const auto found = master.sessions.find(e.session);
            if (found == master.sessions.end()) return {};  // the wanted end state
            if (found->second != core::kNoSlot) plan.removed_sessions.push_back(found->second);
            master.sessions.erase(found);
            return {};
          },
          [&](const PeerSet& e) -> std::string {
            if (e.peer == 0 || e.peer > core::kMaxPeers) return "peer slot out of range";
            if (e.session != 0 && !has_session(e.session)) return unknown_session(e.session);
            if (e.session != 0 && peer_of(e.session) != e.peer) return foreign_session(e.session);
            if (e.path != 0) {
              const auto found = master.paths.find(e.path);
              if (found == master.paths.end()) return "unknown path " + Number(e.path);
              if (found->second.peer != e.peer) {
                return "path " + Number(e.path) + " belongs to another peer";
              }
            }
            master.peers[e.peer] = {e.session, e.path, e.id};
            return {};
          },
          [&](const PeerRemove& e) -> std::string {
            master.peers.erase(e.peer);
            return {};
          },
          [&](const PathSet& e) -> std::string {
            if (e.path == 0) return "path id is 0";
            if (e.peer == 0 || e.peer > core::kMaxPeers) return "peer slot out of range";
            if (e.session != 0 && !has_session(e.session)) return unknown_session(e.session);
            if (e.session != 0 && peer_of(e.session) != e.peer) return foreign_session(e.session);
            if (e.datagram_bytes < kMinDatagramBytes || e.datagram_bytes > kMaxDatagramBytes) {
              return "datagramBytes " + Number(e.datagram_bytes) + " is not in 548 ... 65507";
            }
            if (e.endpoint.port == 0 && !core::IsMulticastOrVirtual(e.endpoint)) {
              return "endpoint has port 0";
            }
            auto found = master.paths.find(e.path);
            if (found == master.paths.end()) {
              if (free_path_states_.empty()) return "path table is full";
              const uint32_t state = free_path_states_.back();
              free_path_states_.pop_back();
              plan.new_states.push_back(state);
              found = master.paths.emplace(e.path, Master::Path{}).first;
              found->second.state = state;
            }
            const uint32_t state = found->second.state;
            found->second = {e.peer, e.session, e.endpoint, e.datagram_bytes, state};
            return {};
          },
          [&](const PathRemove& e) -> std::string {
            const auto found = master.paths.find(e.path);
            if (found == master.paths.end()) return {};
            plan.freed_states.push_back(found->second.state);
            master.paths.erase(found);
            return {};
          },
          [&](const LabelSet& e) -> std::string {
            if (e.label == 0) return "label is 0";
            if (!master.peers.contains(e.peer)) return "unknown peer " + Number(e.peer);
            if (e.forward != 0 && !master.labels.contains(e.forward) &&
                !plan.labels_set.contains(e.forward)) {
              return "unknown label " + Number(e.forward);
            }
            auto found = master.labels.find(e.label);
            if (found == master.labels.end()) {
              if (free_label_states_.empty()) return "label table is full";
              const uint32_t state = free_label_states_.back();
              free_label_states_.pop_back();
              plan.new_label_states.push_back(state);
              found = master.labels.emplace(e.label, Master::Label{}).first;
              found->second.state = state;
            }
            const uint32_t state = found->second.state;
            found->second = {e.peer, e.out_label, e.forward, state};
            return {};
          },
          [&](const LabelRemove& e) -> std::string {
            const auto found = master.labels.find(e.label);
            if (found == master.labels.end()) return {};
            plan.freed_label_states.push_back(found->second.state);
            master.labels.erase(found);
            return {};
          },
          [&](const FdbSet& e) -> std::string {
            if (e.network > core::kMaxNetworkId) return "network out of range";
            if (e.peer > core::kMaxPeers) return "peer slot out of range";
            master.fdb[{e.network, e.mac}] = e.peer;
            return {};
          },
          [&](const FdbRemove& e) -> std::string {
            master.fdb.erase({e.network, e.mac});
            return {};
          },
          [&](const GroupSet& e) -> std::string {
            if (e.network > core::kMaxNetworkId) return "network out of range";
            if (!ArePeerSlots(e.peers)) return "peer slot out of range";
            const bool is_new = !master.groups.contains({e.network, e.mac});
            // Guests and members say so many, in however many networks: no reason to refuse a whole batch.
            if (is_new && master.groups.size() >= kMaxGroups) return {};
            master.groups[{e.network, e.mac}] =
                std::make_shared<const std::vector<uint32_t>>(e.peers);
            return {};
          },
          [&](const GroupRemove& e) -> std::string {
            master.groups.erase({e.network, e.mac});
            return {};
          },
          [&](const MembersSet& e) -> std::string {
            if (e.network == 0) return "the default network has no list of members";
            if (e.network > core::kMaxNetworkId) return "network out of range";
            if (!ArePeerSlots(e.peers)) return "peer slot out of range";
            if (e.peers.empty()) {
              master.members.erase(e.network);
              return {};
            }
            const bool is_new = !master.members.contains(e.network);
            if (is_new && master.members.size() >= kMaxMemberLists) return "too many networks";
            std::vector<uint32_t> once = e.peers;
            std::sort(once.begin(), once.end());
            once.erase(std::unique(once.begin(), once.end()), once.end());
            master.members[e.network] =
                std::make_shared<const std::vector<uint32_t>>(std::move(once));
            return {};
          },
          [&](const NeighbourSet& e) -> std::string { return plan.neighbours.Set(e); },
          [&](const NeighbourRemove& e) -> std::string {
            plan.neighbours.Remove(e);
            return {};
          },
          [&](const TreeSet& e) -> std::string {
            for (const uint32_t peer : e.peers) {
              if (peer == 0 || peer > core::kMaxPeers) return "peer slot out of range";
            }
            master.tree_origin = e.origin;
            master.tree_peers = e.peers;
            return {};
          },
          [](const ResumeSet&) -> std::string { return {}; },
          [](const ResumeRemove&) -> std::string { return {}; },
      },
      entry);
}

void TableStore::Commit(Plan& plan, std::span<TableEntry> entries) {
  for (const uint32_t state : plan.new_states) plane_.paths.Renew(state);
  for (const uint32_t state : plan.new_label_states) plane_.labels.Renew(state);
  for (auto& [index, slot] : plan.master.sessions) {
    if (slot != core::kNoSlot) continue;
    const SessionInstall& install = *plan.installs.at(index);
    slot = plane_.sessions.Allocate();
    core::Session& session = plane_.sessions.at(slot);
    session.peer = install.peer;
    session.remote_index = install.remote_index;
    session.suite = install.suite;
    session.index.store(index, std::memory_order_relaxed);
    InstallRx(session, 0, install.rx);
    InstallTx(session, 0, install.tx);
  }
  master_ = std::move(plan.master);
  neighbours_.Commit(plan.neighbours);
  for (TableEntry& entry : entries) {
    std::visit(Overloaded{
                   [&](const SessionRxKey& e) {
                     const uint32_t slot = SessionSlot(e.session);
                     if (slot != core::kNoSlot) InstallRx(plane_.sessions.at(slot), e.phase, e.rx);
                   },
                   [&](const SessionTxKey& e) {
                     const uint32_t slot = SessionSlot(e.session);
                     if (slot != core::kNoSlot) InstallTx(plane_.sessions.at(slot), e.phase, e.tx);
                   },
                   [&](const SessionRxRetire& e) {
                     const uint32_t slot = SessionSlot(e.session);
                     if (slot == core::kNoSlot) return;
                     core::RxPhase& rx = plane_.sessions.at(slot).rx[e.phase & 1];
                     if (rx.phase_plus_one.load() != e.phase + 1) return;
                     rx.phase_plus_one.store(0);
                     plane_.quiescence.Synchronize();
                     sodium_memzero(&rx.key, sizeof rx.key);
                   },
                   [&](const PathSet& e) {
                     const auto found = master_.paths.find(e.path);
                     if (found != master_.paths.end()) {
                       plane_.paths[found->second.state].limit_bytes.store(UINT32_MAX);
                     }
                   },
                   [&](const PeerRemove& e) { plane_.fdb.Forget(static_cast<uint16_t>(e.peer)); },
                   // What was learned before is older than what is declared now, or not any more.
                   [&](const FdbSet& e) { plane_.fdb.Remove(e.network, e.mac); },
                   [&](const FdbRemove& e) { plane_.fdb.Remove(e.network, e.mac); },
                   [&](const ResumeSet& e) { (void)plane_.gate->SetResume(e.hint, e.pair_key); },
                   [&](const ResumeRemove& e) { plane_.gate->RemoveResume(e.hint); },
                   [](const auto&) {},
               },
               entry);
  }
  Publish();
  for (const uint32_t slot : plan.removed_sessions) plane_.sessions.Free(slot);
  for (const uint32_t state : plan.freed_states) free_path_states_.push_back(state);
  for (const uint32_t state : plan.freed_label_states) free_label_states_.push_back(state);
}

void TableStore::OpenNetwork(uint32_t index, uint32_t network) {
  networks_[index].id = network;
  networks_[index].is_open = true;
  Publish();
}

void TableStore::CloseNetwork(uint32_t index) {
  networks_[index] = {};
  Publish();
}

void TableStore::Publish() {
  auto tables = std::make_unique<core::Tables>();
  tables->peers.resize(core::kMaxPeers + 1);
  tables->sessions = core::FlatMap(master_.sessions.size());
  for (const auto& [index, slot] : master_.sessions) tables->sessions.Insert(index, slot);
  tables->paths.reserve(master_.paths.size());
  tables->path_by_address = core::FlatMap(master_.paths.size());
  std::unordered_map<uint32_t, uint32_t> positions;
  for (const auto& [id, path] : master_.paths) {
    const auto position = static_cast<uint32_t>(tables->paths.size());
    core::PeerEntry& peer = tables->peers[path.peer];
    tables->paths.push_back({id, path.peer, SessionSlot(path.session), path.state, peer.first_path,
                             path.datagram_bytes, path.endpoint, core::IsRelayed(path.endpoint),
                             core::kNoSlot});
    peer.first_path = position;
    positions[id] = position;
    tables->path_by_address.Insert(core::AddressKey(plane_.address_seed, path.endpoint), position);
  }
  for (const auto& [slot, peer] : master_.peers) {
    core::PeerEntry& entry = tables->peers[slot];
    entry.is_present = true;
    entry.session = SessionSlot(peer.session);
    const auto position = positions.find(peer.path);
    if (position != positions.end()) entry.path = position->second;
  }
  tables->neighbours = neighbours_.table();
  PublishNetworks(*tables);
  PublishTree(*tables);
  PublishGroups(*tables);
  PublishLabels(*tables);
  plane_.tables.store(tables.get());
  // The old snapshot, removed sessions and paths are out of every worker's hands after this.
  plane_.quiescence.Synchronize();
  published_ = std::move(tables);
}

// Which networks there are here, who is in each, and the MACs declared there.
void TableStore::PublishNetworks(core::Tables& tables) const {
  const auto add = [&](core::NetworkEntry& entry, uint32_t slot) {
    if (IsReachable(tables.peers[slot])) {
      entry.reachable.push_back(slot);
    } else {
      entry.has_absent = true;
    }
  };
  tables.networks.assign(networks_.begin(), networks_.end());
  for (const auto& [slot, peer] : master_.peers) add(tables.networks[0], slot);
  tables.network_indexes = core::FlatMap(core::kMaxNetworks);
  for (uint32_t index = 1; index < core::kMaxNetworks; ++index) {
    core::NetworkEntry& entry = tables.networks[index];
    if (!entry.is_open) continue;
    tables.network_indexes.Insert(entry.id, index);
    const auto members = master_.members.find(entry.id);
    if (members == master_.members.end()) continue;
    for (const uint32_t slot : *members->second) add(entry, slot);
  }
  tables.declared_fdb = core::FlatMap(master_.fdb.size());
  for (const auto& [key, peer] : master_.fdb) {
    const uint32_t index = tables.IndexOf(key.first);
    if (index != core::kNoSlot) tables.declared_fdb.Insert(core::FdbKey(index, key.second), peer);
  }
}

void TableStore::PublishGroups(core::Tables& tables) const {
  tables.groups = core::FlatMap(master_.groups.size());
  tables.group_peers.reserve(master_.groups.size());
  const auto is_reachable = [&](uint32_t slot) { return IsReachable(tables.peers[slot]); };
  for (const auto& [key, peers] : master_.groups) {
    const uint32_t index = tables.IndexOf(key.first);
    if (index == core::kNoSlot) continue;
    tables.groups.Insert(core::FdbKey(index, key.second),
                         static_cast<uint32_t>(tables.group_peers.size()));
    std::vector<uint32_t>& listeners = tables.group_peers.emplace_back();
    std::copy_if(peers->begin(), peers->end(), std::back_inserter(listeners), is_reachable);
  }
}

void TableStore::PublishTree(core::Tables& tables) const {
  tables.tree_origin = master_.tree_origin;
  tables.takes_floods = !master_.tree_peers.empty();
  for (const uint32_t slot : master_.tree_peers) {
    const core::PeerEntry& peer = tables.peers[slot];
    const bool is_reachable = peer.session != core::kNoSlot && peer.path != core::kNoSlot;
    if (is_reachable) tables.tree_peers.push_back(slot);
  }
  tables.peer_ids = core::FlatMap(master_.peers.size());
  for (const auto& [slot, peer] : master_.peers) {
    if (peer.id != 0) tables.peer_ids.Insert(peer.id, slot);
  }
}

// Follows labels to where their datagrams go, so that nothing is left to be found out per datagram.
void TableStore::PublishLabels(core::Tables& tables) const {
  tables.label_positions = core::FlatMap(master_.labels.size());
  tables.labels.reserve(master_.labels.size());
  for (const auto& [label, row] : master_.labels) {
    tables.label_positions.Insert(label, static_cast<uint32_t>(tables.labels.size()));
    core::LabelEntry entry{.label = label, .peer = row.peer, .out_label = row.out_label};
    entry.ends_here = row.forward == 0;
    entry.state = row.state;
    entry.path = tables.peers[row.peer].path;
    if (row.out_label == 0) {
      entry.problem = core::DropReason::kRelayUnknown;
    } else if (entry.path == core::kNoSlot) {
      entry.problem = core::DropReason::kNoPath;
    } else if (tables.paths[entry.path].is_relayed) {
      entry.problem = core::DropReason::kRelayNested;
    }
    tables.labels.push_back(entry);
  }
  for (core::LabelEntry& entry : tables.labels) {
    const uint32_t forward = master_.labels.at(entry.label).forward;
    if (forward != 0) entry.forward = tables.label_positions.Find(forward);
  }
  for (core::PathEntry& path : tables.paths) {
    if (path.is_relayed) path.label = tables.label_positions.Find(core::LabelOf(path.endpoint));
  }
}

void TableStore::InstallRx(core::Session& session, uint32_t phase, const DirectionKey& key) {
  core::RxPhase& rx = session.rx[phase & 1];
  // Repeated, or older than what was there: its replay window must not be forgotten.
  if (phase < session.next_rx_phase) return;
  session.next_rx_phase = phase + 1;
  if (rx.phase_plus_one.exchange(0) != 0) plane_.quiescence.Synchronize();
  plane_.AeadOf(session).expand(&rx.key, key.key.data(), key.iv.data());
  rx.window.Reset();
  rx.is_confirmed.store(false);
  rx.phase_plus_one.store(phase + 1, std::memory_order_release);
}

void TableStore::InstallTx(core::Session& session, uint32_t phase, const DirectionKey& key) {
  const uint32_t current = session.tx_phase.load();
  // Never twice the same phase: counters would start again under the same key.
  if (current != core::kNoTxPhase && phase <= current) return;
  core::TxPhase& tx = session.tx[phase & 1];
  // Workers that began with the phase before last leave this place; a new session has none.
  if (current != core::kNoTxPhase) plane_.quiescence.Synchronize();
  plane_.AeadOf(session).expand(&tx.key, key.key.data(), key.iv.data());
  tx.next_counter.store(0);
  session.is_limit_reported.store(false);
  session.tx_phase.store(phase, std::memory_order_release);
  if (current != core::kNoTxPhase) {
    plane_.quiescence.Synchronize();  // the last users of the key before
    sodium_memzero(&session.tx[current & 1].key, sizeof(core::AeadKey));
  }
}

std::vector<TableStore::PathRow> TableStore::Paths() const {
  std::vector<PathRow> rows;
  rows.reserve(master_.paths.size());
  for (const auto& [id, path] : master_.paths) rows.push_back({id, path.state});
  return rows;
}

std::vector<TableStore::LabelRow> TableStore::Labels() const {
  std::vector<LabelRow> rows;
  rows.reserve(master_.labels.size());
  for (const auto& [label, row] : master_.labels) rows.push_back({label, row.state});
  return rows;
}

std::vector<TableStore::SessionRow> TableStore::Sessions() const {
  std::vector<SessionRow> rows;
  rows.reserve(master_.sessions.size());
  for (const auto& [index, slot] : master_.sessions) rows.push_back({index, slot});
  return rows;
}

std::vector<TableStore::FdbRow> TableStore::DeclaredFdb() const {
  std::vector<FdbRow> rows;
  rows.reserve(master_.fdb.size());
  for (const auto& [key, peer] : master_.fdb) rows.push_back({key.first, key.second, peer});
  return rows;
}

uint32_t TableStore::SessionSlot(uint32_t index) const {
  const auto found = master_.sessions.find(index);
  return found == master_.sessions.end() ? core::kNoSlot : found->second;
}

}  // namespace overlayd::engine
