#include "native/core/neighbour_table.h"

#include <bit>

#include "native/core/bytes.h"
#include "native/core/check.h"

namespace overlayd::core {

NeighbourTable::NeighbourTable(HashSeed seed, size_t entries)
    : seed_(seed), slots_(std::bit_ceil(entries * 2 + 2)), mask_(slots_.size() - 1) {}

void NeighbourTable::Insert(uint32_t network, const NeighbourAddress& address, Mac mac,
                            bool is_guarded) {
  OVL_CHECK(mac != 0);
  has_guarded_ |= is_guarded;
  size_t at = Place(network, address);
  while (slots_[at].mac != 0) at = (at + 1) & mask_;
  slots_[at] = {address, network, is_guarded, mac};
}

Mac NeighbourTable::Find(uint32_t network, const NeighbourAddress& address) const {
  return SlotOf(network, address).mac;
}

Mac NeighbourTable::FindGuarded(uint32_t network, const NeighbourAddress& address) const {
  const Slot& slot = SlotOf(network, address);
  return slot.is_guarded ? slot.mac : 0;
}

// A free one: it is not there.
const NeighbourTable::Slot& NeighbourTable::SlotOf(uint32_t network,
                                                   const NeighbourAddress& address) const {
  size_t at = Place(network, address);
  while (slots_[at].mac != 0 && !(slots_[at].network == network && slots_[at].address == address)) {
    at = (at + 1) & mask_;
  }
  return slots_[at];
}

size_t NeighbourTable::Place(uint32_t network, const NeighbourAddress& address) const {
  const uint64_t low = HashPair(seed_, LoadLe64(address.data()), network);
  return HashPair(seed_, LoadLe64(address.data() + 8), low) & mask_;
}

}  // namespace overlayd::core
