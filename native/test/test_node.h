#ifndef OVERLAYD_NATIVE_TEST_TEST_NODE_H_
#define OVERLAYD_NATIVE_TEST_TEST_NODE_H_

#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "native/core/wire.h"
#include "native/engine/plane.h"
#include "native/engine/rx_path.h"
#include "native/engine/table_store.h"
#include "native/engine/tx_path.h"
#include "native/test/fake_tap.h"
#include "native/test/fake_udp.h"

/*
 * A data plane without devices: one tx and one rx path between a FakeTap and a FakeUdp, run by the
 * test's own thread when it says so. Several of them on one FakeNet make a mesh.
 */
namespace overlayd::test {

using core::Counter;
using core::DropReason;
using engine::Event;
using engine::EventKind;
using engine::TableEntry;

/// Keys of a direction, told apart by their number.
inline engine::DirectionKey KeyNumber(uint32_t number) {
  engine::DirectionKey out;
  for (size_t i = 0; i < out.key.size(); ++i) out.key[i] = static_cast<uint8_t>(number * 7 + i);
  core::StoreLe32(out.key.data(), number);
  for (size_t i = 0; i < out.iv.size(); ++i) out.iv[i] = static_cast<uint8_t>(number + 3 * i);
  return out;
}

inline Bytes RandomFrame(std::mt19937_64& rng, size_t size) {
  Bytes out = RandomBytes(rng, size);
  Put32(out, 0, 0x02000000);
  Put16(out, 4, 1);
  Put32(out, 6, 0x02000000);
  Put16(out, 10, 2);
  Put16(out, 12, 0x88b5);  // local experimental: never parsed further
  return out;
}

class TestNode {
 public:
  TestNode(
      FakeNet& net, uint8_t host, std::function<void()> wake = [] {})
      : plane(std::move(wake), core::HashSeed{}), tap() {
    for (const auto suite : {core::Suite::kChaCha20Poly1305, core::Suite::kAes256Gcm,
                             core::Suite::kXSalsa20Poly1305}) {
      plane.aeads[static_cast<size_t>(suite)] =
          core::FindAead(suite, core::ProviderChoice::kFastest);
    }
    plane.networks[0].own_macs = {0x0200000000aa};
    plane.mtu_bytes = 1388;
    plane.may_join_udp = true;
    plane.mesh_id.fill(7);
    plane.gate = std::make_unique<core::Gate>(
        std::span<const uint8_t, core::kMeshIdBytes>(plane.mesh_id),
        [](std::span<uint8_t> out) { std::fill(out.begin(), out.end(), uint8_t{9}); });
    auto socket = std::make_unique<FakeUdp>(net, Underlay(host));
    udp = socket.get();
    sockets.all.push_back(std::move(socket));
    store = std::make_unique<engine::TableStore>(plane);
    tx = std::make_unique<engine::TxPath>(plane, 0, tap, sockets, tx_counters);
    rx = std::make_unique<engine::RxPath>(plane, 1, tap, sockets, rx_counters);
  }

  /// "" or why not.
  std::string Apply(std::vector<TableEntry> entries) {
    size_t refused = 0;
    return store->Apply(entries, &refused);
  }

  /// One more network, at a local index of the test's choice; its TAP is borrowed until it is closed.
  FakeTap& OpenNetwork(uint32_t index, uint32_t network) {
    auto own = std::make_unique<FakeTap>();
    FakeTap& out = *own;
    plane.networks[index].queues.push_back(std::move(own));
    store->OpenNetwork(index, network);
    return out;
  }
  void CloseNetwork(uint32_t index) {
    store->CloseNetwork(index);
    plane.networks[index] = {};
  }

  void Send(Bytes frame, const core::OffloadHeader& offload = {}) {
    tap.Push({offload, std::move(frame)});
  }
  /// A TCP or UDP packet with partial checksum, as the kernel gives it; `gso_size` 0: no
  /// super-frame.
  void SendPartial(const Bytes& frame, size_t gso_size = 0) {
    tap.Push({OffloadOf(frame, gso_size), frame});
  }
  static core::OffloadHeader OffloadOf(const Bytes& frame, size_t gso_size) {
    const Layout at = Walk(frame);
    core::OffloadHeader out;
    out.flags = core::kOffloadNeedsChecksum;
    out.checksum_start = static_cast<uint16_t>(at.l4);
    out.checksum_offset = at.is_udp ? 6 : 16;
    if (gso_size != 0) {
      out.gso_type = at.is_udp            ? core::kGsoUdp
                     : at.ip_version == 4 ? core::kGsoTcp4
                                          : core::kGsoTcp6;
      if (!at.is_udp && (frame[at.l4 + 13] & core::kTcpCwr) != 0) out.gso_type |= core::kGsoEcn;
      out.gso_size = static_cast<uint16_t>(gso_size);
      out.header_size = static_cast<uint16_t>(at.payload);
    }
    return out;
  }

  void DrainTx() { EXPECT_TRUE(tx->Drain(NowMs())); }
  void DrainNetwork(uint32_t index) { tx->DrainNetwork(index, poller, NowMs()); }
  void DrainRx() {
    while (!udp->IsIdle()) rx->Drain(*udp, NowMs());
  }
  [[nodiscard]] uint64_t TxTotal(Counter counter) const { return tx_counters.Total(counter); }
  [[nodiscard]] uint64_t RxTotal(Counter counter) const { return rx_counters.Total(counter); }
  [[nodiscard]] uint64_t TxDropped(DropReason reason) const { return tx_counters.Dropped(reason); }
  [[nodiscard]] uint64_t RxDropped(DropReason reason) const { return rx_counters.Dropped(reason); }
  [[nodiscard]] uint64_t AllDropped() const {
    uint64_t sum = 0;
    for (size_t i = 1; i < core::kDropReasonCount; ++i) {
      const auto reason = static_cast<DropReason>(i);
      sum += tx_counters.Dropped(reason) + rx_counters.Dropped(reason);
    }
    return sum;
  }
  core::Session& SessionOf(uint32_t index) { return plane.sessions.at(store->SessionSlot(index)); }
  size_t CountEvents(EventKind kind) {
    size_t count = 0;
    for (const Event& event : plane.events.Drain()) count += event.kind == kind ? 1 : 0;
    return count;
  }

