// Any bytes in a TCP stream, in any pieces, against a reference that has them all at once. Datagrams come out whole, in
// order and within the limit, and both end at the same place.
//
//   input: limit u16 LE | piece lengths u8 x 8 | stream

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "native/core/bytes.h"
#include "native/core/stream_cutter.h"

namespace {

using overlayd::core::kLengthPrefixBytes;
using overlayd::core::StreamCutter;

constexpr size_t kPieces = 8;
constexpr size_t kHeadBytes = 2 + kPieces;

struct Outcome {
  std::vector<uint8_t> bytes;  // all datagrams, each behind its length
  bool is_malformed = false;
};

void Append(Outcome& outcome, std::span<const uint8_t> datagram) {
  outcome.bytes.push_back(static_cast<uint8_t>(datagram.size()));
  outcome.bytes.push_back(static_cast<uint8_t>(datagram.size() >> 8));
  outcome.bytes.insert(outcome.bytes.end(), datagram.begin(), datagram.end());
}

Outcome Reference(std::span<const uint8_t> stream, size_t limit) {
  Outcome outcome;
  while (stream.size() >= kLengthPrefixBytes) {
    const size_t length = stream[0] | size_t{stream[1]} << 8;
    if (length == 0 || length > limit || length > StreamCutter::kLongest) {
      outcome.is_malformed = true;
      break;
    }
    if (stream.size() - kLengthPrefixBytes < length) break;
    Append(outcome, stream.subspan(kLengthPrefixBytes, length));
    stream = stream.subspan(kLengthPrefixBytes + length);
  }
  return outcome;
}

Outcome Cut(std::span<const uint8_t> stream, size_t limit, std::span<const uint8_t> pieces) {
  Outcome outcome;
  StreamCutter cutter;
  for (size_t at = 0; !stream.empty(); ++at) {
    const std::span<uint8_t> room = cutter.Room();
    if (room.empty()) __builtin_trap();
    const size_t wanted = size_t{pieces[at % kPieces]} + 1;
    const size_t size = std::min({room.size(), wanted, stream.size()});
    std::memcpy(room.data(), stream.data(), size);
    cutter.Filled(size);
    stream = stream.subspan(size);
    for (;;) {
      std::span<uint8_t> datagram;
      const StreamCutter::Cut cut = cutter.Next(limit, &datagram);
      if (cut == StreamCutter::Cut::kMalformed) {
        outcome.is_malformed = true;
        return outcome;
      }
      if (cut == StreamCutter::Cut::kIncomplete) break;
      Append(outcome, datagram);
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kHeadBytes) return 0;
  const std::span<const uint8_t> input(data, size);
  const size_t limit = overlayd::core::LoadLe16(data);
  const std::span<const uint8_t> stream = input.subspan(kHeadBytes);
  const Outcome expected = Reference(stream, limit);
  const Outcome cut = Cut(stream, limit, input.subspan(2, kPieces));
  if (cut.bytes != expected.bytes || cut.is_malformed != expected.is_malformed) __builtin_trap();
  return 0;
}
