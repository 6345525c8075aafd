#include "native/engine/rx_path.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "native/core/fragment.h"
#include "native/engine/control_message.h"
#include "native/engine/join_probe.h"
#include "native/test/neighbour_frames.h"
#include "native/test/test_node.h"

namespace {
thread_local size_t times_yielded = 0;
}  // namespace

// In the place of libc's for this program: counts those who give way, and lets them.
extern "C" int sched_yield() noexcept {
  ++times_yielded;
  return static_cast<int>(::syscall(SYS_sched_yield));
}

namespace overlayd::engine {
namespace {

using core::Counter;
using core::DropReason;
using core::InnerKind;
using test::Build;
using test::Bytes;
using test::Craft;
using test::Inner;
using test::Packet;
using test::Relation;
using test::TestNode;
using test::Underlay;

/// Node b under attack; the test speaks as a, a member with keys, at 192.0.2.1.
class RxPathTest : public testing::Test {
 protected:
  void SetUp() override { test::Connect(a_, b_, relation_); }

  void Arrive(Bytes datagram, const core::SourceAddress& from = Underlay(1)) {
    const size_t size = datagram.size();
    b_.udp->Enqueue({from, b_.udp->address(), std::move(datagram), size, 1});
    b_.DrainRx();
  }
  void ArriveInner(const Bytes& inner) { Arrive(Craft(relation_, 0, counter_++, inner)); }
  void ArriveFrame(const Bytes& frame, uint8_t flags = 0) {
    ArriveInner(Inner(InnerKind::kFrame, flags, frame));
  }
  /// Exactly this one drop, and nothing written.
  void ExpectOnlyDrop(DropReason reason) {
    EXPECT_EQ(b_.RxDropped(reason), 1u) << core::DropReasonName(reason);
    EXPECT_EQ(b_.AllDropped(), 1u) << core::DropReasonName(reason);
    EXPECT_TRUE(b_.tap.Take().empty());
  }
  static Bytes Frame() { return Build(Packet{.payload = Bytes(50, 4)}); }
  static Bytes Control(uint8_t type, const Bytes& body) {
    return Inner(InnerKind::kControl, 0, MakeControlMessage(type, body));
  }

