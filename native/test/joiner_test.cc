#include "native/core/joiner.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "native/test/packets.h"

namespace overlayd::core {
namespace {

using test::Build;
using test::Bytes;
using test::Packet;

/// A frame as it was opened, in memory of its own.
struct Segment {
  explicit Segment(Bytes frame, uint64_t counter = 0) : bytes(std::move(frame)) {
    arrival.counter = counter;
    arrival.is_partial = true;
    Refresh();
  }
  void Refresh() {
    memory.reset(new uint8_t[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), memory.get());
    arrival.frame = memory.get();
    arrival.size = bytes.size();
    EXPECT_TRUE(ParseFrame(arrival.frame, arrival.size, &arrival.info));
  }

  Bytes bytes;
  std::unique_ptr<uint8_t[]> memory;
  Arrival arrival{};
};

struct Written {
  OffloadHeader offload;
  Bytes frame;
  size_t segments;
  bool has_completed_checksum;
};

Written Finish(Joiner& joiner) {
  Written out;
  out.segments = joiner.segments();
  const Joiner::Joined joined = joiner.Finish();
  out.offload = joined.offload;
  out.has_completed_checksum = joined.has_completed_checksum;
  for (size_t i = 0; i < joined.slice_count; ++i) {
    out.frame.insert(out.frame.end(), joined.slices[i].data,
                     joined.slices[i].data + joined.slices[i].size);
  }
  EXPECT_EQ(out.frame.size(), joined.size);
  EXPECT_FALSE(joiner.is_open());
  return out;
}

/// The rule of the rx path: append, else write and start anew.
std::vector<Written> Join(std::vector<Segment>& segments, Joiner::Options options = {}) {
  Joiner joiner(options);
  std::vector<Written> out;
  for (Segment& segment : segments) {
    if (joiner.is_open() && joiner.Append(segment.arrival)) continue;
    if (joiner.is_open()) out.push_back(Finish(joiner));
    joiner.Start(segment.arrival);
  }
  if (joiner.is_open()) out.push_back(Finish(joiner));
  return out;
}

std::vector<Segment> Train(const Packet& packet, size_t segment_payload) {
  std::vector<Segment> out;
  for (Bytes& frame : test::NaiveSegments(Build(packet), segment_payload)) {
    test::NaivePartial(frame);
    out.emplace_back(std::move(frame), 100 + out.size());
  }
  return out;
}

/// Completes the checksum of the IP packet; what lies behind it is Ethernet padding.
Bytes Completed(Bytes frame) {
  FrameInfo info;
  EXPECT_TRUE(ParseFrame(frame.data(), frame.size(), &info));
  const Bytes padding(frame.begin() + info.ip_end, frame.end());
  frame.resize(info.ip_end);
  test::NaiveComplete(frame);
  frame.insert(frame.end(), padding.begin(), padding.end());
  return frame;
}

/// What a kernel will see in the end, whether it was joined or not.
std::vector<Bytes> Delivered(const std::vector<Written>& writes) {
  std::vector<Bytes> out;
  for (const Written& write : writes) {
    if ((write.offload.gso_type & ~kGsoEcn) != kGsoNone) {
      for (Bytes& segment : test::NaiveSegments(write.frame, write.offload.gso_size)) {
        out.push_back(std::move(segment));
      }
      continue;
    }
    const bool is_partial = (write.offload.flags & kOffloadNeedsChecksum) != 0;
    out.push_back(is_partial ? Completed(write.frame) : write.frame);
  }
  return out;
}

TEST(Joiner, CutThenJoinedIsTheOriginal) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (int round = 0; round < 2000; ++round) {
    Packet packet = test::RandomPacket(rng, round % 10 == 0 ? 60000 : 5000);
    const size_t size = packet.payload.size();
    const size_t segment = std::max<size_t>(1 + rng() % size, (size + 63) / 64);
    const Bytes original = Build(packet);
    std::vector<Segment> train = Train(packet, segment);
    const size_t count = train.size();
    const std::vector<Written> writes = Join(train);
    ASSERT_EQ(writes.size(), 1u);
    const Written& write = writes[0];
    EXPECT_EQ(write.segments, count);
    if (count == 1 && packet.is_udp) {
      Bytes complete = original;
      test::NaiveComplete(complete);
      ASSERT_EQ(write.frame, complete);
      EXPECT_TRUE(write.has_completed_checksum);
      EXPECT_EQ(write.offload.flags, 0);
      continue;
    }
    ASSERT_EQ(write.frame, original);
    EXPECT_EQ(write.offload.flags, kOffloadNeedsChecksum);
    EXPECT_EQ(write.offload.checksum_start, packet.L4());
    EXPECT_EQ(write.offload.checksum_offset, packet.is_udp ? 6 : 16);
    if (count == 1) {
      EXPECT_EQ(write.offload.gso_type, kGsoNone);
      continue;
    }
    EXPECT_EQ(write.offload.gso_size, segment);
    EXPECT_EQ(write.offload.header_size, packet.Headers());
    const bool has_cwr = !packet.is_udp && (packet.tcp_flags & kTcpCwr) != 0;
    const uint8_t type = packet.is_udp ? kGsoUdp : packet.ip_version == 4 ? kGsoTcp4 : kGsoTcp6;
    EXPECT_EQ(write.offload.gso_type, type | (has_cwr ? kGsoEcn : 0));
  }
}

// Whatever arrives in whatever order: what the kernel cuts out of our writes is what arrived.
TEST(Joiner, DisturbedTrainsAreDeliveredAsTheyCame) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (int round = 0; round < 3000; ++round) {
    Packet packet = test::RandomPacket(rng, 3000);
    packet.dont_fragment = false;  // so that identifications must be right
    std::vector<Segment> train = Train(packet, packet.payload.size() / 20 + 1);
    for (int harm = static_cast<int>(rng() % 4); harm > 0 && train.size() > 1; --harm) {
      const size_t at = rng() % train.size();
      Segment& segment = train[at];
      switch (rng() % 6) {
        case 0:
          train.erase(train.begin() + static_cast<ptrdiff_t>(at));
          break;
        case 1:
          std::swap(train[at], train[rng() % train.size()]);
          break;
        case 2:  // any header byte, or the first of the payload
          segment.bytes[rng() % std::min(segment.bytes.size(), packet.Headers() + 1)] ^=
              static_cast<uint8_t>(1U << (rng() % 8));
          segment.Refresh();
          break;
        case 3:
          segment.bytes.push_back(0);
          segment.Refresh();
          break;
        case 4:
          segment.arrival.phase = 1;
          break;
        default:
          segment.arrival.counter = rng() % 300;
          break;
      }
    }
    std::vector<Bytes> expected;
    for (Segment& segment : train) {
      // As the rx path judges: what cannot be partial never comes here as partial.
      segment.arrival.is_partial = VerifyPartial(segment.arrival.frame, segment.arrival.info);
      expected.push_back(segment.arrival.is_partial ? Completed(segment.bytes) : segment.bytes);
    }
    const std::vector<Bytes> delivered = Delivered(Join(train));
    ASSERT_EQ(delivered.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      Bytes a = delivered[i];
      Bytes b = expected[i];
      if (packet.ip_version == 4) {  // a wrong IP checksum is put right by joining: both are fine
        test::Put16(a, packet.L3() + 10, 0);
        test::Put16(b, packet.L3() + 10, 0);
      }
      ASSERT_EQ(a, b) << "frame " << i;
    }
  }
}

