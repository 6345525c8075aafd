// Any sequence of fragments of a few sessions. What comes out must be within the bound and is read
// to its end.
//
//   input: { session u8, counter u8, milliseconds u8, flags u8, length u16, fragment } ...

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>

#include "native/core/bytes.h"
#include "native/core/fragment.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static overlayd::core::Reassembler reassembler;
  static uint64_t now_ms = 0;
  // Nothing of the input before may be left: 64 wholes time out.
  now_ms += 2 * overlayd::core::Reassembler::kTimeoutMs;
  reassembler.Expire(now_ms);
  if (reassembler.InProgress() != 0) __builtin_trap();
  std::span<const uint8_t> input(data, size);
  volatile uint64_t sink = 0;
  while (input.size() >= 6) {
    const size_t length = std::min<size_t>(overlayd::core::LoadLe16(&input[4]), input.size() - 6);
    overlayd::core::Fragment fragment;
    fragment.session = input[0] % 32;
    fragment.counter = input[1];
    now_ms += input[2] / 16;
    fragment.flags = input[3] & 1;
    fragment.bytes = input.subspan(6, length);
    const overlayd::core::ReassemblyResult result = reassembler.Add(fragment, now_ms);
    if (result.whole.size() > overlayd::core::kMaxReassembledBytes) __builtin_trap();
    if (reassembler.InProgress() > overlayd::core::Reassembler::kSlots) __builtin_trap();
    sink = std::accumulate(result.whole.begin(), result.whole.end(), uint64_t{sink});
    input = input.subspan(6 + length);
  }
  return 0;
}
