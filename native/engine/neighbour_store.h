#ifndef OVERLAYD_NATIVE_ENGINE_NEIGHBOUR_STORE_H_
#define OVERLAYD_NATIVE_ENGINE_NEIGHBOUR_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "native/core/neighbour_table.h"

namespace overlayd::engine {

struct NeighbourSet {
  uint32_t network;
  core::NeighbourAddress address;
  core::Mac mac;
  bool is_guarded = false;
};
struct NeighbourRemove {
  uint32_t network;
  core::NeighbourAddress address;
};

/// The control plane's side of the neighbour table, which is made anew only when it changes. Control thread.
class NeighbourStore {
 public:
  static constexpr size_t kMaxNeighbours = 65536;
  using Key = std::pair<uint32_t, core::NeighbourAddress>;
  struct Holder {
    core::Mac mac;
    bool is_guarded;
  };

  explicit NeighbourStore(core::HashSeed seed);

  /// Changes of a batch that is tried, and may be forgotten.
  class Draft {
   public:
    explicit Draft(const NeighbourStore& store)
        : before_(store.neighbours_), size_(before_.size()) {}
    /// "" or why not.
    std::string Set(const NeighbourSet& entry);
    void Remove(const NeighbourRemove& entry);

   private:
    friend class NeighbourStore;
    [[nodiscard]] bool Has(const Key& key) const;

    const std::map<Key, Holder>& before_;
    std::map<Key, std::optional<Holder>> changes_;
    size_t size_;
  };

  void Commit(const Draft& draft);
  /// Never nullptr.
  [[nodiscard]] const std::shared_ptr<const core::NeighbourTable>& table() const { return table_; }

 private:
  const core::HashSeed seed_;
  std::map<Key, Holder> neighbours_;
  std::shared_ptr<const core::NeighbourTable> table_;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_NEIGHBOUR_STORE_H_