// --- refusals: docs/protocol.md §3, one by one. Each starts from a pair that joins. ---

Packet Two() {
  Packet packet;
  packet.payload = Bytes(200, 5);
  return packet;
}

void ExpectRefused(const Packet& packet, const std::function<void(Segment&, Segment&)>& harm) {
  std::vector<Segment> pair = Train(packet, 100);
  ASSERT_EQ(pair.size(), 2u);
  std::vector<Segment> whole = Train(packet, 100);
  ASSERT_EQ(Join(whole).size(), 1u) << "the pair must join unharmed";
  harm(pair[0], pair[1]);
  pair[0].Refresh();
  pair[1].Refresh();
  EXPECT_EQ(Join(pair).size(), 2u);
}

/// Flips a bit of the second frame's byte at `offset`, and keeps its pseudo-header sum right.
void ExpectByteRefused(const Packet& packet, size_t offset, uint8_t bit = 1) {
  SCOPED_TRACE("byte " + std::to_string(offset));
  ExpectRefused(packet, [&](Segment&, Segment& second) {
    second.bytes[offset] ^= bit;
    const test::Layout at = test::Walk(second.bytes);
    if (at.l4 < second.bytes.size()) test::NaivePartial(second.bytes);
  });
}

TEST(JoinerRefuses, OtherSequence) { ExpectByteRefused(Two(), Two().L4() + 7); }
TEST(JoinerRefuses, OtherAcknowledgement) { ExpectByteRefused(Two(), Two().L4() + 11); }
TEST(JoinerRefuses, OtherReservedBits) { ExpectByteRefused(Two(), Two().L4() + 12); }
TEST(JoinerRefuses, OtherWindow) { ExpectByteRefused(Two(), Two().L4() + 15); }
TEST(JoinerRefuses, OtherUrgentPointer) { ExpectByteRefused(Two(), Two().L4() + 19); }
TEST(JoinerRefuses, OtherSourcePort) { ExpectByteRefused(Two(), Two().L4() + 1); }
TEST(JoinerRefuses, OtherDestinationPort) { ExpectByteRefused(Two(), Two().L4() + 3); }
TEST(JoinerRefuses, OtherTos) { ExpectByteRefused(Two(), Two().L3() + 1); }
TEST(JoinerRefuses, OtherTtl) { ExpectByteRefused(Two(), Two().L3() + 8); }
TEST(JoinerRefuses, OtherReservedIpFlag) { ExpectByteRefused(Two(), Two().L3() + 6, 0x80); }
TEST(JoinerRefuses, OtherDontFragment) { ExpectByteRefused(Two(), Two().L3() + 6, 0x40); }
TEST(JoinerRefuses, OtherSourceAddress) { ExpectByteRefused(Two(), Two().L3() + 15); }
TEST(JoinerRefuses, OtherDestinationAddress) { ExpectByteRefused(Two(), Two().L3() + 19); }
TEST(JoinerRefuses, OtherDestinationMac) { ExpectByteRefused(Two(), 5); }
TEST(JoinerRefuses, OtherSourceMac) { ExpectByteRefused(Two(), 11); }