  /// What its workers take for now: the clock, and what the test passed on top.
  [[nodiscard]] uint64_t NowMs() const {
    return (is_clock_still ? began_ms : engine::BootTimeMs()) + passed_ms;
  }

  const uint64_t began_ms = engine::BootTimeMs();
  uint64_t passed_ms = 0;
  /// Only what the test passes: where rates and pauses count, a slow machine shall not change them. Not beside threads
  /// that read the clock themselves.
  bool is_clock_still = false;
  engine::Plane plane;
  FakeTap tap;
  io::Poller poller;
  FakeUdp* udp;
  engine::Sockets sockets;
  core::CounterBlock tx_counters;
  core::CounterBlock rx_counters;
  std::unique_ptr<engine::TableStore> store;
  std::unique_ptr<engine::TxPath> tx;
  std::unique_ptr<engine::RxPath> rx;
};

/// How `self` knows `peer`: slot, session (our index `session`, theirs `remote`), path, keys tx and
/// rx.
struct Relation {
  uint32_t slot = 1;
  uint32_t session = 101;
  uint32_t remote = 201;
  uint32_t path = 11;
  uint32_t tx_key = 1;
  uint32_t rx_key = 2;
  uint32_t datagram_bytes = 1452;
  core::Suite suite = core::Suite::kAes256Gcm;
};

inline std::vector<TableEntry> EntriesOf(const Relation& relation, const TestNode& peer) {
  return {engine::SessionInstall{relation.session, relation.slot, relation.remote, relation.suite,
                                 KeyNumber(relation.rx_key), KeyNumber(relation.tx_key)},
          engine::PathSet{relation.path, relation.slot, relation.session, peer.udp->address(),
                          relation.datagram_bytes},
          engine::PeerSet{relation.slot, relation.session, relation.path}};
}

inline Relation Mirrored(Relation relation) {
  std::swap(relation.session, relation.remote);
  std::swap(relation.tx_key, relation.rx_key);
  return relation;
}

inline void Connect(TestNode& a, TestNode& b, const Relation& relation = {}) {
  ASSERT_EQ(a.Apply(EntriesOf(relation, b)), "");
  ASSERT_EQ(b.Apply(EntriesOf(Mirrored(relation), a)), "");
}

/// A datagram as a member could make it: any header, any plaintext, properly sealed.
inline Bytes Craft(const Relation& sender, uint32_t phase, uint64_t counter, const Bytes& inner,
                   uint32_t key_number = 0) {
  const core::Aead* aead = core::FindAead(sender.suite, core::ProviderChoice::kFastest);
  const auto key = std::make_unique<core::AeadKey>();
  const auto scratch = std::make_unique<core::AeadScratch>();
  const engine::DirectionKey secret = KeyNumber(key_number != 0 ? key_number : sender.tx_key);
  aead->expand(key.get(), secret.key.data(), secret.iv.data());
  Bytes out(core::kDataHeaderSize + inner.size() + core::kTagSize);
  core::WriteDataHeader(out.data(), {static_cast<uint8_t>(phase), sender.remote, counter});
  aead->seal(*key, *scratch, out.data(), counter, inner.data(), inner.size(),
             out.data() + core::kDataHeaderSize);
  return out;
}

inline Bytes Inner(core::InnerKind kind, uint8_t flags, const Bytes& content,
                   uint32_t network = 0) {
  Bytes out(core::kInnerHeaderSize);
  core::WriteInnerHeader(out.data(), kind, flags, network);
  out.insert(out.end(), content.begin(), content.end());
  return out;
}

/// What the host behind a TAP sees in the end: GSO frames cut, checksums finished.
inline std::vector<Bytes> Delivered(const std::vector<TapFrame>& writes) {
  std::vector<Bytes> out;
  for (const TapFrame& write : writes) {
    if ((write.offload.gso_type & ~core::kGsoEcn) != core::kGsoNone) {
      for (Bytes& segment : NaiveSegments(write.bytes, write.offload.gso_size)) {
        out.push_back(std::move(segment));
      }
      continue;
    }
    out.push_back(write.bytes);
    if ((write.offload.flags & core::kOffloadNeedsChecksum) != 0) NaiveComplete(out.back());
  }
  return out;
}

/// The datagrams of messages, each with the receiver index, phase and counter of its header.
struct WireDatagram {
  core::SourceAddress to;
  core::DataHeader header;
  Bytes bytes;
};
inline std::vector<WireDatagram> Datagrams(const std::vector<Message>& messages) {
  std::vector<WireDatagram> out;
  for (const Message& message : messages) {
    for (size_t at = 0; at < message.bytes.size(); at += message.stride) {
      const size_t size = std::min(message.stride, message.bytes.size() - at);
      const auto from = message.bytes.begin() + static_cast<ptrdiff_t>(at);
      WireDatagram datagram{message.to, {}, Bytes(from, from + static_cast<ptrdiff_t>(size))};
      EXPECT_TRUE(core::ReadDataHeader(datagram.bytes.data(), &datagram.header));
      out.push_back(std::move(datagram));
    }
  }
  return out;
}

}  // namespace overlayd::test

#endif  // OVERLAYD_NATIVE_TEST_TEST_NODE_H_
