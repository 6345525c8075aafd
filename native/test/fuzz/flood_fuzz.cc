// Floods that neighbours hand over, any header and any frame, against a model of what becomes of them: the first copy of
// one that may be goes to our TAP once, and once to each neighbour but the one it came from if it has hops left; whatever
// else comes goes nowhere. A second passes between inputs, so nobody is above his share.
//
//   input: { via u8, origin u8, sequence u8, hops u8, zeros u8, length u8, frame } ...
//     zeros: 255 sets one that must be zero

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <span>
#include <tuple>

#include "native/core/bytes.h"
#include "native/core/flood.h"
#include "native/test/test_node.h"

namespace {

using namespace overlayd;
using test::Bytes;
using test::Relation;

constexpr size_t kNeighbours = 3;
constexpr uint64_t kOwnId = 7;
constexpr core::Mac kOwnMac = 0x0200000000aa;
constexpr auto kSuite = core::Suite::kChaCha20Poly1305;

struct World {
  test::FakeNet net;
  test::TestNode node{net, 1};
  std::array<size_t, kNeighbours + 1> sent{};  // datagrams, by slot
  uint64_t counter = 0;
  uint64_t first_sequence = 0;

  World() {
    net.keeps_log = false;
    node.is_clock_still = true;
    for (uint32_t slot = 1; slot <= kNeighbours; ++slot) {
      const test::TestNode neighbour(net, static_cast<uint8_t>(1 + slot));
      const Relation relation = RelationOf(slot);
      if (!node.Apply(EntriesOf(relation, neighbour)).empty()) std::abort();
    }
    if (!node.Apply({engine::TreeSet{kOwnId, {1, 2, 3}}}).empty()) std::abort();
    net.filter = [this](const test::Message& message) {
      for (uint32_t slot = 1; slot <= kNeighbours; ++slot) {
        const bool is_to = message.to == test::Underlay(static_cast<uint8_t>(1 + slot));
        sent[slot] += is_to ? message.count : 0;
      }
      return false;  // nothing is delivered anywhere
    };
  }
  static Relation RelationOf(uint32_t slot) {
    return {slot, 100 + slot, 200 + slot, slot, 2 * slot, 2 * slot + 1, 1452, kSuite};
  }
};

bool MayBe(const core::FloodHeader& header, bool is_whole, const Bytes& frame) {
  if (!is_whole || frame.size() < core::kEthernetHeaderSize) return false;
  if (header.hops > core::kFloodHops || header.origin == 0 || header.origin == kOwnId) return false;
  const core::Mac to = core::LoadMac(frame.data());
  const core::Mac from = core::LoadMac(frame.data() + 6);
  const bool is_for_bridges = to >> 4 == 0x0180c200000 || core::LoadBe16(&frame[12]) == 0x8808;
  const bool is_from_a_host = from != 0 && (from >> 40 & 1) == 0 && from != kOwnMac;
  return !is_for_bridges && is_from_a_host;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  constexpr size_t kHead = 6;
  std::span<const uint8_t> input(data, size);
  world.node.passed_ms += 1000;
  world.first_sequence += 256;  // nothing was seen in the inputs before
  std::set<std::tuple<uint64_t, uint64_t, Bytes>> seen;
  while (input.size() >= kHead) {
    const uint32_t via = 1 + input[0] % kNeighbours;
    const core::FloodHeader header{input[1], world.first_sequence + input[2], input[3]};
    const bool is_whole = input[4] != 255;
    const size_t length = std::min<size_t>(input[5], input.size() - kHead);
    const Bytes frame(input.begin() + kHead,
                      input.begin() + kHead + static_cast<ptrdiff_t>(length));
    input = input.subspan(kHead + length);

    Bytes content(core::kFloodHeaderSize);
    core::WriteFloodHeader(content.data(), header);
    if (!is_whole) content[17 + length % 3] = 1;
    content.insert(content.end(), frame.begin(), frame.end());
    Bytes datagram = Craft(Mirrored(World::RelationOf(via)), 0, world.counter++,
                           test::Inner(core::InnerKind::kFlood, 0, content));
    const size_t bytes = datagram.size();
    world.sent = {};
    world.node.udp->Enqueue({test::Underlay(static_cast<uint8_t>(1 + via)),
                             world.node.udp->address(), std::move(datagram), bytes, 1, 0});
    world.node.DrainRx();

    const bool is_new = MayBe(header, is_whole, frame) &&
                        seen.emplace(header.origin, header.sequence, frame).second;
    const std::vector<test::TapFrame> written = world.node.tap.Take();
    if (written.size() != (is_new ? 1 : 0)) std::abort();
    if (is_new && written[0].bytes != frame) std::abort();
    for (uint32_t slot = 1; slot <= kNeighbours; ++slot) {
      const bool gets_it = is_new && header.hops != 0 && slot != via;
      if (world.sent[slot] != (gets_it ? 1 : 0)) std::abort();
    }
  }
  world.node.plane.events.Drain();
  return 0;
}