TEST(JoinerRefuses, OtherTcpOptions) {
  Packet packet = Two();
  packet.tcp_options = 12;
  for (size_t at = packet.L4() + 20; at < packet.Headers(); ++at) ExpectByteRefused(packet, at);
}

TEST(JoinerRefuses, OtherIpOptions) {
  Packet packet = Two();
  packet.ip_options = 8;
  for (size_t at = packet.L3() + 20; at < packet.L4(); ++at) ExpectByteRefused(packet, at);
}

TEST(JoinerRefuses, OtherVlan) {
  Packet packet = Two();
  packet.vlan_tags = 2;
  for (const size_t at : {14, 15, 18, 19}) ExpectByteRefused(packet, at);
  ExpectRefused(packet, [](Segment&, Segment& second) {
    Packet untagged = Two();
    untagged.sequence += 100;
    untagged.payload.resize(100);
    second.bytes = Build(untagged);
  });
}

TEST(JoinerRefuses, OtherIpv6Header) {
  Packet packet = Two();
  packet.ip_version = 6;
  const size_t l3 = packet.L3();
  for (const size_t at : {l3 + 1, l3 + 3, l3 + 7, l3 + 8, l3 + 23, l3 + 24, l3 + 39}) {
    ExpectByteRefused(packet, at);
  }
}

TEST(JoinerRefuses, OtherOptionLength) {
  ExpectRefused(Two(), [](Segment&, Segment& second) {
    Packet packet = Two();
    packet.tcp_options = 4;
    packet.sequence += 100;
    packet.payload.resize(96);
    second.bytes = Build(packet);
  });
}

TEST(JoinerRefuses, OtherIpVersion) {
  ExpectRefused(Two(), [](Segment&, Segment& second) {
    Packet packet = Two();
    packet.ip_version = 6;
    packet.sequence += 100;
    packet.payload.resize(100);
    second.bytes = Build(packet);
  });
}

TEST(JoinerRefuses, OtherProtocol) {
  ExpectRefused(Two(), [](Segment&, Segment& second) {
    Packet packet = Two();
    packet.is_udp = true;
    packet.payload.resize(100);
    second.bytes = Build(packet);
  });
}

TEST(JoinerRefuses, PaddingOnEitherFrame) {
  ExpectRefused(Two(), [](Segment& first, Segment&) { first.bytes.push_back(0); });
  ExpectRefused(Two(), [](Segment&, Segment& second) { second.bytes.push_back(0); });
}