  Relation relation_;
  test::FakeNet net_;
  TestNode a_{net_, 1};
  TestNode b_{net_, 2};
  uint64_t counter_ = 0;
  std::mt19937_64 rng_{test::TestSeed()};
};

// --- the outer datagram ---

TEST_F(RxPathTest, ShortDatagram) {
  Bytes datagram = Craft(relation_, 0, 0, Inner(InnerKind::kFrame, 0, {}));
  ASSERT_EQ(datagram.size(), core::kDatagramOverhead);
  datagram.pop_back();
  Arrive(datagram);
  ExpectOnlyDrop(DropReason::kUdpShort);
}

TEST_F(RxPathTest, EveryLengthBelowTheOverheadIsShort) {
  for (size_t size = 1; size < core::kDatagramOverhead; ++size) {
    Bytes datagram(size, 0);
    datagram[0] = core::kTypeData;
    Arrive(datagram);
    EXPECT_EQ(b_.RxDropped(DropReason::kUdpShort), size);
  }
}

TEST_F(RxPathTest, UnknownType) {
  Arrive(Bytes(100, 0x77));
  ExpectOnlyDrop(DropReason::kUdpType);
}

TEST_F(RxPathTest, ZerosOfTheHeaderThatAreNot) {
  Bytes datagram = Craft(relation_, 0, 0, Inner(InnerKind::kFrame, 0, Frame()));
  datagram[3] = 1;
  Arrive(datagram);
  ExpectOnlyDrop(DropReason::kGateZero);
}

TEST_F(RxPathTest, UnknownIndex) {
  Relation other = relation_;
  other.remote = 999;
  Arrive(Craft(other, 0, 0, Inner(InnerKind::kFrame, 0, Frame())));
  ExpectOnlyDrop(DropReason::kUnknownSession);
}

TEST_F(RxPathTest, IndexZero) {
  Relation other = relation_;
  other.remote = 0;
  Arrive(Craft(other, 0, 0, Inner(InnerKind::kFrame, 0, Frame())));
  ExpectOnlyDrop(DropReason::kUnknownSession);
}

TEST_F(RxPathTest, PhaseWithoutKey) {
  Arrive(Craft(relation_, 2, 0, Inner(InnerKind::kFrame, 0, Frame())));
  ExpectOnlyDrop(DropReason::kKeyPhase);
}

TEST_F(RxPathTest, ForgedTag) {
  Bytes datagram = Craft(relation_, 0, 0, Inner(InnerKind::kFrame, 0, Frame()));
  datagram.back() ^= 1;
  Arrive(datagram);
  ExpectOnlyDrop(DropReason::kForged);
  EXPECT_EQ(b_.SessionOf(201).forged.load(), 1u);
  // Nothing is learned, confirmed or committed by it.
  EXPECT_TRUE(b_.plane.events.Drain().empty());
  ArriveFrame(Frame());
  EXPECT_EQ(b_.tap.Take().size(), 1u);
}

TEST_F(RxPathTest, ReplayedDatagram) {
  const Bytes datagram = Craft(relation_, 0, 5, Inner(InnerKind::kFrame, 0, Frame()));
  Arrive(datagram);
  EXPECT_EQ(b_.tap.Take().size(), 1u);
  Arrive(datagram);
  ExpectOnlyDrop(DropReason::kReplay);
  EXPECT_EQ(b_.SessionOf(201).replayed.load(), 1u);
}

TEST_F(RxPathTest, TruncatedByTheBuffer) {
  const size_t size = 70000;
  b_.udp->Enqueue({Underlay(1), b_.udp->address(), Bytes(size, core::kTypeData), size, 1});
  b_.DrainRx();
  ExpectOnlyDrop(DropReason::kUdpSize);
}

TEST_F(RxPathTest, EmptyDatagram) {
  Arrive({});
  ExpectOnlyDrop(DropReason::kUdpShort);
}

TEST_F(RxPathTest, LossesInTheKernelAreCounted) {
  b_.udp->overflows = 7;
  ArriveFrame(Frame());
  EXPECT_EQ(b_.RxTotal(Counter::kRxqOverflow), 7u);
}

// --- the opened content ---

TEST_F(RxPathTest, UnknownFlags) {
  ArriveFrame(Frame(), 0x08);
  ExpectOnlyDrop(DropReason::kInnerFlags);
}

TEST_F(RxPathTest, OtherNetwork) {
  ArriveInner(Inner(InnerKind::kFrame, 0, Frame(), 1));
  ExpectOnlyDrop(DropReason::kInnerNetwork);
}

TEST_F(RxPathTest, ZeroOfTheInnerHeaderThatIsNot) {
  Bytes inner = Inner(InnerKind::kFrame, 0, Frame());
  inner[5] = 1;
  ArriveInner(inner);
  ExpectOnlyDrop(DropReason::kGateZero);
}

// A later version may set flags of a control message: they are ignored, and the message is what it was.
TEST_F(RxPathTest, UnknownFlagsOfControlAreIgnored) {
  Bytes body(core::kPingBytes);
  core::EncodePing({11, 7, 123456}, body);
  Bytes message = Control(core::kControlPing, body);
  message[core::kInnerHeaderSize + 1] = 0xff;
  net_.Take();
  ArriveInner(message);
  EXPECT_EQ(net_.Take().size(), 1u) << "a PONG";
  EXPECT_EQ(b_.AllDropped(), 0u);
}

// Types are the control plane's business: all it has no name for come up as they are, and nothing else happens.
TEST_F(RxPathTest, UnknownControlTypesComeUpUntouched) {
  ArriveFrame(Frame());
  b_.tap.Take();
  b_.plane.events.Drain();
  net_.Take();
  for (const uint8_t type : {0, 17, 99, 255}) {
    ArriveInner(Control(type, {0xc1, 0xff}));
    const auto events = b_.plane.events.Drain();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, EventKind::kControl);
    EXPECT_EQ(events[0].value, type);
  }
  EXPECT_TRUE(net_.Take().empty()) << "nothing is answered";
  EXPECT_TRUE(b_.tap.Take().empty());
  EXPECT_EQ(b_.AllDropped(), 0u);
}

TEST_F(RxPathTest, UnknownKind) {
  ArriveInner(Inner(static_cast<InnerKind>(5), 0, Frame()));
  ExpectOnlyDrop(DropReason::kInnerKind);
}

TEST_F(RxPathTest, FrameShorterThanEthernet) {
  ArriveFrame(Bytes(13, 0));
  ExpectOnlyDrop(DropReason::kInnerShort);
}

TEST_F(RxPathTest, ControlShorterThanItsHeaderOrLength) {
  ArriveInner(Inner(InnerKind::kControl, 0, Bytes(3, 0)));
  Bytes message = MakeControlMessage(14, Bytes(10, 1));
  message.pop_back();
  ArriveInner(Inner(InnerKind::kControl, 0, message));
  for (const uint8_t type :
       {core::kControlPing, core::kControlPong, core::kControlReceiverReport}) {
    ArriveInner(Control(type, Bytes(3, 0)));
  }
  EXPECT_EQ(b_.RxDropped(DropReason::kInnerShort), 5u);
  EXPECT_EQ(b_.AllDropped(), 5u);
}

TEST_F(RxPathTest, KeepalivesAreQuiet) {
  ArriveInner(Inner(InnerKind::kKeepalive, 0, Bytes(20, 0)));
  EXPECT_EQ(b_.AllDropped(), 0u);
  EXPECT_TRUE(b_.tap.Take().empty());
}

TEST_F(RxPathTest, OwnMac) {
  Bytes frame = Frame();
  frame[11] = 0xaa;
  ArriveFrame(frame);
  ExpectOnlyDrop(DropReason::kOwnMac);
}

TEST_F(RxPathTest, MulticastSource) {
  Bytes frame = Frame();
  frame[6] = 3;
  ArriveFrame(frame);
  ExpectOnlyDrop(DropReason::kMulticastSource);
}

TEST_F(RxPathTest, ZeroSource) {
  Bytes frame = Frame();
  std::fill_n(frame.begin() + 6, 6, uint8_t{0});
  ArriveFrame(frame);
  ExpectOnlyDrop(DropReason::kZeroSource);
}

TEST_F(RxPathTest, ReservedMulticast) {
  Bytes frame = Frame();
  const uint8_t mac[] = {0x01, 0x80, 0xc2, 0, 0, 0x0e};
  std::copy(mac, mac + 6, frame.begin());
  ArriveFrame(frame);
  ExpectOnlyDrop(DropReason::kReservedMulticast);
}

TEST_F(RxPathTest, SourceDeclaredForAnotherPeer) {
  ASSERT_EQ(b_.Apply({FdbSet{0, 0x020000000002, 5}}), "");
  ArriveFrame(Frame());
  ExpectOnlyDrop(DropReason::kSourceGuard);
}

TEST_F(RxPathTest, SourceOfALocalPort) {
  ASSERT_EQ(b_.Apply({FdbSet{0, 0x020000000002, core::kLocalPeer}}), "");
  ArriveFrame(Frame());
  ExpectOnlyDrop(DropReason::kOwnSource);
}

TEST_F(RxPathTest, RefusedSourcesAreToldWithTheirPeerAndNotOften) {
  ASSERT_EQ(b_.Apply({FdbSet{0, 0x020000000002, 5}}), "");
  b_.plane.events.Drain();
  for (int i = 0; i < 200; ++i) ArriveFrame(Frame());
  size_t claims = 0;
  for (const Event& event : b_.plane.events.Drain()) {
    if (event.kind != EventKind::kMacClaim) continue;
    ++claims;
    EXPECT_EQ(event.verdict, MacVerdict::kRefused);
    EXPECT_EQ(event.mac, 0x020000000002u);
    EXPECT_EQ(event.peer, 1u);
  }
  EXPECT_GE(claims, 1u);
  EXPECT_LE(claims, 24u);
  EXPECT_EQ(b_.RxDropped(DropReason::kSourceGuard), 200u);
}

TEST_F(RxPathTest, AMacThatFlapsStaysAndIsTold) {
  const auto now_s = static_cast<uint32_t>(b_.NowMs() / 1000);
  for (uint16_t i = 0; i < 5; ++i) b_.plane.fdb.Learn(0, 0x020000000002, 2 + i % 2, now_s);
  b_.plane.events.Drain();
  ArriveFrame(Frame());
  EXPECT_EQ(b_.tap.Take().size(), 1u) << "its frames still arrive";
  EXPECT_EQ(b_.plane.fdb.Lookup(0, 0x020000000002, now_s), 2u);
  for (const Event& event : b_.plane.events.Drain()) {
    if (event.kind != EventKind::kMacClaim) continue;
    EXPECT_EQ(event.verdict, MacVerdict::kFlapping);
    EXPECT_EQ(event.peer, 1u);
    return;
  }
  FAIL() << "not told";
}

TEST_F(RxPathTest, PauseFramesToAnyAddress) {
  Bytes frame = Frame();
  frame[12] = 0x88;
  frame[13] = 0x08;
  ArriveFrame(frame);
  ExpectOnlyDrop(DropReason::kMacControl);
}

TEST_F(RxPathTest, SourceDeclaredMeanwhileIsRefusedAtOnce) {
  ArriveFrame(Frame());
  EXPECT_EQ(b_.tap.Take().size(), 1u);
  ASSERT_EQ(b_.Apply({FdbSet{0, 0x020000000002, 5}}), "");
  ArriveFrame(Frame());
  ExpectOnlyDrop(DropReason::kSourceGuard);
}

TEST_F(RxPathTest, PartialFlagOnWhatIsNoTcpOrUdp) {
  Bytes arp = Frame();
  arp[13] = 6;
  ArriveFrame(arp, core::kFlagPartialChecksum);
  ExpectOnlyDrop(DropReason::kPartialChecksumOffsets);
}

TEST_F(RxPathTest, PartialFlagOnAFragment) {
  Bytes fragment = Frame();
  fragment[20] = 0x20;
  ArriveFrame(fragment, core::kFlagPartialChecksum);
  ExpectOnlyDrop(DropReason::kPartialChecksumOffsets);
}

TEST_F(RxPathTest, PartialFlagWithAWrongPseudoHeaderSum) {
  Bytes frame = Frame();
  frame[14 + 20 + 17] ^= 1;
  ArriveFrame(frame, core::kFlagPartialChecksum);
  ExpectOnlyDrop(DropReason::kPartialChecksum);
}

TEST_F(RxPathTest, FragmentsThatContradict) {
  ArriveInner(Inner(InnerKind::kFragment, 0, {5, 2, 0, 0, 1, 1, 1}));
  ExpectOnlyDrop(DropReason::kFragmentBad);
}

TEST_F(RxPathTest, TapErrorsAreCountedPerSegment) {
  b_.tap.FailWrites(EINVAL);
  ArriveFrame(Frame());
  EXPECT_EQ(b_.RxDropped(DropReason::kTapEinval), 1u);
  b_.tap.FailWrites(EIO);
  ArriveFrame(Frame());
  EXPECT_EQ(b_.RxDropped(DropReason::kTapWrite), 1u);
}

// --- a kernel that refuses joined frames ---

/// Three segments of one train, as the kernel of a gave them.
class RefusedTest : public RxPathTest {
 protected:
  void SendTrain(bool is_udp = false) {
    Packet packet;
    packet.is_udp = is_udp;
    packet.payload = Bytes(1500, 1);
    a_.SendPartial(Build(packet), 500);
    a_.DrainTx();
    b_.DrainRx();
  }
  uint64_t CountWrites(size_t want) {
    const size_t got = b_.tap.Take().size();
    EXPECT_EQ(got, want);
    return got;
  }
  /// Our own probe, and nothing that a member sent.
  static bool IsProbe(const test::TapFrame& frame) { return frame.bytes[0] == 1; }
  core::Session& Session() { return b_.SessionOf(201); }
};

TEST_F(RefusedTest, OfAMemberLeavesJoiningOnForAll) {
  size_t probes = 0;
  bool is_hostile = true;
  b_.tap.on_write = [&](const test::TapFrame& frame) {
    if (IsProbe(frame)) {
      ++probes;
      return 0;
    }
    return is_hostile ? EINVAL : 0;
  };
  for (int i = 0; i < 5; ++i) SendTrain();
  EXPECT_EQ(b_.RxDropped(DropReason::kTapEinval), 15u);
  EXPECT_EQ(Session().tap_refused.load(), 15u);
  EXPECT_EQ(probes, 2u) << "one TCP and one UDP probe a second";
  EXPECT_EQ(b_.RxTotal(Counter::kJoinProbes), 1u);
  EXPECT_EQ(b_.CountEvents(EventKind::kFault), 0u);
  b_.passed_ms += 1000;
  SendTrain();
  EXPECT_EQ(probes, 4u);
  is_hostile = false;
  b_.tap.Take();
  SendTrain();
  SendTrain(/*is_udp=*/true);
  CountWrites(2);
  EXPECT_EQ(b_.AllDropped(), 18u);
}

TEST_F(RefusedTest, ByTheKernelAlwaysSwitchesJoiningOffOnce) {
  b_.tap.on_write = [&](const test::TapFrame& frame) {
    return frame.offload.gso_type == core::kGsoNone ? 0 : EINVAL;
  };
  SendTrain();
  EXPECT_EQ(b_.RxDropped(DropReason::kTapEinval), 3u);
  const auto events = b_.plane.events.Drain();
  ASSERT_EQ(events.size(), 2u);  // the first confirms the phase
  EXPECT_EQ(events[1].kind, EventKind::kFault);
  EXPECT_STREQ(events[1].code, "OVL_JOIN_OFF");
  EXPECT_EQ(events[1].error, EINVAL);
  b_.passed_ms += 60'000;
  SendTrain();
  SendTrain(/*is_udp=*/true);
  CountWrites(6);
  EXPECT_EQ(b_.AllDropped(), 3u);
  EXPECT_EQ(b_.CountEvents(EventKind::kFault), 0u);
}

TEST_F(RefusedTest, OfOneProtocolLeavesTheOtherJoined) {
  b_.tap.on_write = [&](const test::TapFrame& frame) {
    return frame.offload.gso_type == core::kGsoUdp ? EINVAL : 0;
  };
  SendTrain(/*is_udp=*/true);
  b_.tap.Take();  // the probe of TCP
  SendTrain(/*is_udp=*/true);
  CountWrites(3);
  SendTrain();
  CountWrites(1);
}

// The interface is down: nothing is learned from that.
TEST_F(RefusedTest, EioChangesNothing) {
  b_.tap.FailWrites(EIO);
  SendTrain();
  EXPECT_EQ(b_.RxDropped(DropReason::kTapWrite), 3u);
  EXPECT_EQ(b_.RxTotal(Counter::kJoinProbes), 0u);
  EXPECT_EQ(Session().tap_refused.load(), 0u);
  b_.tap.FailWrites(0);
  SendTrain();
  CountWrites(1);
}

// --- giving way to who reads ---

class GivingWayTest : public RefusedTest {};

TEST_F(GivingWayTest, OnceIn64FramesThatAreNotTcp) {
  const Bytes datagram = Build(Packet{.is_udp = true, .payload = Bytes(50, 4)});
  const size_t before = times_yielded;
  for (int i = 0; i < 63; ++i) ArriveFrame(datagram);
  EXPECT_EQ(times_yielded - before, 0u);
  ArriveFrame(datagram);
  EXPECT_EQ(times_yielded - before, 1u);
  for (int i = 0; i < 64; ++i) ArriveFrame(datagram);
  EXPECT_EQ(times_yielded - before, 2u);
  EXPECT_EQ(b_.tap.Take().size(), 128u);
}

TEST_F(GivingWayTest, NeverForTcp) {
  const size_t before = times_yielded;
  for (int i = 0; i < 200; ++i) ArriveFrame(Frame());
  EXPECT_EQ(times_yielded - before, 0u);
  EXPECT_EQ(b_.tap.Take().size(), 200u);
}

// The reader's socket holds datagrams, however few writes brought them.
TEST_F(GivingWayTest, ByWhatATrainHolds) {
  size_t yielded = 0;
  for (int i = 0; i < 22; ++i) {
    EXPECT_EQ(yielded, 0u) << 3 * i << " datagrams";
    const size_t before = times_yielded;
    SendTrain(/*is_udp=*/true);
    yielded += times_yielded - before;
  }
  EXPECT_EQ(yielded, 1u);
  CountWrites(22);
}

// --- whose address a frame comes from ---

/// 10.32.0.9 and fd01::9 are c's alone, the third member; a is the one who sends.
class AddressGuardTest : public RxPathTest {
 protected:
  static constexpr uint64_t kGuest = 0x0200000000cc;
  static constexpr uint32_t kSlotC = 2;

