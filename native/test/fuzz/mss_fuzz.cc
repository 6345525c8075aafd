// Any frame. A clamp that changed something must find nothing more to lower, and never changes a
// length.
//
//   input: { flags u8, frame }

#include <cstdint>
#include <vector>

#include "native/core/mss.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool is_partial = (data[0] & 1) != 0;
  const size_t ip_mtu_bytes = size_t{data[0]} * 8;
  std::vector<uint8_t> frame(data + 1, data + size);
  if (overlayd::core::ClampMss(frame, ip_mtu_bytes, is_partial) &&
      overlayd::core::ClampMss(frame, ip_mtu_bytes, is_partial)) {
    __builtin_trap();
  }
  return 0;
}
