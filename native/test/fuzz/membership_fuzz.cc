// Any frame: what it says about listeners is read within its bytes, and only from frames that the parser calls IP.
//
//   input: frame

#include <cstdint>
#include <cstring>
#include <memory>

#include "native/core/frame.h"
#include "native/core/multicast.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Exactly as long as the frame, so that a sanitizer sees a read behind it.
  const std::unique_ptr<uint8_t[]> frame(new uint8_t[size]);
  if (size != 0) std::memcpy(frame.get(), data, size);
  overlayd::core::FrameInfo info;
  if (!overlayd::core::ParseFrame(frame.get(), size, &info)) return 0;
  const auto membership = overlayd::core::MembershipOf(frame.get(), size, info);
  const bool is_ip = info.ether_type == 0x0800 || info.ether_type == 0x86dd;
  if (membership != overlayd::core::Membership::kNone && !is_ip) __builtin_trap();
  return 0;
}
