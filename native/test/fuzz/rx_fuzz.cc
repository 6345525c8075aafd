// What a hostile member may seal: any plaintext, properly sealed, into the whole rx path. A second passes between inputs.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "native/test/test_node.h"

namespace {

using overlayd::test::Bytes;
using overlayd::test::FakeNet;
using overlayd::test::Relation;
using overlayd::test::TestNode;

struct World {
  FakeNet net;
  TestNode victim{net, 2};
  Relation relation{.suite = overlayd::core::Suite::kChaCha20Poly1305};
  uint64_t counter = 0;
  World() {
    net.keeps_log = false;
    victim.is_clock_still = true;
    TestNode member(net, 1);
    if (!victim.Apply(EntriesOf(Mirrored(relation), member)).empty()) std::abort();
    net.Attach(overlayd::test::Underlay(1), nullptr);
    net.filter = [](overlayd::test::Message&) { return false; };
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  world.victim.passed_ms += 1000;
  // Datagrams of one batch: length u16, then the plaintext.
  while (size >= 2) {
    const size_t length = std::min<size_t>(data[0] | data[1] << 8, size - 2);
    Bytes inner(data + 2, data + 2 + length);
    inner.resize(std::max(inner.size(), overlayd::core::kInnerHeaderSize));
    Bytes datagram = Craft(world.relation, 0, world.counter++, inner);
    const size_t bytes = datagram.size();
    world.victim.udp->Enqueue(
        {overlayd::test::Underlay(1), world.victim.udp->address(), std::move(datagram), bytes, 1});
    data += 2 + length;
    size -= 2 + length;
  }
  world.victim.DrainRx();
  world.victim.tap.Take();
  world.victim.plane.events.Drain();
  if (world.victim.RxDropped(overlayd::core::DropReason::kForged) != 0) std::abort();
  return 0;
}