  void SetUp() override {
    RxPathTest::SetUp();
    ASSERT_EQ(b_.Apply(test::EntriesOf(relation_c_, c_)), "");
    ASSERT_EQ(b_.Apply({FdbSet{0, kGuest, kSlotC}, Guarded(core::NeighbourAddressOfIpv4(kIpv4)),
                        Guarded(Ipv6())}),
              "");
  }
  static NeighbourSet Guarded(const core::NeighbourAddress& address, bool is_guarded = true) {
    return {0, address, kGuest, is_guarded};
  }
  static core::NeighbourAddress Ipv6() {
    core::NeighbourAddress out{};
    const Bytes bytes = test::UniqueLocal(9);
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
  }
  static Bytes From(const uint8_t* ipv4) {
    Bytes frame = Build(Packet{.payload = Bytes(50, 4)});
    std::copy(ipv4, ipv4 + 4, frame.begin() + 26);
    return frame;
  }
  size_t Written() { return b_.tap.Take().size(); }

  static constexpr uint8_t kIpv4[4] = {10, 32, 0, 9};
  static constexpr uint8_t kOther[4] = {10, 32, 0, 8};
  Relation relation_c_{kSlotC, 301, 401, 21, 3, 4};
  TestNode c_{net_, 3};
};

TEST_F(AddressGuardTest, PacketsArpAndAdvertisementsOfAnother) {
  ArriveFrame(From(kIpv4));
  ArriveFrame(test::ArpRequest({.from = {10, 32, 0, 9}, .target = {10, 32, 0, 1}}));
  ArriveFrame(test::Advertisement(0x020000000001));
  EXPECT_EQ(b_.RxDropped(DropReason::kSpoofedAddress), 3u);
  EXPECT_EQ(b_.AllDropped(), 3u);
  EXPECT_EQ(Written(), 0u);
  for (const Event& event : b_.plane.events.Drain()) {
    if (event.kind != EventKind::kMacClaim) continue;
    EXPECT_EQ(event.verdict, MacVerdict::kSpoofed);
    EXPECT_EQ(event.peer, 1u);
  }
}

TEST_F(AddressGuardTest, AnAdvertisementBehindOtherHeaders) {
  Bytes frame = test::Advertisement(0x020000000001);
  std::copy_n(test::UniqueLocal(2).begin(), 16, frame.begin() + 22);  // only what it says is wrong
  const Bytes options{58, 0, 1, 4, 0, 0, 0, 0};
  frame[20] = 0;
  frame.insert(frame.begin() + 54, options.begin(), options.end());
  ArriveFrame(frame);
  EXPECT_EQ(b_.RxDropped(DropReason::kSpoofedAddress), 1u);
}

TEST_F(AddressGuardTest, OneThatWasRightDoesNotPassAnother) {
  for (int round = 0; round < 3; ++round) {
    ArriveFrame(From(kOther));
    ArriveFrame(From(kIpv4));
  }
  EXPECT_EQ(b_.RxDropped(DropReason::kSpoofedAddress), 3u);
  EXPECT_EQ(Written(), 3u);
}

TEST_F(AddressGuardTest, WhoComesWhileItsOwnerIsAwayAndItsOwner) {
  ASSERT_EQ(b_.Apply({PeerSet{kSlotC, 0, 0}}), "");
  ArriveFrame(From(kIpv4));
  ASSERT_EQ(
      b_.Apply({PeerSet{kSlotC, relation_c_.session, relation_c_.path}, FdbSet{0, kGuest, 1}}), "");
  ArriveFrame(From(kIpv4));
  EXPECT_EQ(b_.RxDropped(DropReason::kSpoofedAddress), 0u);
  EXPECT_EQ(Written(), 2u);
}

TEST_F(AddressGuardTest, AnAddressOfThisHost) {
  ASSERT_EQ(b_.Apply({FdbSet{0, kGuest, core::kLocalPeer}}), "");
  ArriveFrame(From(kIpv4));
  NeighbourSet own = Guarded(core::NeighbourAddressOfIpv4(kIpv4));
  own.mac = 0x0200000000aa;
  ASSERT_EQ(b_.Apply({own}), "");
  ArriveFrame(From(kIpv4));
  EXPECT_EQ(b_.RxDropped(DropReason::kSpoofedAddress), 2u);
}

TEST_F(AddressGuardTest, NoGuardAndNoTag) {
  Bytes tagged = From(kIpv4);
  tagged.insert(tagged.begin() + 12, {0x81, 0x00, 0x00, 0x05});
  ArriveFrame(tagged);
  ASSERT_EQ(b_.Apply({Guarded(core::NeighbourAddressOfIpv4(kIpv4), false)}), "");
  ArriveFrame(From(kIpv4));
  EXPECT_EQ(b_.AllDropped(), 0u);
  EXPECT_EQ(Written(), 2u);
}

TEST(JoinProbe, IsWhatAKernelTakesAndNobodyReceives) {
  test::FakeTap tap;
  EXPECT_EQ(ProbeJoining(tap), (JoinAbility{true, true}));
  const auto frames = tap.Take();
  ASSERT_EQ(frames.size(), 2u);
  for (const test::TapFrame& frame : frames) {
    EXPECT_EQ(Bytes(frame.bytes.begin(), frame.bytes.begin() + 6),
              (Bytes{0x01, 0x80, 0xc2, 0, 0, 1}));
    core::OffloadHeader expected = TestNode::OffloadOf(frame.bytes, 100);
    EXPECT_EQ(std::memcmp(&frame.offload, &expected, sizeof expected), 0);
    core::FrameInfo info;
    ASSERT_TRUE(core::ParseFrame(frame.bytes.data(), frame.bytes.size(), &info));
    EXPECT_EQ(info.frame_class, core::FrameClass::kTransport);
    EXPECT_EQ(test::NaiveSegments(frame.bytes, frame.offload.gso_size).size(), 2u);
  }
  tap.FailWrites(EIO);  // down, as at start
  EXPECT_EQ(ProbeJoining(tap), (JoinAbility{true, true}));
  tap.FailWrites(EINVAL);
  EXPECT_EQ(ProbeJoining(tap), (JoinAbility{false, false}));
}

// Any plaintext a member may seal: nothing is read out of bounds, and each is written or counted.
TEST_F(RxPathTest, RandomPlaintextsAreHarmless) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (int round = 0; round < 20000; ++round) {
    Bytes inner = rng() % 3 == 0
                      ? test::RandomBytes(rng, core::kInnerHeaderSize + rng() % 100)
                      : Inner(static_cast<InnerKind>(rng() % 4), static_cast<uint8_t>(rng() % 8),
                              Build(test::RandomPacket(rng, 100)));
    if (rng() % 2 == 0) inner[6 + rng() % (inner.size() - 5) - 1] ^= static_cast<uint8_t>(rng());
    inner.resize(core::kInnerHeaderSize + rng() % (inner.size() - core::kInnerHeaderSize + 1));
    ArriveInner(inner);
    if (round % 100 == 0) b_.plane.events.Drain();
  }
  EXPECT_EQ(b_.RxDropped(DropReason::kForged), 0u);
  EXPECT_EQ(b_.RxTotal(Counter::kOpened), 20000u);
}

