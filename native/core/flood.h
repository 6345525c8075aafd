#ifndef OVERLAYD_NATIVE_CORE_FLOOD_H_
#define OVERLAYD_NATIVE_CORE_FLOOD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "native/core/bytes.h"
#include "native/core/keyed_hash.h"

/*
 * Floods that members pass on (docs/protocol.md §10), content of inner kind 4. Little-endian:
 *
 *   0          8              16       17          20
 *   origin 8 | sequence u64 | hops u8 | zero 3   | Ethernet frame
 *
 * `origin`: the first 8 bytes of the PeerId of the member whose TAP read it. `hops`: how often it may still be passed on.
 */
namespace overlayd::core {

inline constexpr size_t kFloodHeaderSize = 20;
/// Between any two of a thousand members, each with a dozen neighbours at random, lie four.
inline constexpr uint8_t kFloodHops = 10;

struct FloodHeader {
  uint64_t origin;
  uint64_t sequence;
  uint8_t hops;
};

inline void WriteFloodHeader(uint8_t* out, const FloodHeader& header) {
  StoreLe64(out, header.origin);
  StoreLe64(out + 8, header.sequence);
  StoreLe32(out + 16, header.hops);
}

/// The caller has checked the size. False: hops or zeros are not as they should be.
[[nodiscard]] inline bool ReadFloodHeader(const uint8_t* in, FloodHeader* header) {
  header->origin = LoadLe64(in);
  header->sequence = LoadLe64(in + 8);
  header->hops = in[16];
  return LoadLe32(in + 16) <= kFloodHops && header->origin != 0;
}

/*
 * Which floods were seen: the last 32 768 to 65 536 of them. What is remembered is a keyed hash of origin, sequence *and
 * frame*: whoever makes up a sequence of another's does not silence what that one says under it.
 */
class FloodMemory {
 public:
  static constexpr size_t kGeneration = 32768;

  explicit FloodMemory(HashSeed seed) : seed_(seed) {}

  /// What is remembered of a flood. Any thread.
  [[nodiscard]] uint64_t KeyOf(const FloodHeader& header, std::span<const uint8_t> frame) const;
  [[nodiscard]] bool Has(uint64_t key) const;
  /// One that it has not.
  void Add(uint64_t key);

 private:
  using Set = std::vector<uint64_t>;  // open addressing, 0: free
  [[nodiscard]] static bool IsIn(const Set& set, uint64_t key);
  static void Insert(Set& set, uint64_t key);

  const HashSeed seed_;
  Set now_;
  Set before_;
  size_t count_ = 0;
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_FLOOD_H_