TEST(JoinerRefuses, CompleteChecksumOnEitherFrame) {
  ExpectRefused(Two(), [](Segment& first, Segment&) { first.arrival.is_partial = false; });
  ExpectRefused(Two(), [](Segment&, Segment& second) { second.arrival.is_partial = false; });
}

TEST(JoinerRefuses, CounterGap) {
  ExpectRefused(Two(), [](Segment&, Segment& second) { ++second.arrival.counter; });
  ExpectRefused(Two(), [](Segment&, Segment& second) { --second.arrival.counter; });
}

TEST(JoinerRefuses, OtherSessionPhaseOrNetwork) {
  ExpectRefused(Two(), [](Segment&, Segment& second) { ++second.arrival.session; });
  ExpectRefused(Two(), [](Segment&, Segment& second) { ++second.arrival.phase; });
  ExpectRefused(Two(), [](Segment&, Segment& second) { ++second.arrival.network; });
}

TEST(JoinerRefuses, SynRstUrgAnywhereAndNoAck) {
  const size_t flags = Two().L4() + 13;
  for (const uint8_t bad : {kTcpSyn, kTcpRst, kTcpUrg}) {
    ExpectRefused(Two(), [&](Segment& first, Segment&) { first.bytes[flags] |= bad; });
    ExpectRefused(Two(), [&](Segment&, Segment& second) { second.bytes[flags] |= bad; });
  }
  ExpectRefused(Two(), [&](Segment& first, Segment&) { first.bytes[flags] = 0; });
  ExpectRefused(Two(), [&](Segment&, Segment& second) { second.bytes[flags] = 0; });
}

TEST(JoinerRefuses, CwrLaterThanTheFirst) {
  const size_t flags = Two().L4() + 13;
  ExpectRefused(Two(), [&](Segment&, Segment& second) { second.bytes[flags] |= kTcpCwr; });
  ExpectRefused(Two(), [&](Segment& first, Segment& second) {
    first.bytes[flags] |= kTcpCwr;
    second.bytes[flags] |= kTcpCwr;
  });
}

TEST(JoinerRefuses, OtherEce) {
  const size_t flags = Two().L4() + 13;
  ExpectRefused(Two(), [&](Segment& first, Segment&) { first.bytes[flags] |= kTcpEce; });
  ExpectRefused(Two(), [&](Segment&, Segment& second) { second.bytes[flags] |= kTcpEce; });
}

TEST(JoinerRefuses, PshOrFinInTheMiddle) {
  for (const uint8_t bit : {kTcpPsh, kTcpFin}) {
    ExpectRefused(Two(), [&](Segment& first, Segment&) { first.bytes[Two().L4() + 13] |= bit; });
    Packet packet = Two();
    packet.payload = Bytes(300, 5);
    std::vector<Segment> train = Train(packet, 100);
    train[1].bytes[packet.L4() + 13] |= bit;
    train[1].Refresh();
    const std::vector<Written> writes = Join(train);
    ASSERT_EQ(writes.size(), 2u);
    EXPECT_EQ(writes[0].segments, 2u);
    EXPECT_EQ(writes[0].frame[packet.L4() + 13], kTcpAck | bit);
    EXPECT_EQ(writes[1].segments, 1u);
  }
}

TEST(JoinerRefuses, IdentificationGapUnlessDontFragment) {
  Packet packet = Two();
  packet.dont_fragment = false;
  const size_t id = packet.L3() + 5;
  ExpectByteRefused(packet, id, 1);
  // With DF the field means nothing (RFC 6864).
  packet.dont_fragment = true;
  std::vector<Segment> pair = Train(packet, 100);
  pair[1].bytes[id] ^= 0x55;
  pair[1].Refresh();
  EXPECT_EQ(Join(pair).size(), 1u);
}

TEST(JoinerRefuses, AnythingBehindAShorterSegment) {
  Packet packet = Two();
  packet.payload = Bytes(250, 5);
  std::vector<Segment> train = Train(packet, 100);
  ASSERT_EQ(train.size(), 3u);
  Packet next = packet;
  next.sequence += 250;
  next.ip_id = 4;
  next.payload = Bytes(50, 6);
  train.emplace_back(Build(next), 103);
  const std::vector<Written> writes = Join(train);
  ASSERT_EQ(writes.size(), 2u);
  EXPECT_EQ(writes[0].segments, 3u);
}