// --- events ---

TEST_F(RxPathTest, PhaseIsConfirmedOnce) {
  for (int i = 0; i < 3; ++i) ArriveFrame(Frame());
  const auto events = b_.plane.events.Drain();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, EventKind::kPhaseConfirmed);
  EXPECT_EQ(events[0].session, 201u);
  EXPECT_EQ(events[0].phase, 0u);
  EXPECT_EQ(events[0].endpoint, Underlay(1));
}

TEST_F(RxPathTest, EndpointIsToldForTheNewestOnlyAndNotAgainSoon) {
  ArriveFrame(Frame());
  b_.plane.events.Drain();
  const Bytes inner = Inner(InnerKind::kKeepalive, 0, {});
  const auto elsewhere = Underlay(77);
  Arrive(Craft(relation_, 0, 100, inner));
  Arrive(Craft(relation_, 0, 50, inner), elsewhere);  // late, not newest
  EXPECT_EQ(b_.CountEvents(EventKind::kEndpointSeen), 0u);
  Arrive(Craft(relation_, 0, 101, inner), elsewhere);
  auto events = b_.plane.events.Drain();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, EventKind::kEndpointSeen);
  EXPECT_EQ(events[0].endpoint, elsewhere);
  for (uint64_t i = 102; i < 120; ++i) Arrive(Craft(relation_, 0, i, inner), Underlay(78));
  EXPECT_LE(b_.CountEvents(EventKind::kEndpointSeen), 1u);
}

