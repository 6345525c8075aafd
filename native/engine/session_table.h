#ifndef OVERLAYD_NATIVE_ENGINE_SESSION_TABLE_H_
#define OVERLAYD_NATIVE_ENGINE_SESSION_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "native/core/session.h"

namespace overlayd::engine {

/// All sessions, in one mapping that is kept out of core dumps. Slots are handed out by the control thread alone.
class SessionTable {
 public:
  static constexpr size_t kMaxSessions = 8192;

  SessionTable();
  ~SessionTable();
  SessionTable(const SessionTable&) = delete;
  SessionTable& operator=(const SessionTable&) = delete;

  [[nodiscard]] bool is_open() const { return sessions_ != nullptr; }
  core::Session& at(uint32_t slot) { return sessions_[slot]; }
  [[nodiscard]] const core::Session& at(uint32_t slot) const { return sessions_[slot]; }

  [[nodiscard]] size_t free_slots() const { return free_.size(); }
  /// A clean slot. The caller has checked free_slots().
  uint32_t Allocate();
  /// Wipes the keys. No worker may hold the slot any more.
  void Free(uint32_t slot);

 private:
  core::Session* sessions_ = nullptr;
  std::vector<uint32_t> free_;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_SESSION_TABLE_H_
