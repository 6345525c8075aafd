#ifndef OVERLAYD_NATIVE_CORE_FRAGMENT_H_
#define OVERLAYD_NATIVE_CORE_FRAGMENT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "native/core/drop_reason.h"

/*
 * Fragments inside the tunnel (kind 3): frames and control messages longer than the path allows.
 * docs/protocol.md#8.
 *
 *   plaintext of one DATA datagram:
 *   0      1       2         5     6       7       8       9     10
 *   | kind | flags | network | 0   | index | count | kind  | 0   | slice ...
 *   |  = 3 |       |   24    |     |       |       | of    |     |
 *   |                              |       |       | whole |     |
 *    `------- inner header -------' `------ fragment header -----'
 *
 * The flags are those of the whole and equal in all fragments. The fragments of one whole have
 * consecutive counters, so (session, phase, counter - index) names the whole: no identifier is
 * carried. All slices are equally long but the last, which may be shorter; so a slice's place is
 * index * length, nothing can overlap, and the datagrams of one whole make a GSO train.
 *
 * Bounds: 2 to 255 fragments; a whole of at most 65 600 bytes; 64 wholes in progress, 4 of one
 * session; 500 ms from the first fragment that came. A session's fifth pushes out its own oldest.
 * When all 64 are taken, the oldest of the session with the most goes, if that has more than the
 * one that asks.
 */
namespace overlayd::core {

inline constexpr size_t kFragmentHeaderBytes = 4;
inline constexpr size_t kMaxReassembledBytes = 65'600;
inline constexpr size_t kMaxFragments = 255;

/// How a whole is cut. `count` 0: it cannot be.
struct FragmentPlan {
  size_t total_bytes = 0;
  size_t slice_bytes = 0;
  uint8_t count = 0;

  [[nodiscard]] size_t OffsetOf(uint8_t index) const { return index * slice_bytes; }
  [[nodiscard]] size_t LengthOf(uint8_t index) const {
    return index + 1 < count ? slice_bytes : total_bytes - OffsetOf(index);
  }
};

/// Cuts `total_bytes` (the whole without its inner header) into the fewest slices of at most
/// `max_slice_bytes`, as equal as can be. A whole that fits one slice is not a fragment: count 0.
[[nodiscard]] FragmentPlan PlanFragments(size_t total_bytes, size_t max_slice_bytes);

/// Writes the four bytes in front of the slice.
void WriteFragmentHeader(uint8_t out[kFragmentHeaderBytes], const FragmentPlan& plan, uint8_t index,
                         uint8_t original_kind);

/// One fragment as it was opened. `bytes` is everything behind the inner header.
struct Fragment {
  uint32_t session = 0;
  uint8_t phase = 0;
  uint64_t counter = 0;
  uint8_t flags = 0;
  uint32_t network = 0;
  std::span<const uint8_t> bytes;
};

struct ReassemblyResult {
  enum class Kind : uint8_t {
    kIncomplete,  ///< Kept, more to come.
    kComplete,    ///< `whole` and `original_kind` are set; flags and network are the fragment's.
    kDropped,     ///< Count `reason`.
  };
  Kind kind = Kind::kIncomplete;
  DropReason reason = DropReason::kNone;
  uint8_t original_kind = 0;
  /// Fragments of other wholes given up by this call: count them as fragment_timeout and
  /// fragment_full.
  uint16_t timed_out = 0;
  uint16_t pushed_out = 0;
  /// Borrowed until the next call; kHeadroom writable bytes lie in front of it.
  std::span<uint8_t> whole;
};

/// Puts fragments together again, in any order. One thread (that of the socket the session arrives
/// on).
class Reassembler {
 public:
  static constexpr size_t kSlots = 64;
  static constexpr size_t kSlotsPerSession = 4;
  static constexpr uint64_t kTimeoutMs = 500;
  static constexpr size_t kHeadroom = 64;

  /// Reserves 4 MiB of address space; pages are touched only as fragments fill them, the lowest
  /// slots first.
  Reassembler();

  [[nodiscard]] ReassemblyResult Add(const Fragment& fragment, uint64_t now_ms);

  /// Gives up wholes older than 500 ms; returns their fragments, to be counted as fragment_timeout.
  size_t Expire(uint64_t now_ms);

  /// Wholes in progress.
  [[nodiscard]] size_t InProgress() const { return in_progress_; }

 private:
  static constexpr size_t kBufferBytes = kHeadroom + kMaxReassembledBytes;

  struct Slot {
    bool is_used = false;
    uint8_t phase = 0;
    uint8_t count = 0;
    uint8_t original_kind = 0;
    uint8_t flags = 0;
    uint8_t received = 0;
    uint32_t session = 0;
    uint32_t network = 0;
    /// Of all slices but the last; 0: none of them came yet.
    uint32_t slice_bytes = 0;
    /// 0: the last did not come yet.
    uint32_t last_bytes = 0;
    uint64_t first_counter = 0;
    uint64_t started_ms = 0;
    std::array<uint64_t, 4> have{};
  };

  Slot* FindSlot(const Fragment& fragment, uint64_t first_counter);
  Slot* NewSlot(const Fragment& fragment, uint64_t now_ms, ReassemblyResult& result);
  ReassemblyResult Refuse(Slot& slot, ReassemblyResult result);
  bool Accepts(Slot& slot, const Fragment& fragment, size_t slice_bytes) const;
  void Free(Slot& slot);
  uint8_t* BufferOf(const Slot& slot);

  std::array<Slot, kSlots> slots_;
  std::unique_ptr<uint8_t[]> buffers_;
  size_t in_progress_ = 0;
  size_t latest_ = 0;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_FRAGMENT_H_
