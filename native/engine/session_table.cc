#include "native/engine/session_table.h"

#include <sodium.h>
#include <sys/mman.h>

#include <new>

#include "native/core/check.h"

namespace overlayd::engine {

SessionTable::SessionTable() {
  void* mapping = ::mmap(nullptr, kMaxSessions * sizeof(core::Session), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return;
  ::madvise(mapping, kMaxSessions * sizeof(core::Session), MADV_DONTDUMP);
  sessions_ = static_cast<core::Session*>(mapping);
  free_.reserve(kMaxSessions);
  for (uint32_t slot = kMaxSessions; slot-- > 0;) free_.push_back(slot);
}

SessionTable::~SessionTable() {
  if (sessions_ == nullptr) return;
  std::vector<bool> is_free(kMaxSessions);
  for (const uint32_t slot : free_) is_free[slot] = true;
  for (uint32_t slot = 0; slot < kMaxSessions; ++slot) {
    if (!is_free[slot]) sodium_memzero(&sessions_[slot], sizeof(core::Session));
  }
  ::munmap(sessions_, kMaxSessions * sizeof(core::Session));
}

uint32_t SessionTable::Allocate() {
  OVL_CHECK(!free_.empty());
  const uint32_t slot = free_.back();
  free_.pop_back();
  new (&sessions_[slot]) core::Session();
  return slot;
}

void SessionTable::Free(uint32_t slot) {
  sodium_memzero(&sessions_[slot], sizeof(core::Session));
  free_.push_back(slot);
}

}  // namespace overlayd::engine