TEST_F(RxPathTest, EndpointOfAnOlderPhaseIsNotNewest) {
  const Bytes inner = Inner(InnerKind::kKeepalive, 0, {});
  Arrive(Craft(relation_, 0, 10, inner));
  ASSERT_EQ(b_.Apply({SessionRxKey{201, 1, test::KeyNumber(50)}}), "");
  Arrive(Craft(relation_, 1, 0, inner, 50));
  b_.plane.events.Drain();
  Arrive(Craft(relation_, 0, 11, inner), Underlay(77));
  EXPECT_EQ(b_.CountEvents(EventKind::kEndpointSeen), 0u);
  Arrive(Craft(relation_, 1, 1, inner, 50), Underlay(77));
  EXPECT_EQ(b_.CountEvents(EventKind::kEndpointSeen), 1u);
}

TEST_F(RxPathTest, ControlComesUpWithAQuotaPerSession) {
  ArriveInner(Control(14, {1, 2, 3}));
  auto events = b_.plane.events.Drain();
  ASSERT_EQ(events.size(), 2u);  // the first also confirms the phase
  EXPECT_EQ(events[1].kind, EventKind::kControl);
  EXPECT_EQ(events[1].session, 201u);
  EXPECT_EQ(events[1].value, 14u);
  EXPECT_EQ(events[1].bytes, (Bytes{1, 2, 3}));
  constexpr auto kQuota = EventRing::kMaxPerSession;
  for (size_t i = 0; i < kQuota + 5; ++i) ArriveInner(Control(14, {}));
  EXPECT_EQ(b_.RxDropped(DropReason::kControlQuota), 5u);
  events = b_.plane.events.Drain();
  ASSERT_EQ(events.size(), kQuota + 1);
  EXPECT_EQ(events.back().kind, EventKind::kOverflow);
  EXPECT_EQ(events.back().value, 5u);
  ArriveInner(Control(14, {}));
  EXPECT_EQ(b_.plane.events.Drain().size(), 1u);
}

