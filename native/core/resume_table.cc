#include "native/core/resume_table.h"

#include <sodium.h>

#include <cstring>

#include "native/core/bytes.h"

namespace overlayd::core {

ResumeTable::ResumeTable(HashSeed seed) : seed_(seed), places_(kPlaces) {}

ResumeTable::~ResumeTable() {
  for (Entry& entry : places_) sodium_memzero(entry.pair_key.data(), kPairKeyBytes);
}

size_t ResumeTable::HomeOf(std::span<const uint8_t, kHintBytes> hint) const {
  return HashPair(seed_, LoadLe64(hint.data()), 0) % kPlaces;
}

ResumeTable::Entry* ResumeTable::Find(std::span<const uint8_t, kHintBytes> hint) {
  // Half of the places are always free, so the walk ends.
  for (size_t index = HomeOf(hint); places_[index].is_used; index = (index + 1) % kPlaces) {
    if (std::memcmp(places_[index].hint.data(), hint.data(), kHintBytes) == 0) {
      return &places_[index];
    }
  }
  return nullptr;
}

bool ResumeTable::Set(std::span<const uint8_t, kHintBytes> hint,
                      std::span<const uint8_t, kPairKeyBytes> pair_key) {
  Entry* entry = Find(hint);
  if (entry == nullptr) {
    if (size_ == kMaxHints) return false;
    size_t index = HomeOf(hint);
    while (places_[index].is_used) index = (index + 1) % kPlaces;
    entry = &places_[index];
    entry->is_used = true;
    entry->inits = TokenBucket(kHintRate);
    std::memcpy(entry->hint.data(), hint.data(), kHintBytes);
    ++size_;
  }
  std::memcpy(entry->pair_key.data(), pair_key.data(), kPairKeyBytes);
  return true;
}

void ResumeTable::Remove(std::span<const uint8_t, kHintBytes> hint) {
  Entry* entry = Find(hint);
  if (entry == nullptr) return;
  size_t hole = static_cast<size_t>(entry - places_.data());
  for (size_t index = (hole + 1) % kPlaces; places_[index].is_used; index = (index + 1) % kPlaces) {
    const size_t home = HomeOf(places_[index].hint);
    // Moves back into the hole unless that would be before its home.
    const size_t from_home = (index + kPlaces - home) % kPlaces;
    const size_t from_hole = (index + kPlaces - hole) % kPlaces;
    if (from_home >= from_hole) {
      places_[hole] = places_[index];
      hole = index;
    }
  }
  sodium_memzero(places_[hole].pair_key.data(), kPairKeyBytes);
  places_[hole].is_used = false;
  --size_;
}

}  // namespace overlayd::core
