// Random arrivals: what a kernel cuts out of the joined frames must be what arrived, one by one.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "native/core/joiner.h"
#include "native/test/packets.h"

namespace {

using overlayd::core::Arrival;
using overlayd::core::FrameInfo;
using overlayd::core::Joiner;
using overlayd::test::Bytes;
using overlayd::test::Packet;

/// The input as a stream of choices; zeros when it is used up.
struct Choices {
  const uint8_t* data;
  size_t size;
  uint8_t Next() {
    if (size == 0) return 0;
    --size;
    return *data++;
  }
};

Bytes Completed(Bytes frame) {
  FrameInfo info;
  if (!overlayd::core::ParseFrame(frame.data(), frame.size(), &info)) std::abort();
  const Bytes padding(frame.begin() + static_cast<ptrdiff_t>(info.ip_end), frame.end());
  frame.resize(info.ip_end);
  overlayd::test::NaiveComplete(frame);
  frame.insert(frame.end(), padding.begin(), padding.end());
  return frame;
}

void ForgetIpChecksum(Bytes& frame) {
  FrameInfo info;
  if (!overlayd::core::ParseFrame(frame.data(), frame.size(), &info)) std::abort();
  if (info.ip_version == 4) overlayd::test::Put16(frame, info.l3_offset + 10U, 0);
}

/// Identifications mean nothing with DF; joining renumbers them.
void ForgetIdentification(Bytes& frame) {
  FrameInfo info;
  if (!overlayd::core::ParseFrame(frame.data(), frame.size(), &info)) std::abort();
  if (info.ip_version == 4 && info.has_dont_fragment) {
    overlayd::test::Put16(frame, info.l3_offset + 4U, 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices{data, size};
  Joiner joiner({});
  std::vector<std::unique_ptr<uint8_t[]>> memory;
  std::vector<Bytes> expected;
  std::vector<Bytes> delivered;
  const auto finish = [&] {
    if (!joiner.is_open()) return;
    const Joiner::Joined joined = joiner.Finish();
    Bytes frame;
    for (size_t i = 0; i < joined.slice_count; ++i) {
      frame.insert(frame.end(), joined.slices[i].data,
                   joined.slices[i].data + joined.slices[i].size);
    }
    if (joined.offload.gso_size != 0) {
      for (Bytes& segment : overlayd::test::NaiveSegments(frame, joined.offload.gso_size)) {
        delivered.push_back(std::move(segment));
      }
    } else {
      const bool is_partial = (joined.offload.flags & overlayd::core::kOffloadNeedsChecksum) != 0;
      delivered.push_back(is_partial ? Completed(std::move(frame)) : std::move(frame));
    }
  };

  Packet packet;
  packet.ip_version = choices.Next() % 2 == 0 ? 4 : 6;
  packet.is_udp = choices.Next() % 2 != 0;
  packet.vlan_tags = choices.Next() % 3;
  packet.tcp_options = 4 * (choices.Next() % 4);
  packet.dont_fragment = choices.Next() % 2 != 0;
  packet.payload = Bytes(1 + choices.Next(), 0x5a);
  uint64_t counter = 0;
  while (choices.size != 0 && expected.size() < 200) {
    const uint8_t change = choices.Next();
    if (change % 4 == 1) packet.tcp_flags = choices.Next();
    if (change % 8 == 2) packet.payload.resize(choices.Next());
    Bytes frame = Build(packet);
    if (change % 8 == 3) frame[choices.Next() % frame.size()] ^= choices.Next();
    if (change % 16 == 4) frame.resize(frame.size() + choices.Next() % 20);
    if (change % 16 == 5) ++counter;
    Arrival arrival{};
    memory.emplace_back(new uint8_t[frame.size()]);
    std::copy(frame.begin(), frame.end(), memory.back().get());
    arrival.frame = memory.back().get();
    arrival.size = frame.size();
    arrival.counter = counter++;
    arrival.session = change % 32 == 6 ? 1 : 0;
    if (!overlayd::core::ParseFrame(arrival.frame, arrival.size, &arrival.info)) return 0;
    arrival.is_partial = overlayd::core::VerifyPartial(arrival.frame, arrival.info);
    expected.push_back(arrival.is_partial ? Completed(frame) : frame);
    if (!joiner.is_open() || !joiner.Append(arrival)) {
      finish();
      joiner.Start(arrival);
    }
    packet.sequence += static_cast<uint32_t>(packet.payload.size());
    ++packet.ip_id;
  }
  finish();
  if (delivered.size() != expected.size()) std::abort();
  for (size_t i = 0; i < expected.size(); ++i) {
    for (Bytes* frame : {&expected[i], &delivered[i]}) {
      ForgetIpChecksum(*frame);
      ForgetIdentification(*frame);
    }
    if (delivered[i] != expected[i]) std::abort();
  }
  return 0;
}
