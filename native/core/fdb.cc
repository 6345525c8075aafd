#include "native/core/fdb.h"

#include <algorithm>

namespace overlayd::core {

Fdb::Fdb(HashSeed seed)
    : seed_(seed), places_(kPlaces), moves_(kPlaces), counts_(size_t{kMaxPeer} + 1) {}

Fdb::Home Fdb::HomeOf(uint32_t network, Mac mac) const {
  const uint64_t hash = HashPair(seed_, KeyOf(network, mac), network >> 16);
  return {hash % kSets * kWays, (hash >> 32) % kSets * kWays};
}

size_t Fdb::Find(uint32_t network, Mac mac, uint64_t& value) const {
  const uint64_t key = KeyOf(network, mac);
  const Home home = HomeOf(network, mac);
  for (const size_t set : {home.first, home.second}) {
    for (size_t index = set; index < set + kWays; ++index) {
      const Place& place = places_[index];
      // Acquire pairs with the writer's releases: a value of a later key implies that the key after
      // it is seen too.
      if (place.key.load(std::memory_order_acquire) != key) continue;
      value = place.value.load(std::memory_order_acquire);
      if (PeerOf(value) == 0 || value >> 56 != network >> 16) continue;
      if (place.key.load(std::memory_order_relaxed) == key) return index;
    }
  }
  return kPlaces;
}

uint16_t Fdb::Lookup(uint32_t network, Mac mac, uint32_t now_s) const {
  uint64_t value = 0;
  if (Find(network, mac, value) == kPlaces || IsAged(value, now_s)) return 0;
  return PeerOf(value);
}

Fdb::Learned Fdb::Learn(uint32_t network, Mac mac, uint16_t peer, uint32_t now_s) {
  if (peer == 0 || peer > kMaxPeer || network > kMaxNetwork || mac > kMaxMac) {
    return Learned::kFull;
  }
  uint64_t value = 0;
  const size_t index = Find(network, mac, value);
  if (index != kPlaces && PeerOf(value) == peer) {
    // When the exchange fails somebody else has just refreshed or changed it: nothing to repeat.
    if (now_s > SeenOf(value)) {
      places_[index].value.compare_exchange_strong(value, ValueOf(network, peer, now_s),
                                                   std::memory_order_release,
                                                   std::memory_order_relaxed);
    }
    return Learned::kRefreshed;
  }
  const std::lock_guard guard(mutex_);
  return LearnLocked(network, mac, peer, now_s);
}

Fdb::Learned Fdb::LearnLocked(uint32_t network, Mac mac, uint16_t peer, uint32_t now_s) {
  uint64_t value = 0;
  const size_t index = Find(network, mac, value);
  if (index != kPlaces) {
    if (PeerOf(value) == peer) return Learned::kRefreshed;
    if (!IsAged(value, now_s)) return MoveLocked(index, value, peer, now_s);
    ClearLocked(index);
  }
  if (counts_[peer] >= kMaxPerPeer) return Learned::kFull;
  const size_t free = PlaceForLocked(HomeOf(network, mac), peer, now_s);
  if (free == kPlaces) return Learned::kFull;
  WriteLocked(free, network, mac, peer, now_s);
  return Learned::kNew;
}

Fdb::Learned Fdb::MoveLocked(size_t index, uint64_t value, uint16_t peer, uint32_t now_s) {
  Moves& moves = moves_[index];
  if (now_s < moves.hold_until_s) return Learned::kFlapping;
  if (counts_[peer] >= kMaxPerPeer) return Learned::kFull;
  if (moves.count == moves.at_s.size()) {
    if (now_s < moves.at_s.front() + kFlapWindowS) {
      moves = Moves{};
      moves.hold_until_s = now_s + kFlapHoldS;
      return Learned::kFlapping;
    }
    std::copy(moves.at_s.begin() + 1, moves.at_s.end(), moves.at_s.begin());
    --moves.count;
  }
  moves.at_s[moves.count++] = now_s;
  const uint32_t network = NetworkOf(places_[index].key.load(std::memory_order_relaxed), value);
  --counts_[PeerOf(value)];
  ++counts_[peer];
  places_[index].value.store(ValueOf(network, peer, now_s), std::memory_order_release);
  return Learned::kMoved;
}

/// An empty place, or one emptied by the rules at the head of fdb.h; kPlaces when there is none.
size_t Fdb::PlaceForLocked(const Home& home, uint16_t peer, uint32_t now_s) {
  // The first set while it is not crowded, since lookups go there first; then the emptier one.
  constexpr size_t kCrowded = 6;
  std::array<size_t, 2> used{};
  std::array<size_t, 2> empty{kPlaces, kPlaces};
  size_t aged = kPlaces;
  size_t heaviest = kPlaces;
  uint32_t most = 0;
  uint32_t oldest_s = 0;
  for (const size_t choice : {0, 1}) {
    const size_t set = choice == 0 ? home.first : home.second;
    for (size_t index = set; index < set + kWays; ++index) {
      const uint64_t value = places_[index].value.load(std::memory_order_relaxed);
      const uint16_t holder = PeerOf(value);
      if (holder == 0) {
        empty[choice] = index;
        continue;
      }
      ++used[choice];
      if (IsAged(value, now_s)) aged = index;
      if (counts_[holder] > most || (counts_[holder] == most && SeenOf(value) < oldest_s)) {
        most = counts_[holder];
        oldest_s = SeenOf(value);
        heaviest = index;
      }
    }
  }
  if (size_ < kCapacity && used[0] + used[1] < 2 * kWays) {
    return used[0] < kCrowded || used[0] <= used[1] ? empty[0] : empty[1];
  }
  if (aged != kPlaces) {
    ClearLocked(aged);
    return aged;
  }
  if (heaviest == kPlaces || most < 2 * (counts_[peer] + 1)) return kPlaces;
  ClearLocked(heaviest);
  return heaviest;
}

void Fdb::WriteLocked(size_t index, uint32_t network, Mac mac, uint16_t peer, uint32_t now_s) {
  // The value is empty already; the order of these two stores is what Find relies on.
  places_[index].key.store(KeyOf(network, mac), std::memory_order_release);
  places_[index].value.store(ValueOf(network, peer, now_s), std::memory_order_release);
  moves_[index] = Moves{};
  ++counts_[peer];
  ++size_;
}

void Fdb::ClearLocked(size_t index) {
  // Exchange, not load and store: a refresh without the lock may come between, but never changes
  // the peer.
  const uint64_t value = places_[index].value.exchange(0, std::memory_order_acq_rel);
  --counts_[PeerOf(value)];
  --size_;
}

uint16_t Fdb::Remove(uint32_t network, Mac mac) {
  uint64_t value = 0;
  if (Find(network, mac, value) == kPlaces) return 0;
  const std::lock_guard guard(mutex_);
  const size_t index = Find(network, mac, value);
  if (index == kPlaces) return 0;
  ClearLocked(index);
  return PeerOf(value);
}

size_t Fdb::Forget(uint16_t peer) {
  const std::lock_guard guard(mutex_);
  if (peer == 0 || peer > kMaxPeer) return 0;
  const size_t before = size_;
  for (size_t index = 0; index < kPlaces && counts_[peer] > 0; ++index) {
    if (PeerOf(places_[index].value.load(std::memory_order_relaxed)) == peer) ClearLocked(index);
  }
  return before - size_;
}

size_t Fdb::ForgetNetwork(uint32_t network) {
  const std::lock_guard guard(mutex_);
  const size_t before = size_;
  for (size_t index = 0; index < kPlaces; ++index) {
    const uint64_t value = places_[index].value.load(std::memory_order_relaxed);
    const uint64_t key = places_[index].key.load(std::memory_order_relaxed);
    if (PeerOf(value) != 0 && NetworkOf(key, value) == network) ClearLocked(index);
  }
  return before - size_;
}

size_t Fdb::Age(uint32_t now_s) {
  const std::lock_guard guard(mutex_);
  const size_t before = size_;
  for (size_t index = 0; index < kPlaces; ++index) {
    const uint64_t value = places_[index].value.load(std::memory_order_relaxed);
    if (PeerOf(value) != 0 && IsAged(value, now_s)) ClearLocked(index);
  }
  return before - size_;
}

size_t Fdb::Size() const {
  const std::lock_guard guard(mutex_);
  return size_;
}

uint32_t Fdb::CountOf(uint16_t peer) const {
  const std::lock_guard guard(mutex_);
  return peer <= kMaxPeer ? counts_[peer] : 0;
}

}  // namespace overlayd::core
