// Any frame: what it asks for is read within its bytes, and the answer is a unicast of the size it says.
//
//   input: frame

#include <cstdint>
#include <cstring>
#include <memory>

#include "native/core/frame.h"
#include "native/core/neighbour.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace core = overlayd::core;
  // Exactly as long as the frame, so that a sanitizer sees a read behind it.
  const std::unique_ptr<uint8_t[]> frame(new uint8_t[size]);
  if (size != 0) std::memcpy(frame.get(), data, size);
  core::FrameInfo info;
  if (!core::ParseFrame(frame.get(), size, &info)) return 0;
  const auto question = core::NeighbourQuestionOf(frame.get(), size, info);
  if (!question) return 0;
  const std::unique_ptr<uint8_t[]> answer(new uint8_t[core::kMaxNeighbourAnswer]);
  const size_t length =
      core::WriteNeighbourAnswer(frame.get(), *question, 0x020000000001, answer.get());
  if (length > core::kMaxNeighbourAnswer || core::IsGroup(core::LoadMac(answer.get()))) {
    __builtin_trap();
  }
  return 0;
}
