#include "native/core/fragment.h"

#include <cstring>

#include "native/core/check.h"

namespace overlayd::core {
namespace {

/// The kinds that may be cut: frame, control and flood.
constexpr bool IsWholeKind(uint8_t kind) { return kind <= 1 || kind == 4; }

}  // namespace

FragmentPlan PlanFragments(size_t total_bytes, size_t max_slice_bytes) {
  if (max_slice_bytes == 0 || total_bytes <= max_slice_bytes ||
      total_bytes > kMaxReassembledBytes) {
    return {};
  }
  const size_t count = (total_bytes + max_slice_bytes - 1) / max_slice_bytes;
  if (count > kMaxFragments) return {};
  const size_t slice_bytes = (total_bytes + count - 1) / count;
  // Rounding up can make the last slice empty (5 bytes in 4 slices of 2): then fewer do.
  const size_t used = (total_bytes + slice_bytes - 1) / slice_bytes;
  return {total_bytes, slice_bytes, static_cast<uint8_t>(used)};
}

void WriteFragmentHeader(uint8_t out[kFragmentHeaderBytes], const FragmentPlan& plan, uint8_t index,
                         uint8_t original_kind) {
  out[0] = index;
  out[1] = plan.count;
  out[2] = original_kind;
  out[3] = 0;
}

// Not value-initialised: pages nobody wrote stay unmapped.
Reassembler::Reassembler() : buffers_(new uint8_t[kSlots * kBufferBytes]) {}

uint8_t* Reassembler::BufferOf(const Slot& slot) {
  return buffers_.get() + static_cast<size_t>(&slot - slots_.data()) * kBufferBytes + kHeadroom;
}

ReassemblyResult Reassembler::Add(const Fragment& fragment, uint64_t now_ms) {
  ReassemblyResult result;
  result.kind = ReassemblyResult::Kind::kDropped;
  result.reason = DropReason::kFragmentBad;
  if (fragment.bytes.size() <= kFragmentHeaderBytes) return result;
  const uint8_t index = fragment.bytes[0];
  const uint8_t count = fragment.bytes[1];
  const uint8_t original_kind = fragment.bytes[2];
  const std::span<const uint8_t> slice = fragment.bytes.subspan(kFragmentHeaderBytes);
  if (count < 2 || index >= count || !IsWholeKind(original_kind) || fragment.bytes[3] != 0 ||
      fragment.counter < index || slice.size() > kMaxReassembledBytes) {
    return result;
  }
  const uint64_t first_counter = fragment.counter - index;
  Slot* slot = FindSlot(fragment, first_counter);
  if (slot == nullptr) {
    slot = NewSlot(fragment, now_ms, result);
    if (slot == nullptr) return result;
    slot->first_counter = first_counter;
  }
  uint64_t& have = slot->have[index / 64];
  const uint64_t bit = uint64_t{1} << (index % 64);
  if ((have & bit) != 0) {
    result.reason = DropReason::kReplay;
    return result;
  }
  if (!Accepts(*slot, fragment, slice.size())) return Refuse(*slot, result);

  uint8_t* buffer = BufferOf(*slot);
  const bool is_last = index + 1 == count;
  if (is_last) {
    slot->last_bytes = static_cast<uint32_t>(slice.size());
    // Its place is not known before another slice came; the end of the buffer is free until then,
    // as the whole fits.
    const size_t offset = slot->slice_bytes == 0 ? kMaxReassembledBytes - slice.size()
                                                 : size_t{index} * slot->slice_bytes;
    std::memcpy(buffer + offset, slice.data(), slice.size());
  } else {
    if (slot->slice_bytes == 0) {
      slot->slice_bytes = static_cast<uint32_t>(slice.size());
      if (slot->last_bytes != 0) {
        // Slices end before where it waits, since the whole fits; its own two places may overlap.
        std::memmove(buffer + (size_t{count} - 1) * slice.size(),
                     buffer + kMaxReassembledBytes - slot->last_bytes, slot->last_bytes);
      }
    }
    std::memcpy(buffer + size_t{index} * slice.size(), slice.data(), slice.size());
  }
  have |= bit;
  ++slot->received;
  result.reason = DropReason::kNone;
  if (slot->received < count) {
    result.kind = ReassemblyResult::Kind::kIncomplete;
    return result;
  }
  result.kind = ReassemblyResult::Kind::kComplete;
  result.original_kind = original_kind;
  result.whole = {buffer, (size_t{count} - 1) * slot->slice_bytes + slot->last_bytes};
  Free(*slot);
  return result;
}

/// Whether the fragment agrees with those before it, and the whole stays within its bound.
bool Reassembler::Accepts(Slot& slot, const Fragment& fragment, size_t slice_bytes) const {
  const uint8_t index = fragment.bytes[0];
  const size_t count = fragment.bytes[1];
  if (slot.count != count || slot.original_kind != fragment.bytes[2] ||
      slot.flags != fragment.flags || slot.network != fragment.network) {
    return false;
  }
  const bool is_last = index + 1U == count;
  const size_t equal = is_last ? slot.slice_bytes : slice_bytes;
  const size_t last = is_last ? slice_bytes : slot.last_bytes;
  if (!is_last && slot.slice_bytes != 0 && slot.slice_bytes != slice_bytes) return false;
  if (equal != 0 && last > equal) return false;
  // Unknown parts hold at least a byte; `last` alone is bounded by its own size, since equal >=
  // last.
  const size_t at_least = equal != 0 ? equal : last;
  return (count - 1) * at_least + (last != 0 ? last : 1) <= kMaxReassembledBytes;
}

Reassembler::Slot* Reassembler::FindSlot(const Fragment& fragment, uint64_t first_counter) {
  const auto matches = [&](const Slot& slot) {
    return slot.is_used && slot.first_counter == first_counter &&
           slot.session == fragment.session && slot.phase == fragment.phase;
  };
  if (matches(slots_[latest_])) return &slots_[latest_];
  for (size_t index = 0; index < kSlots; ++index) {
    if (matches(slots_[index])) {
      latest_ = index;
      return &slots_[index];
    }
  }
  return nullptr;
}

/// A slot for the first fragment of a whole; null when others need theirs more (`result.reason` is
/// set then).
Reassembler::Slot* Reassembler::NewSlot(const Fragment& fragment, uint64_t now_ms,
                                        ReassemblyResult& result) {
  result.timed_out = static_cast<uint16_t>(in_progress_ == 0 ? 0 : Expire(now_ms));
  const auto slots_of = [&](uint32_t session) {
    size_t number = 0;
    for (const Slot& slot : slots_) number += slot.is_used && slot.session == session;
    return number;
  };
  const auto oldest_of = [&](uint32_t session) {
    Slot* oldest = nullptr;
    for (Slot& slot : slots_) {
      if (!slot.is_used || slot.session != session) continue;
      if (oldest == nullptr || slot.started_ms < oldest->started_ms ||
          (slot.started_ms == oldest->started_ms && slot.first_counter < oldest->first_counter)) {
        oldest = &slot;
      }
    }
    return oldest;
  };
  const size_t own = slots_of(fragment.session);
  Slot* victim = nullptr;
  if (own == kSlotsPerSession) {
    victim = oldest_of(fragment.session);
  } else if (in_progress_ == kSlots) {
    size_t most = own;
    for (const Slot& slot : slots_) {
      const size_t number = slots_of(slot.session);
      if (number > most) {
        most = number;
        victim = oldest_of(slot.session);
      }
    }
    if (victim == nullptr) {
      result.reason = DropReason::kFragmentFull;
      return nullptr;
    }
  }
  if (victim != nullptr) {
    result.pushed_out = victim->received;
    Free(*victim);
  }
  for (size_t index = 0; index < kSlots; ++index) {
    Slot& slot = slots_[index];
    if (slot.is_used) continue;
    slot = Slot{};
    slot.is_used = true;
    slot.phase = fragment.phase;
    slot.count = fragment.bytes[1];
    slot.original_kind = fragment.bytes[2];
    slot.flags = fragment.flags;
    slot.session = fragment.session;
    slot.network = fragment.network;
    slot.started_ms = now_ms;
    ++in_progress_;
    latest_ = index;
    return &slot;
  }
  OVL_CHECK(false && "a slot is free here");
}

/// A contradiction: nothing of this whole can be trusted to be one whole. Its other fragments are
/// counted as well.
ReassemblyResult Reassembler::Refuse(Slot& slot, ReassemblyResult result) {
  result.pushed_out = static_cast<uint16_t>(result.pushed_out + slot.received);
  Free(slot);
  return result;
}

void Reassembler::Free(Slot& slot) {
  slot.is_used = false;
  --in_progress_;
}

size_t Reassembler::Expire(uint64_t now_ms) {
  size_t fragments = 0;
  for (Slot& slot : slots_) {
    if (!slot.is_used || now_ms < slot.started_ms || now_ms - slot.started_ms <= kTimeoutMs) {
      continue;
    }
    fragments += slot.received;
    Free(slot);
  }
  return fragments;
}

}  // namespace overlayd::core
