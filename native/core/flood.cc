#include "native/core/flood.h"

#include <cstring>
#include <utility>

namespace overlayd::core {
namespace {

constexpr size_t kSlots = FloodMemory::kGeneration * 2;

}  // namespace

uint64_t FloodMemory::KeyOf(const FloodHeader& header, std::span<const uint8_t> frame) const {
  uint64_t key = HashPair(seed_, header.origin, header.sequence);
  const uint8_t* at = frame.data();
  size_t left = frame.size();
  for (; left >= 8; left -= 8, at += 8) key = HashPair(seed_, key, LoadLe64(at));
  uint8_t tail[8] = {};
  if (left != 0) std::memcpy(tail, at, left);
  key = HashPair(seed_, key ^ frame.size(), LoadLe64(tail));
  return key == 0 ? 1 : key;
}

bool FloodMemory::Has(uint64_t key) const {
  return !now_.empty() && (IsIn(now_, key) || IsIn(before_, key));
}

void FloodMemory::Add(uint64_t key) {
  if (now_.empty()) {  // most meshes are small
    now_.resize(kSlots);
    before_.resize(kSlots);
  }
  if (count_ == kGeneration) {
    std::swap(now_, before_);
    now_.assign(kSlots, 0);
    count_ = 0;
  }
  Insert(now_, key);
  ++count_;
}

bool FloodMemory::IsIn(const Set& set, uint64_t key) {
  for (size_t at = key % kSlots;; at = (at + 1) % kSlots) {
    if (set[at] == key) return true;
    if (set[at] == 0) return false;
  }
}

void FloodMemory::Insert(Set& set, uint64_t key) {
  size_t at = key % kSlots;
  while (set[at] != 0) at = (at + 1) % kSlots;
  set[at] = key;
}

}  // namespace overlayd::core
