#ifndef OVERLAYD_NATIVE_ENGINE_CONTROL_MESSAGE_H_
#define OVERLAYD_NATIVE_ENGINE_CONTROL_MESSAGE_H_

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "native/core/bytes.h"

/*
 * Control messages inside DATA (kind 1, docs/protocol.md §4), little-endian:
 *
 *   0      1       2        4
 *   | type | flags | length | body ...
 *
 * `length` is the body's; what follows it is ignored (padding). Flags are zero; a receiver ignores what it does not know.
 */
namespace overlayd::engine {

inline constexpr size_t kControlHeaderBytes = 4;

struct ControlMessage {
  uint8_t type = 0;
  std::span<const uint8_t> body;
};

inline std::vector<uint8_t> MakeControlMessage(uint8_t type, std::span<const uint8_t> body) {
  std::vector<uint8_t> out(kControlHeaderBytes + body.size());
  out[0] = type;
  core::StoreLe16(out.data() + 2, static_cast<uint16_t>(body.size()));
  if (!body.empty()) std::memcpy(out.data() + kControlHeaderBytes, body.data(), body.size());
  return out;
}

[[nodiscard]] inline bool ReadControlMessage(std::span<const uint8_t> in, ControlMessage* out) {
  if (in.size() < kControlHeaderBytes) return false;
  const size_t length = core::LoadLe16(in.data() + 2);
  if (in.size() - kControlHeaderBytes < length) return false;
  *out = {in[0], in.subspan(kControlHeaderBytes, length)};
  return true;
}

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_CONTROL_MESSAGE_H_
