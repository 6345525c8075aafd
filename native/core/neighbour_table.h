#ifndef OVERLAYD_NATIVE_CORE_NEIGHBOUR_TABLE_H_
#define OVERLAYD_NATIVE_CORE_NEIGHBOUR_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "native/core/keyed_hash.h"
#include "native/core/neighbour.h"

namespace overlayd::core {

/*
 * (network, address) -> MAC of hosts behind peers, as records have it. Open addressing, filled once and then read only.
 * Members choose the addresses, so places follow from a secret seed.
 */
class NeighbourTable {
 public:
  explicit NeighbourTable(HashSeed seed, size_t entries = 0);

  /// `mac` is not 0; each address once, and no more than `entries`. `is_guarded`: nobody else may use the address.
  void Insert(uint32_t network, const NeighbourAddress& address, Mac mac, bool is_guarded = false);
  /// 0: not known.
  [[nodiscard]] Mac Find(uint32_t network, const NeighbourAddress& address) const;

  /// The same of a guarded address.
  [[nodiscard]] Mac FindGuarded(uint32_t network, const NeighbourAddress& address) const;
  [[nodiscard]] bool has_guarded() const { return has_guarded_; }

 private:
  struct Slot {
    NeighbourAddress address{};
    uint32_t network = 0;
    bool is_guarded = false;
    Mac mac = 0;  // 0: free
  };
  [[nodiscard]] const Slot& SlotOf(uint32_t network, const NeighbourAddress& address) const;
  [[nodiscard]] size_t Place(uint32_t network, const NeighbourAddress& address) const;

  HashSeed seed_;
  std::vector<Slot> slots_;
  size_t mask_;
  bool has_guarded_ = false;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_NEIGHBOUR_TABLE_H_
