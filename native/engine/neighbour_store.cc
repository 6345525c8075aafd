#include "native/engine/neighbour_store.h"

namespace overlayd::engine {

NeighbourStore::NeighbourStore(core::HashSeed seed)
    : seed_(seed), table_(std::make_shared<core::NeighbourTable>(seed)) {}

std::string NeighbourStore::Draft::Set(const NeighbourSet& entry) {
  if (entry.mac == 0 || core::IsGroup(entry.mac)) return "MAC is not one of a host";
  const Key key{entry.network, entry.address};
  if (!Has(key)) {
    // As many as members say, in all networks: whoever asks for this one asks everybody.
    if (size_ >= kMaxNeighbours) return {};
    ++size_;
  }
  changes_[key] = Holder{entry.mac, entry.is_guarded};
  return {};
}

void NeighbourStore::Draft::Remove(const NeighbourRemove& entry) {
  const Key key{entry.network, entry.address};
  if (!Has(key)) return;
  --size_;
  changes_[key] = std::nullopt;
}

bool NeighbourStore::Draft::Has(const Key& key) const {
  const auto changed = changes_.find(key);
  return changed != changes_.end() ? changed->second.has_value() : before_.contains(key);
}

void NeighbourStore::Commit(const Draft& draft) {
  if (draft.changes_.empty()) return;
  for (const auto& [key, holder] : draft.changes_) {
    if (holder) {
      neighbours_[key] = *holder;
    } else {
      neighbours_.erase(key);
    }
  }
  auto table = std::make_shared<core::NeighbourTable>(seed_, neighbours_.size());
  for (const auto& [key, holder] : neighbours_) {
    table->Insert(key.first, key.second, holder.mac, holder.is_guarded);
  }
  table_ = std::move(table);
}

}  // namespace overlayd::engine