TEST_F(RxPathTest, PingIsAnsweredWhereItCameFromWithoutControl) {
  net_.Take();
  Bytes body(core::kPingBytes + 100);
  core::EncodePing({11, 7, 123456}, body);
  Arrive(Craft(relation_, 0, counter_++, Control(core::kControlPing, body)), Underlay(1));
  ASSERT_EQ(net_.Take().size(), 1u);
  EXPECT_EQ(b_.plane.events.Drain().size(), 1u);  // the phase only
}

TEST_F(RxPathTest, ReceiverReportsThatLackOurSizeTellOfAPathTooSmall) {
  PathState& state = b_.plane.paths[b_.store->Paths()[0].state];
  uint8_t body[core::kReceiverReportBytes];
  core::EncodeReceiverReport({.interval_ms = 1000, .largest_bytes = 600}, body);
  const Bytes report(body, body + sizeof body);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(b_.CountEvents(EventKind::kPathTooBig), 0u);
    state.largest_sent = 1400;
    ArriveInner(Control(core::kControlReceiverReport, report));
  }
  std::vector<Event> events = b_.plane.events.Drain();
  std::erase_if(events, [](const Event& event) { return event.kind != EventKind::kPathTooBig; });
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].value, 600u) << "what is known to arrive";
  state.largest_sent = 600;
  ArriveInner(Control(core::kControlReceiverReport, report));
  EXPECT_EQ(state.reports_too_small, 0u);
}

