// Any sequence of datagrams from a few sources at a fuzzed clock. Beyond the sanitizers it holds
// the gate to its promise that only proven or resumed senders are called so.
//
//   input: { source u8, milliseconds u8, length u16, datagram } ...

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "native/core/bytes.h"
#include "native/core/gate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using overlayd::core::GateDecision;
  constexpr std::array<uint8_t, overlayd::core::kMeshIdBytes> kMeshId{};
  static uint8_t seed = 0;
  static overlayd::core::Gate gate(kMeshId, [](std::span<uint8_t> out) {
    for (uint8_t& byte : out) byte = ++seed;
  });
  // Ten minutes after the input before every bucket is full again and every cookie stale: as good
  // as a new gate, which would take most of the time to make.
  static uint64_t now_ms = 0;
  now_ms += 600'000;
  std::span<const uint8_t> input(data, size);
  while (input.size() >= 4) {
    const uint8_t address[4] = {192, 0, 2, static_cast<uint8_t>(input[0] % 4)};
    now_ms += input[1];
    const size_t length =
        std::min<size_t>(overlayd::core::LoadLe16(&input[2]) % 600, input.size() - 4);
    const std::span<const uint8_t> datagram = input.subspan(4, length);
    const GateDecision decision =
        gate.Inspect(datagram, overlayd::core::SourceFromIpv4(address, 6783), now_ms);
    if (decision.resumed) __builtin_trap();  // no hint is set
    if (decision.kind == GateDecision::Kind::kReply && decision.reply_size > datagram.size()) {
      __builtin_trap();  // nothing may amplify
    }
    input = input.subspan(4 + length);
  }
  return 0;
}
