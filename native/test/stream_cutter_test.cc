#include "native/core/stream_cutter.h"

#include <gtest/gtest.h>

#include <random>

#include "native/test/packets.h"

namespace overlayd::core {
namespace {

using test::Bytes;
using Cut = StreamCutter::Cut;

void Feed(StreamCutter& cutter, std::span<const uint8_t> bytes) {
  const std::span<uint8_t> room = cutter.Room();
  ASSERT_GE(room.size(), bytes.size());
  std::copy(bytes.begin(), bytes.end(), room.begin());
  cutter.Filled(bytes.size());
}

TEST(StreamCutter, DatagramsComeOutAsTheyWentInHoweverTheStreamIsCut) {
  OVERLAYD_TRACE_SEED();
  std::mt19937_64 rng(test::TestSeed());
  for (int round = 0; round < 50; ++round) {
    std::vector<Bytes> sent;
    Bytes stream;
    for (int i = 0; i < 40; ++i) {
      sent.push_back(test::RandomBytes(rng, 1 + rng() % (i % 10 == 0 ? 65507 : 1500)));
      stream.push_back(static_cast<uint8_t>(sent.back().size()));
      stream.push_back(static_cast<uint8_t>(sent.back().size() >> 8));
      stream.insert(stream.end(), sent.back().begin(), sent.back().end());
    }
    StreamCutter cutter;
    std::vector<Bytes> got;
    const size_t most = round % 3 == 0 ? 7 : 70'000;
    for (size_t at = 0; at < stream.size();) {
      const size_t size = std::min({cutter.Room().size(), stream.size() - at, 1 + rng() % most});
      Feed(cutter, std::span(stream).subspan(at, size));
      at += size;
      std::span<uint8_t> datagram;
      while (cutter.Next(StreamCutter::kLongest, &datagram) == Cut::kDatagram) {
        got.emplace_back(datagram.begin(), datagram.end());
      }
    }
    ASSERT_EQ(got, sent);
  }
}

TEST(StreamCutter, RefusesNothingAndTooMuchAtTheLength) {
  for (const size_t length : {size_t{0}, size_t{513}, size_t{65535}}) {
    StreamCutter cutter;
    const uint8_t prefix[] = {static_cast<uint8_t>(length), static_cast<uint8_t>(length >> 8)};
    Feed(cutter, prefix);
    std::span<uint8_t> datagram;
    EXPECT_EQ(cutter.Next(512, &datagram), Cut::kMalformed) << length;
  }
  StreamCutter cutter;
  const uint8_t longest[] = {0xe3, 0xff};
  Feed(cutter, longest);
  std::span<uint8_t> datagram;
  EXPECT_EQ(cutter.Next(StreamCutter::kLongest, &datagram), Cut::kIncomplete);
  EXPECT_GE(cutter.Room().size(), StreamCutter::kLongest) << "all of it fits";
}

}  // namespace
}  // namespace overlayd::core