// --- fragments and joining across datagrams ---

TEST_F(RxPathTest, FragmentsInAnyOrderMakeTheFrame) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  const Bytes frame = test::RandomFrame(rng, 3000);
  const core::FragmentPlan plan = core::PlanFragments(frame.size(), 500);
  std::vector<Bytes> pieces;
  for (uint8_t i = 0; i < plan.count; ++i) {
    Bytes content(core::kFragmentHeaderBytes);
    core::WriteFragmentHeader(content.data(), plan, i, 0);
    const auto from = frame.begin() + static_cast<ptrdiff_t>(plan.OffsetOf(i));
    content.insert(content.end(), from, from + static_cast<ptrdiff_t>(plan.LengthOf(i)));
    pieces.push_back(Craft(relation_, 0, 40U + i, Inner(InnerKind::kFragment, 0, content)));
  }
  std::shuffle(pieces.begin(), pieces.end(), rng);
  for (const Bytes& piece : pieces) Arrive(piece);
  EXPECT_TRUE(test::SameFrames(test::Delivered(b_.tap.Take()), {frame}));
  EXPECT_EQ(b_.RxTotal(Counter::kReassembled), 1u);
}

TEST_F(RxPathTest, LossInATrainMakesTwoWrites) {
  Packet packet;
  packet.payload = Bytes(5000, 1);
  net_.coalesces = false;
  int datagram = 0;
  net_.filter = [&](test::Message&) { return true; };
  a_.SendPartial(Build(packet), 500);
  a_.DrainTx();
  std::vector<Bytes> expected = test::NaiveSegments(Build(packet), 500);
  expected.erase(expected.begin() + 4);
  for (const auto& sent : test::Datagrams(net_.Take())) {
    // Delivered already; b drains it in one batch below unless it is the fifth.
    (void)sent;
    ++datagram;
  }
  ASSERT_EQ(datagram, 10);
  io::InTrain trains[4];
  Bytes memory(4 * 2048);
  // The fifth is taken out of the queue.
  std::vector<test::Message> kept;
  for (int i = 0; i < 10; ++i) {
    trains[0].data = memory.data();
    trains[0].size = 2048;
    ASSERT_EQ(b_.udp->Receive(trains, 1), 1);
    if (i == 4) continue;
    kept.push_back({trains[0].from, b_.udp->address(),
                    Bytes(trains[0].data, trains[0].data + trains[0].size), trains[0].size, 1});
  }
  for (auto& message : kept) b_.udp->Enqueue(std::move(message));
  b_.DrainRx();
  const auto writes = b_.tap.Take();
  EXPECT_EQ(writes.size(), 2u);
  // IPv4 identifications behind the gap are as sent, sequence numbers too.
  EXPECT_TRUE(test::SameFrames(test::Delivered(writes), expected));
}

TEST_F(RxPathTest, TrainsAreWrittenWholeWhereverABatchEnds) {
  constexpr size_t kSegments = core::kMaxTrain;
  net_.coalesces = false;
  for (const size_t before : {0u, 1u, 30u, 62u, 63u}) {
    std::vector<Bytes> expected;
    const auto send = [&](size_t payload) {
      Packet packet;
      packet.payload = Bytes(payload);
      for (uint8_t& byte : packet.payload) byte = static_cast<uint8_t>(rng_());
      a_.SendPartial(Build(packet), 500);
      a_.DrainTx();
      for (Bytes& frame : test::NaiveSegments(Build(packet), 500)) expected.push_back(frame);
    };
    for (size_t i = 0; i < before; ++i) send(100);
    for (int train = 0; train < 4; ++train) send(kSegments * 500);
    b_.DrainRx();
    const auto writes = b_.tap.Take();
    EXPECT_EQ(writes.size(), before + 4) << before;
    EXPECT_TRUE(test::SameFrames(test::Delivered(writes), expected)) << before;
  }
}

