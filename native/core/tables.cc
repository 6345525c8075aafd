#include "native/core/tables.h"

#include <bit>

#include "native/core/check.h"

namespace overlayd::core {

FlatMap::FlatMap(size_t entries)
    : slots_(std::bit_ceil(entries * 2 + 2)), mask_(slots_.size() - 1) {}

void FlatMap::Insert(uint64_t key, uint32_t value) {
  OVL_CHECK(key != 0);
  for (size_t at = Place(key);; at = (at + 1) & mask_) {
    if (slots_[at].key == 0 || slots_[at].key == key) {
      slots_[at] = {key, value};
      return;
    }
  }
}

}  // namespace overlayd::core