TEST(JoinerRefuses, LongerSegmentThanTheFirst) {
  ExpectRefused(Two(), [](Segment&, Segment& second) {
    Packet packet = Two();
    packet.sequence += 100;
    packet.payload = Bytes(101, 5);
    second.bytes = Build(packet);
  });
}

TEST(JoinerRefuses, EmptyPayload) {
  for (const bool is_udp : {false, true}) {
    Packet packet;
    packet.is_udp = is_udp;
    packet.dont_fragment = true;
    std::vector<Segment> train;
    train.emplace_back(Build(packet), 1);
    train.emplace_back(Build(packet), 2);
    EXPECT_EQ(Join(train).size(), 2u);
  }
}

TEST(JoinerRefuses, MoreThan64Segments) {
  for (const bool is_udp : {false, true}) {
    Packet packet = Two();
    packet.is_udp = is_udp;
    packet.payload = Bytes(650, 5);
    std::vector<Segment> train = Train(packet, 10);
    const std::vector<Written> writes = Join(train);
    ASSERT_EQ(writes.size(), 2u);
    EXPECT_EQ(writes[0].segments, 64u);
    EXPECT_EQ(writes[1].segments, 1u);
  }
}

TEST(JoinerRefuses, MoreThan65535BytesOfIp) {
  for (const int version : {4, 6}) {
    Packet packet = Two();
    packet.ip_version = version;
    std::vector<Segment> train;
    // 4 segments and headers make 65 535 exactly, then one byte more.
    const size_t headers = packet.Headers() - packet.L3();
    for (const size_t extra : {0, 1}) {
      train.clear();
      const size_t total = 65535 - headers + extra;
      const size_t segment = (total + 3) / 4;
      for (size_t done = 0; done < total; done += segment) {
        Packet part = packet;
        part.sequence += static_cast<uint32_t>(done);
        part.payload = Bytes(std::min(segment, total - done), 1);
        train.emplace_back(Build(part), train.size());
      }
      const std::vector<Written> writes = Join(train);
      EXPECT_EQ(writes.size(), extra == 0 ? 1u : 2u) << version;
      for (const Written& write : writes) EXPECT_LE(write.frame.size() - packet.L3(), 65535u);
    }
  }
}

TEST(JoinerRefuses, UdpOfOtherLengths) {
  Packet packet = Two();
  packet.is_udp = true;
  ExpectRefused(packet, [&](Segment&, Segment& second) {
    Packet longer = packet;
    longer.payload = Bytes(101, 5);
    second.bytes = Build(longer);
  });
  ExpectByteRefused(packet, packet.L4() + 1);
  ExpectByteRefused(packet, packet.L4() + 3);
}

TEST(JoinerRefuses, WhatTheOptionsForbid) {
  for (const bool is_udp : {false, true}) {
    Packet packet = Two();
    packet.is_udp = is_udp;
    std::vector<Segment> train = Train(packet, 100);
    EXPECT_EQ(Join(train, {.may_join_tcp = is_udp, .may_join_udp = !is_udp}).size(), 2u);
  }
}

// --- what VerifyPartial lets through ---

TEST(VerifyPartial, OnlyThePseudoHeaderSumOfAWholePacket) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (int round = 0; round < 500; ++round) {
    const Packet packet = test::RandomPacket(rng, 100);
    Segment segment(Build(packet));
    EXPECT_TRUE(VerifyPartial(segment.arrival.frame, segment.arrival.info));
    const size_t field = test::ChecksumField(test::Walk(segment.bytes));
    segment.bytes[field + rng() % 2] ^= static_cast<uint8_t>(1U << (rng() % 8));
    segment.Refresh();
    EXPECT_FALSE(VerifyPartial(segment.arrival.frame, segment.arrival.info));
  }
  Packet udp = Two();
  udp.is_udp = true;
  Segment segment(Build(udp));
  test::Put16(segment.bytes, udp.L4() + 4, 208 - 1);  // a UDP length that is not the packet's
  segment.Refresh();
  EXPECT_FALSE(VerifyPartial(segment.arrival.frame, segment.arrival.info));
  EXPECT_FALSE(VerifyPartial(segment.arrival.frame, FrameInfo{}));
}

}  // namespace
}  // namespace overlayd::core