// --- rekeying ---

class Rekey : public RxPathTest {
 protected:
  static constexpr uint32_t kForward = 1000;  // key numbers a -> b, by phase

  void SendFrames(int count) {
    for (int i = 0; i < count; ++i) {
      sent_.push_back(test::RandomFrame(rng_, 60 + rng_() % 500));
      a_.Send(sent_.back());
    }
    a_.DrainTx();
  }
  std::vector<Bytes> sent_;
};

TEST_F(Rekey, ThreeHundredPhasesWithFramesInFlight) {
  OVERLAYD_TRACE_SEED();
  ASSERT_EQ(a_.Apply({FdbSet{0, 0x020000000001, 1}}), "");
  std::set<std::tuple<uint32_t, uint64_t>> seen;  // (phase, counter)
  for (uint32_t phase = 1; phase <= 300; ++phase) {
    SendFrames(3);  // in flight while keys change
    ASSERT_EQ(b_.Apply({SessionRxKey{201, phase, test::KeyNumber(kForward + phase)}}), "");
    ASSERT_EQ(a_.Apply({SessionTxKey{101, phase, test::KeyNumber(kForward + phase)}}), "");
    SendFrames(3);
    for (const auto& datagram : test::Datagrams(net_.Take())) {
      // The octet on the wire is of this phase or the one before.
      const bool is_current = datagram.header.phase == static_cast<uint8_t>(phase);
      ASSERT_TRUE(is_current || datagram.header.phase == static_cast<uint8_t>(phase - 1));
      ASSERT_TRUE(seen.emplace(is_current ? phase : phase - 1, datagram.header.counter).second);
    }
    b_.DrainRx();
    ASSERT_EQ(b_.CountEvents(EventKind::kPhaseConfirmed), phase == 1 ? 2u : 1u) << phase;
    if (phase % 2 == 0) {
      ASSERT_EQ(b_.Apply({SessionRxRetire{201, phase - 1}}), "");
    }
  }
  EXPECT_TRUE(test::SameFrames(test::Delivered(b_.tap.Take()), sent_));
  EXPECT_EQ(a_.AllDropped() + b_.AllDropped(), 0u);
}

TEST_F(Rekey, RetiredPhaseIsNotRead) {
  ASSERT_EQ(b_.Apply({SessionRxKey{201, 1, test::KeyNumber(50)}, SessionRxRetire{201, 0}}), "");
  ArriveFrame(Frame());
  ExpectOnlyDrop(DropReason::kKeyPhase);
}

TEST_F(Rekey, InstallingAPhaseAgainForgetsNoReplays) {
  const Bytes datagram = Craft(relation_, 0, 5, Inner(InnerKind::kFrame, 0, Frame()));
  Arrive(datagram);
  b_.tap.Take();
  EXPECT_EQ(b_.Apply({SessionRxKey{201, 0, test::KeyNumber(relation_.tx_key)}}), "");
  Arrive(datagram);
  ExpectOnlyDrop(DropReason::kReplay);
  // Nor after it was retired, or when later phases exist.
  (void)b_.Apply({SessionRxKey{201, 1, test::KeyNumber(50)}});
  (void)b_.Apply({SessionRxRetire{201, 0}});
  (void)b_.Apply({SessionRxKey{201, 0, test::KeyNumber(relation_.tx_key)}});
  Arrive(datagram);
  EXPECT_TRUE(b_.tap.Take().empty());
}

// The control thread takes sessions away and rekeys while both workers run.
TEST_F(Rekey, SessionsComeAndGoWhileTrafficFlows) {
  net_.keeps_log = false;
  std::atomic<bool> is_over = false;
  std::thread tx([&] {
    std::mt19937_64 rng(1);
    while (!is_over) {
      Packet packet;
      packet.payload = Bytes(20000, 1);
      a_.SendPartial(Build(packet), 1300);
      a_.DrainTx();
    }
  });
  std::thread rx([&] {
    while (!is_over) {
      b_.rx->Drain(*b_.udp);
      b_.tap.Take();
    }
  });
  uint32_t phase = 0;
  Relation relation = relation_;
  for (int round = 0; round < 150; ++round) {
    if (round % 5 == 4) {
      ASSERT_EQ(a_.Apply({SessionRemove{relation.session}}), "");
      ASSERT_EQ(b_.Apply({SessionRemove{relation.remote}}), "");
      relation.session += 1000;
      relation.remote += 1000;
      relation.tx_key += 2;
      relation.rx_key += 2;
      phase = 0;
      test::Connect(a_, b_, relation);
    } else {
      ++phase;
      const auto key = test::KeyNumber(5000 + static_cast<uint32_t>(round));
      ASSERT_EQ(b_.Apply({SessionRxKey{relation.remote, phase, key}}), "");
      ASSERT_EQ(a_.Apply({SessionTxKey{relation.session, phase, key}}), "");
    }
    a_.plane.events.Drain();
    b_.plane.events.Drain();
  }
  is_over = true;
  tx.join();
  rx.join();
  EXPECT_EQ(b_.RxDropped(DropReason::kForged), 0u);
  EXPECT_EQ(b_.RxDropped(DropReason::kReplay), 0u);
}

}  // namespace
}  // namespace overlayd::engine
