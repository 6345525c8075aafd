#include "native/core/echo.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "native/core/bytes.h"
#include "native/core/path_clock.h"

namespace overlayd::core {
namespace {

TEST(Echo, PingSurvivesTheWireWithAnyPadding) {
  const Ping ping{0xa1b2c3d4, 0x80000001, 0x1122334455667788};
  for (const size_t size : {kPingBytes, kPingBytes + 1, size_t{1'400}}) {
    std::vector<uint8_t> body(size, 0xff);
    EncodePing(ping, body);
    EXPECT_TRUE(AllZero(std::span(body).subspan(kPingBytes)));
    const auto decoded = DecodePing(body);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->path, ping.path);
    EXPECT_EQ(decoded->sequence, ping.sequence);
    EXPECT_EQ(decoded->sent_us, ping.sent_us);
  }
  for (size_t size = 0; size < kPingBytes; ++size) {
    EXPECT_FALSE(DecodePing(std::vector<uint8_t>(size)));
  }
}

TEST(Echo, PongOverRelaysSaysNoEndpoint) {
  std::array<uint8_t, kPongBytes> body;
  body.fill(0xee);
  EncodePong({{7, 8, 9}, SourceFromLabel(0x11223344), 1'452}, body);
  for (size_t i = kPingBytes; i < kPingBytes + kEndpointBytes; ++i) EXPECT_EQ(body[i], 0);
  const auto decoded = DecodePong(body);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->observed, SourceAddress{});
  EXPECT_EQ(decoded->received_bytes, 1'452);
}

TEST(Echo, PongCannotNameWhatIsNoEndpoint) {
  std::array<uint8_t, kPongBytes> body{};
  EncodePathAddress(SourceFromLabel(5), &body[kPingBytes]);
  EXPECT_FALSE(DecodePong(body).has_value());
  // The form a label has inside, sent as an IPv6 address.
  body[kPingBytes] = 6;
  std::memcpy(&body[kPingBytes + 1], SourceFromLabel(5).ip.data(), 16);
  const auto decoded = DecodePong(body);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->observed, SourceAddress{});
}

TEST(Echo, PongSurvivesTheWire) {
  const uint8_t ipv4[4] = {198, 51, 100, 9};
  const Pong pong{{7, 8, 9}, SourceFromIpv4(ipv4, 6783), 1'452};
  std::array<uint8_t, kPongBytes> body;
  EncodePong(pong, body);
  const auto decoded = DecodePong(body);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->ping.path, 7u);
  EXPECT_EQ(decoded->ping.sequence, 8u);
  EXPECT_EQ(decoded->ping.sent_us, 9u);
  EXPECT_EQ(decoded->observed, pong.observed);
  EXPECT_EQ(decoded->received_bytes, 1'452);
  for (size_t size = 0; size < kPongBytes; ++size) {
    EXPECT_FALSE(DecodePong(std::span<const uint8_t>(body).first(size)));
  }
  body[kPingBytes] = 5;
  EXPECT_FALSE(DecodePong(body)) << "no such family";
}

TEST(Echo, ReceiverReportSurvivesTheWireAndGrows) {
  const ReceiverReport report{1'000, 1'452, 0xffffffff, 2, 3, 4};
  std::array<uint8_t, kReceiverReportBytes + 4> body{};
  EncodeReceiverReport(report, std::span(body).first<kReceiverReportBytes>());
  EXPECT_EQ(DecodeReceiverReport(body), report) << "longer ones are of later versions";
  for (size_t size = 0; size < kReceiverReportBytes; ++size) {
    EXPECT_FALSE(DecodeReceiverReport(std::span<const uint8_t>(body).first(size)));
  }
}

TEST(ReceiveStatistics, LossIsTheGapsAndReorderingTakesItBack) {
  ReceiveStatistics statistics;
  statistics.OnDatagram(100, 60, true, false);
  statistics.OnDatagram(103, 1'400, false, true);
  ReceiverReport report = statistics.Take(1'000);
  EXPECT_EQ(report, (ReceiverReport{1'000, 1'400, 1, 1, 2, 1}));
  statistics.OnDatagram(101, 61, true, false);
  report = statistics.Take(1'000);
  EXPECT_EQ(report, (ReceiverReport{1'000, 61, 2, 1, 1, 1}));
  statistics.OnDatagram(99, 61, true, false);
  EXPECT_EQ(statistics.Take(1'000).lost, 1u) << "one before the first is no loss either";
  statistics.OnNewPhase();
  EXPECT_EQ(statistics.Take(1'000).lost, 1u);
  statistics.OnDatagram(0, 61, true, false);
  statistics.OnDatagram(2, 61, true, false);
  EXPECT_EQ(statistics.Take(1'000).lost, 2u);
}

/// Drives a clock in virtual time against a wire with a delay, and a switch that cuts it.
class PathClockTest : public testing::Test {
 protected:
  struct Flight {
    uint64_t arrives_us;
    uint32_t sequence;
  };

  /// Runs until `until_us`, always at the clock's own deadlines or the next answer.
  void RunTo(uint64_t until_us) {
    while (true) {
      const PathClock::TickResult tick = clock.Tick(now_us, carries);
      if (tick.became_dead) died_us.push_back(now_us);
      if (tick.send_ping) {
        pings_us.push_back(now_us);
        if (!is_cut) flights.push_back({now_us + rtt_us, clock.NextSequence()});
        clock.OnSent(now_us, clock.NextSequence());
      }
      ASSERT_GT(tick.next_deadline_us, now_us) << "the clock must not spin";
      uint64_t next_us = std::min(tick.next_deadline_us, until_us);
      if (!flights.empty()) next_us = std::min(next_us, flights.front().arrives_us);
      now_us = std::max(next_us, now_us);
      while (!flights.empty() && flights.front().arrives_us <= now_us) {
        const PathClock::PongResult pong = clock.OnPong(now_us, flights.front().sequence);
        EXPECT_TRUE(pong.is_known);
        if (pong.became_alive) alive_us.push_back(now_us);
        flights.erase(flights.begin());
      }
      if (now_us >= until_us && (flights.empty() || flights.front().arrives_us > now_us)) return;
    }
  }

  /// The wire is cut: what is on it is lost too.
  void Cut() {
    is_cut = true;
    flights.clear();
  }

  PathClock clock;
  uint64_t now_us = 1'000'000;
  uint64_t rtt_us = 10'000;
  bool carries = false;
  bool is_cut = false;
  std::vector<Flight> flights;
  std::vector<uint64_t> pings_us;
  std::vector<uint64_t> died_us;
  std::vector<uint64_t> alive_us;
};

constexpr uint64_t kSecond = 1'000'000;

TEST_F(PathClockTest, NewPathIsPingedAtOnceAndAliveWithTheFirstAnswer) {
  const uint64_t start_us = now_us;
  RunTo(start_us + kSecond);
  ASSERT_EQ(pings_us.size(), 1u);
  EXPECT_EQ(pings_us[0], start_us);
  EXPECT_EQ(alive_us, std::vector<uint64_t>{start_us + rtt_us});
  EXPECT_EQ(clock.SrttUs(), rtt_us);
  EXPECT_EQ(clock.RttvarUs(), rtt_us / 2);
}

TEST_F(PathClockTest, IdlePathIsPingedEveryFifteenSeconds) {
  RunTo(now_us + 61 * kSecond);
  EXPECT_EQ(pings_us.size(), 5u);
  for (size_t i = 1; i < pings_us.size(); ++i) {
    EXPECT_EQ(pings_us[i] - pings_us[i - 1], PathClock::kIdleIntervalUs);
  }
}

TEST_F(PathClockTest, BusyPathIsPingedFiveTimesASecond) {
  RunTo(now_us + kSecond);
  carries = true;
  const size_t before = pings_us.size();
  RunTo(now_us + 10 * kSecond);
  EXPECT_NEAR(static_cast<double>(pings_us.size() - before), 50, 2);
  EXPECT_TRUE(died_us.empty());
}

TEST_F(PathClockTest, CutOfABusyPathIsSeenWithinASecond) {
  carries = true;
  for (uint64_t offset_us = 0; offset_us < 200'000; offset_us += 10'000) {
    RunTo(now_us + 5 * kSecond + offset_us);
    const uint64_t cut_us = now_us;
    Cut();
    RunTo(now_us + 2 * kSecond);
    ASSERT_EQ(died_us.size(), 1u);
    EXPECT_LE(died_us[0] - cut_us, 700'000u);
    EXPECT_GE(died_us[0] - cut_us, 400'000u) << "three PINGs must have had their chance";
    is_cut = false;
    RunTo(now_us + 20 * kSecond);
    EXPECT_TRUE(clock.IsAlive());
    died_us.clear();
  }
}

TEST_F(PathClockTest, SlowPathGetsEightRoundTrips) {
  rtt_us = 400'000;
  carries = true;
  RunTo(now_us + 30 * kSecond);
  EXPECT_TRUE(died_us.empty());
  const uint64_t cut_us = now_us;
  Cut();
  RunTo(now_us + 10 * kSecond);
  ASSERT_EQ(died_us.size(), 1u);
  EXPECT_GE(died_us[0] - cut_us, 8 * rtt_us - 200'000);
  EXPECT_LE(died_us[0] - cut_us, 8 * rtt_us + 400'000);
}

TEST_F(PathClockTest, IdlePathThatDiesIsSeenAfterItsNextPing) {
  RunTo(now_us + 5 * kSecond);
  Cut();
  RunTo(now_us + 15 * kSecond);
  EXPECT_EQ(died_us.size(), 1u);
}

// --- suspend: the clock jumps between two turns ---

TEST_F(PathClockTest, AnHourAsleepIsNoRtt) {
  carries = true;
  RunTo(now_us + 5'000'000);
  const uint32_t srtt_us = clock.SrttUs();
  RunTo(pings_us.back() + 200'000 - 1);
  RunTo(now_us + 1);  // a PING is on its way, its answer waits in the socket
  ASSERT_EQ(flights.size(), 1u);
  now_us += 3'600'000'000;
  RunTo(now_us + 1);
  EXPECT_LE(clock.SrttUs(), srtt_us + 1000);
  EXPECT_TRUE(clock.IsAlive());
  EXPECT_TRUE(died_us.empty());
}

TEST_F(PathClockTest, AfterAnHourAsleepThePathIsAskedAtOnceAndDiesAsSoonAsEver) {
  for (const bool is_there : {true, false}) {
    carries = false;
    RunTo(now_us + 30'000'000);
    if (!is_there) Cut();
    now_us += 3'600'000'000;
    const uint64_t woke_us = now_us;
    const size_t asked = pings_us.size();
    RunTo(woke_us + 1'000'000);
    ASSERT_GT(pings_us.size(), asked);
    EXPECT_EQ(pings_us[asked], woke_us);
    EXPECT_LE(pings_us.size(), asked + 6) << "no burst";
    EXPECT_EQ(died_us.empty(), is_there);
  }
  EXPECT_EQ(died_us.size(), 1u);
}

TEST_F(PathClockTest, PathThatNeverAnsweredIsReportedDeadOnce) {
  Cut();
  const uint64_t start_us = now_us;
  RunTo(now_us + 100 * kSecond);
  ASSERT_EQ(died_us.size(), 1u);
  EXPECT_GE(died_us[0] - start_us, 8 * uint64_t{PathClock::kInitialSrttUs});
  EXPECT_LE(died_us[0] - start_us, 1'500'000u);
  EXPECT_EQ(clock.SrttUs(), 0u);
}

TEST_F(PathClockTest, DeadPathIsTriedForEverWithBackOffToTenSeconds) {
  Cut();
  RunTo(now_us + 300 * kSecond);
  for (size_t i = 1; i < pings_us.size(); ++i) {
    EXPECT_LE(pings_us[i] - pings_us[i - 1], PathClock::kBackoffLimitUs);
  }
  EXPECT_EQ(pings_us.back() - pings_us[pings_us.size() - 2], PathClock::kBackoffLimitUs);
  EXPECT_LE(pings_us.size(), 45u);
  is_cut = false;
  RunTo(now_us + 11 * kSecond);
  EXPECT_EQ(alive_us.size(), 1u);
}

TEST_F(PathClockTest, KickTriesADeadPathAtOnce) {
  clock.SetBackoffLimit(3'600 * kSecond);
  Cut();
  RunTo(now_us + 10'000 * kSecond);
  const size_t before = pings_us.size();
  EXPECT_LE(before, 20u);
  clock.Kick();
  RunTo(now_us + 1);
  EXPECT_EQ(pings_us.size(), before + 1);
  RunTo(now_us + kSecond);
  EXPECT_EQ(pings_us.size(), before + 3) << "back-off begins anew";
}

TEST_F(PathClockTest, LossCountsOnlyPingsWhoseFateIsKnown) {
  carries = true;
  RunTo(now_us + 20 * kSecond);
  EXPECT_EQ(clock.LossPermille(now_us), 0u);
  const uint64_t cut_us = now_us;
  Cut();
  RunTo(cut_us + 100'000);
  EXPECT_EQ(clock.LossPermille(now_us), 0u) << "the newest may still be answered";
  is_cut = false;
  RunTo(cut_us + 2 * kSecond);
  EXPECT_GE(clock.LossPermille(now_us), 1'000u / 32);
  EXPECT_LE(clock.LossPermille(now_us), 2 * 1'000u / 32);
  RunTo(now_us + 10 * kSecond);
  EXPECT_EQ(clock.LossPermille(now_us), 0u) << "out of the window";
}

TEST_F(PathClockTest, AnswersAreTakenOnceAndOnlyForWhatWasSent) {
  clock.OnSent(now_us, clock.NextSequence());
  EXPECT_FALSE(clock.OnPong(now_us, 1).is_known);
  EXPECT_FALSE(clock.OnPong(now_us, 32).is_known) << "same place of the ring, never sent";
  EXPECT_FALSE(clock.OnPong(now_us, kProbeSequenceBit).is_known);
  EXPECT_FALSE(clock.IsAlive());
  EXPECT_TRUE(clock.OnPong(now_us + 5, 0).is_known);
  EXPECT_FALSE(clock.OnPong(now_us + 9'000, 0).is_known);
  EXPECT_EQ(clock.SrttUs(), 5u);
}

TEST_F(PathClockTest, SmallestOfTheFirstAnswersBeginsTheEstimate) {
  // The first PINGs wait for a neighbour to be resolved; nothing of that is the path's.
  const auto answer = [this](uint64_t late_us) {
    const uint32_t sequence = clock.NextSequence();
    clock.OnSent(now_us, sequence);
    now_us += late_us;
    EXPECT_TRUE(clock.OnPong(now_us, sequence).is_known);
  };
  answer(1'000'000);
  answer(800'000);
  answer(2'000);
  EXPECT_EQ(clock.SrttUs(), 2'000u);
  answer(2'000);
  answer(1'000);
  EXPECT_EQ(clock.SrttUs(), 1'875u) << "from here on by RFC 6298";
}

TEST_F(PathClockTest, SequenceNeverReachesTheProbeBit) {
  clock.OnSent(now_us, kProbeSequenceBit - 1);
  EXPECT_EQ(clock.NextSequence(), 0u);
}

TEST_F(PathClockTest, ProbeAnswerMakesAlive) {
  EXPECT_TRUE(clock.OnProbeAnswered(now_us));
  EXPECT_FALSE(clock.OnProbeAnswered(now_us));
  EXPECT_TRUE(clock.IsAlive());
  EXPECT_EQ(clock.SrttUs(), 0u);
}

TEST_F(PathClockTest, SrttFollowsRfc6298) {
  clock.OnSent(0, 0);
  clock.OnPong(80'000, 0);
  EXPECT_EQ(clock.SrttUs(), 80'000u);
  EXPECT_EQ(clock.RttvarUs(), 40'000u);
  clock.OnSent(200'000, 1);
  clock.OnPong(200'000 + 160'000, 1);
  EXPECT_EQ(clock.RttvarUs(), 50'000u);  // 3/4 * 40 + 1/4 * |80 - 160|
  EXPECT_EQ(clock.SrttUs(), 90'000u);    // 7/8 * 80 + 1/8 * 160
}

}  // namespace
}  // namespace overlayd::core
