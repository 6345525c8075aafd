#include "native/core/neighbour_table.h"

#include <bit>

#include "native/core/bytes.h"
#include "native/core/check.h"

namespace overlayd::core {

NeighbourTable::NeighbourTable(HashSeed seed, size_t entries)
    : seed_(seed), slots_(std::bit_ceil(entries * 2 + 2)), mask_(slots_.size() - 1) {}

void NeighbourTable::Insert(uint32_t network, const NeighbourAddress& address, Mac mac) {
  OVL_CHECK(mac != 0);
  size_t at = Place(network, address);
  while (slots_[at].mac != 0) at = (at + 1) & mask_;
  slots_[at] = {address, network, mac};
}

Mac NeighbourTable::Find(uint32_t network, const NeighbourAddress& address) const {
  for (size_t at = Place(network, address); slots_[at].mac != 0; at = (at + 1) & mask_) {
    if (slots_[at].network == network && slots_[at].address == address) return slots_[at].mac;
  }
  return 0;
}

size_t NeighbourTable::Place(uint32_t network, const NeighbourAddress& address) const {
  const uint64_t low = HashPair(seed_, LoadLe64(address.data()), network);
  return HashPair(seed_, LoadLe64(address.data() + 8), low) & mask_;
}

}  // namespace overlayd::core
