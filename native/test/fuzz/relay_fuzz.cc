// What comes to a node that relays: trains of any bytes, with and without labels of ours in front, and what a member
// behind a relay sealed. Beyond the sanitizers it holds the relay to this: what leaves under a label of others is no
// longer than what came, has less ttl, and goes under a label that was set; what we seal ourselves (answers, floods
// handed on) keeps to what its path takes. A second passes between inputs.
//
//   input: { source u8, kind u8, stride u8, length u16, bytes } ...
//     kind 0: as they are   1: behind a label for others   2: behind one that ends here
//          3: sealed by the member behind the relay, one datagram   4: as 3, by the neighbour

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "native/core/bytes.h"
#include "native/core/relay_header.h"
#include "native/test/test_node.h"

namespace {

using namespace overlayd;
using test::Bytes;
using test::Relation;

constexpr uint32_t kForOthers = 0xb1;  // of neighbour 1, leads on to neighbour 3
constexpr uint32_t kBack = 0xb2;       // of neighbour 3, leads back to neighbour 1
constexpr uint32_t kEndsHere = 0xe1;   // of neighbour 1, the way of member 4
constexpr uint32_t kOutLabels[] = {0xa1, 0xc1, 0xa4};
constexpr size_t kDatagramBytes = 1452;  // of every path
constexpr core::Suite kSuite = core::Suite::kChaCha20Poly1305;

struct World {
  test::FakeNet net;
  test::TestNode node{net, 2};
  const Relation first{1, 101, 201, 11, 1, 2, kDatagramBytes, kSuite};
  const Relation third{3, 103, 203, 13, 3, 4, kDatagramBytes, kSuite};
  const Relation behind{4, 104, 204, 14, 5, 6, kDatagramBytes, kSuite};
  uint64_t counter = 0;

  World() {
    net.keeps_log = false;
    node.is_clock_still = true;
    test::TestNode other(net, 1);
    test::TestNode another(net, 3);
    std::vector<engine::TableEntry> over = EntriesOf(behind, other);
    std::get<engine::PathSet>(over[1]).endpoint = core::SourceFromLabel(kEndsHere);
    const bool is_set = node.Apply(EntriesOf(first, other)).empty() &&
                        node.Apply(EntriesOf(third, another)).empty() &&
                        node.Apply({engine::LabelSet{kForOthers, 1, 0xa1, kBack},
                                    engine::LabelSet{kBack, 3, 0xc1, kForOthers},
                                    engine::LabelSet{kEndsHere, 1, 0xa4, 0}})
                            .empty() &&
                        node.Apply(std::move(over)).empty();
    if (!is_set) std::abort();
    net.filter = [this](test::Message& message) { return Sent(message); };
  }

  /// Nothing is delivered anywhere.
  bool Sent(const test::Message& message) {
    for (size_t at = 0; at < message.bytes.size(); at += message.stride) {
      const size_t size = std::min(message.stride, message.bytes.size() - at);
      if (message.bytes[at] != core::kTypeRelay) {
        if (size > kDatagramBytes) std::abort();
        continue;
      }
      if (size <= core::kRelayHeaderSize) std::abort();
      core::RelayHeader header;
      if (!core::ReadRelayHeader(&message.bytes[at], &header)) std::abort();
      const auto* end = std::end(kOutLabels);
      if (std::find(std::begin(kOutLabels), end, header.label) == end) std::abort();
      // Only what we seal for the member behind the relay begins a way.
      const bool is_ours = header.label == kOutLabels[2];
      if (header.ttl >= core::kFirstTtl && !is_ours) std::abort();
      if (size > (is_ours ? kDatagramBytes : longest)) std::abort();
    }
    return false;
  }

  /// Longest datagram that came.
  size_t longest = 0;
};

/// The other end's view: what it seals with is what the node opens with.
Bytes SealedBy(const Relation& relation, uint64_t counter, std::span<const uint8_t> bytes) {
  Bytes inner(bytes.begin(), bytes.end());
  inner.resize(std::max(inner.size(), core::kInnerHeaderSize));
  return Craft(Mirrored(relation), 0, counter, inner);
}

Bytes Behind(uint32_t label, uint8_t ttl, std::span<const uint8_t> bytes) {
  Bytes out(core::kRelayHeaderSize);
  core::WriteRelayHeader(out.data(), {ttl, label});
  out.insert(out.end(), bytes.begin(), bytes.end());
  return out;
}

/// Each stride of the bytes behind a header of its own, as a train is.
Bytes EachBehind(uint32_t label, size_t stride, std::span<const uint8_t> bytes) {
  Bytes out;
  for (size_t at = 0; at < bytes.size(); at += stride) {
    const auto part = bytes.subspan(at, std::min(stride, bytes.size() - at));
    const Bytes one = Behind(label, part[0] % 6, part);
    out.insert(out.end(), one.begin(), one.end());
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  constexpr size_t kHead = 5;
  std::span<const uint8_t> input(data, size);
  world.longest = 0;
  world.node.passed_ms += 1000;
  while (input.size() >= kHead) {
    const auto host = static_cast<uint8_t>(1 + 2 * (input[0] % 3));  // 1, 3, and 5 that is nobody
    const uint8_t kind = input[1] % 5;
    const uint8_t ecn = input[1] >> 6;
    size_t stride = size_t{1} + input[2];
    const size_t length = std::min<size_t>(core::LoadLe16(&input[3]), input.size() - kHead);
    const auto bytes = input.subspan(kHead, length);
    input = input.subspan(kHead + length);
    if (bytes.empty()) continue;
    Bytes out;
    switch (kind) {
      case 0:
        out.assign(bytes.begin(), bytes.end());
        break;
      case 1:
      case 2:
        out = EachBehind(kind == 1 ? kForOthers : kEndsHere, stride, bytes);
        stride += core::kRelayHeaderSize;
        break;
      case 3:
        out = Behind(kEndsHere, 4, SealedBy(world.behind, world.counter++, bytes));
        stride = out.size();
        break;
      default:
        out = SealedBy(world.first, world.counter++, bytes);
        stride = out.size();
        break;
    }
    stride = std::min(stride, out.size());
    world.longest = std::max(world.longest, stride);
    const size_t count = (out.size() + stride - 1) / stride;
    world.node.udp->Enqueue(
        {test::Underlay(host), world.node.udp->address(), std::move(out), stride, count, ecn});
  }
  world.node.DrainRx();
  world.node.tap.Take();
  world.node.plane.events.Drain();
  return 0;
}
