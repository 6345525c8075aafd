#include "native/core/flood.h"

#include <cstring>
#include <utility>

namespace overlayd::core {
namespace {

constexpr size_t kSlots = FloodMemory::kGeneration * 2;

uint64_t KeyOf(const HashSeed& seed, const FloodHeader& header, std::span<const uint8_t> frame) {
  uint64_t key = HashPair(seed, header.origin, header.sequence);
  const uint8_t* at = frame.data();
  size_t left = frame.size();
  for (; left >= 8; left -= 8, at += 8) key = HashPair(seed, key, LoadLe64(at));
  uint8_t tail[8] = {};
  if (left != 0) std::memcpy(tail, at, left);
  key = HashPair(seed, key ^ frame.size(), LoadLe64(tail));
  return key == 0 ? 1 : key;
}

}  // namespace

bool FloodMemory::Note(const FloodHeader& header, std::span<const uint8_t> frame) {
  const uint64_t key = KeyOf(seed_, header, frame);
  if (now_.empty()) {  // most meshes are small
    now_.resize(kSlots);
    before_.resize(kSlots);
  }
  if (Has(now_, key) || Has(before_, key)) return false;
  if (count_ == kGeneration) {
    std::swap(now_, before_);
    now_.assign(kSlots, 0);
    count_ = 0;
  }
  Insert(now_, key);
  ++count_;
  return true;
}

bool FloodMemory::Has(const Set& set, uint64_t key) {
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
