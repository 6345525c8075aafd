#ifndef OVERLAYD_NATIVE_ENGINE_SLOT_ARRAY_H_
#define OVERLAYD_NATIVE_ENGINE_SLOT_ARRAY_H_

#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <type_traits>

#include "native/core/check.h"

namespace overlayd::engine {

/// `kSlots` states that outlive table snapshots, in one mapping whose pages are touched only as they come to be. Slots
/// are handed out by TableStore.
template <typename State, uint32_t kSlots>
class SlotArray {
 public:
  SlotArray() {
    // Renewed in place without being destroyed first.
    static_assert(std::is_trivially_destructible_v<State>);
    void* mapping = ::mmap(nullptr, kSlots * sizeof(State), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    OVL_CHECK(mapping != MAP_FAILED);
    states_ = static_cast<State*>(mapping);
  }
  ~SlotArray() { ::munmap(states_, kSlots * sizeof(State)); }
  SlotArray(const SlotArray&) = delete;
  SlotArray& operator=(const SlotArray&) = delete;

  State& operator[](uint32_t slot) { return states_[slot]; }
  /// A fresh state in a slot that no worker holds.
  void Renew(uint32_t slot) { new (&states_[slot]) State(); }

 private:
  State* states_;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_SLOT_ARRAY_H_
