#include "native/core/gate.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "native/core/bytes.h"

namespace overlayd::core {
namespace {

using Kind = GateDecision::Kind;
using Bytes = std::vector<uint8_t>;

constexpr uint64_t kStartMs = 1'000'000;

SourceAddress Source(uint32_t number, uint16_t port = 6783) {
  uint8_t ipv4[4];
  StoreBe32(ipv4, 0x0a000000 + number);
  return SourceFromIpv4(ipv4, port);
}

class GateTest : public testing::Test {
 protected:
  GateTest() {
    mesh_id_.fill(0x4d);
    gate_ = std::make_unique<Gate>(mesh_id_, [this](std::span<uint8_t> out) {
      for (uint8_t& byte : out) byte = static_cast<uint8_t>(rng_());
    });
  }

  /// A fresh INIT of this mesh, without cookie.
  Bytes Init() {
    Bytes init(kHandshakeBytes, 0);
    init[0] = kTypeInit;
    init[1] = kProtocolVersion;
    for (size_t i = kOffsetSenderIndex; i < kInitZeros; ++i) init[i] = static_cast<uint8_t>(rng_());
    std::copy(mesh_id_.begin(), mesh_id_.end(), init.begin() + kInitMeshId);
    return init;
  }

  Bytes Plain(uint8_t type) {
    const bool is_short = type == kTypeRetry || type == kTypeReject;
    Bytes datagram(is_short ? kShortHandshakeBytes : kHandshakeBytes, 0);
    datagram[0] = type;
    datagram[1] = kProtocolVersion;
    datagram[kShortReceiverIndex] = 9;
    return datagram;
  }

  GateDecision Inspect(const Bytes& datagram, const SourceAddress& from) {
    return gate_->Inspect(datagram, from, now_ms_);
  }

  /// The same INIT with the cookie of a RETRY.
  static Bytes WithCookie(Bytes init, const GateDecision& retry) {
    std::copy_n(retry.reply.begin() + kRetryCookie, kCookieBytes, init.begin() + kInitCookie);
    return init;
  }

  /// Lets a forger use up what it can of the node bucket, so that cookies are asked for.
  void DrainToHalf() {
    for (uint32_t forged = 0; forged < 100; ++forged) {
      static_cast<void>(Inspect(Init(), Source(1'000'000 + forged)));
    }
  }

  /// A cookie for this source and INIT; the node bucket must be at half or the source not full.
  Bytes Proven(const Bytes& init, const SourceAddress& from) {
    const GateDecision retry = Inspect(init, from);
    EXPECT_EQ(retry.kind, Kind::kReply);
    EXPECT_EQ(retry.reply[0], kTypeRetry);
    return WithCookie(init, retry);
  }

  std::mt19937_64 rng_{42};
  std::array<uint8_t, kMeshIdBytes> mesh_id_;
  std::unique_ptr<Gate> gate_;
  uint64_t now_ms_ = kStartMs;
};

TEST_F(GateTest, FirstInitOfAQuietSourceNeedsNoCookie) {
  const GateDecision decision = Inspect(Init(), Source(1));
  EXPECT_EQ(decision.kind, Kind::kPassUp);
  EXPECT_FALSE(decision.has_cookie);
  EXPECT_FALSE(decision.resumed);
}

TEST_F(GateTest, NextInitOfTheSameSourceIsAnsweredByRetry) {
  ASSERT_EQ(Inspect(Init(), Source(1)).kind, Kind::kPassUp);
  const Bytes second = Init();
  const GateDecision retry = Inspect(second, Source(1, 7000));
  ASSERT_EQ(retry.kind, Kind::kReply);
  ASSERT_EQ(retry.reply_size, kShortHandshakeBytes);
  EXPECT_EQ(retry.reply[0], kTypeRetry);
  EXPECT_EQ(retry.reply[1], kProtocolVersion);
  EXPECT_EQ(LoadLe32(&retry.reply[kShortReceiverIndex]), LoadLe32(&second[kOffsetSenderIndex]));
  EXPECT_TRUE(AllZero(std::span(retry.reply).subspan(2, 2)));
  EXPECT_TRUE(AllZero(std::span(retry.reply).subspan(kRetryZeros)));
  EXPECT_FALSE(AllZero(std::span(retry.reply).subspan(kRetryCookie, kCookieBytes)));

  const GateDecision decision = Inspect(WithCookie(second, retry), Source(1, 7000));
  EXPECT_EQ(decision.kind, Kind::kPassUp);
  EXPECT_TRUE(decision.has_cookie);
}

TEST_F(GateTest, OwnRetryPassesTheGateOfTheOtherSide) {
  ASSERT_EQ(Inspect(Init(), Source(1)).kind, Kind::kPassUp);
  const GateDecision retry = Inspect(Init(), Source(1));
  EXPECT_EQ(Inspect(Bytes(retry.reply.begin(), retry.reply.end()), Source(2)).kind, Kind::kPassUp);
}

TEST_F(GateTest, CookieIsGoodOnlyForItsAddressPortAndIndex) {
  DrainToHalf();
  const Bytes init = Init();
  const Bytes proven = Proven(init, Source(1));
  EXPECT_EQ(Inspect(proven, Source(2)).kind, Kind::kReply);
  EXPECT_EQ(Inspect(proven, Source(1, 1)).kind, Kind::kReply);
  Bytes other_index = proven;
  other_index[kOffsetSenderIndex] ^= 1;
  EXPECT_EQ(Inspect(other_index, Source(1)).kind, Kind::kReply);
  Bytes flipped = proven;
  flipped[kInitCookie + 15] ^= 1;
  EXPECT_EQ(Inspect(flipped, Source(1)).kind, Kind::kReply);
  EXPECT_TRUE(Inspect(proven, Source(1)).has_cookie);
}

TEST_F(GateTest, CookieOutlivesOneRotationNotTwo) {
  for (const auto& [age_ms, is_good] :
       {std::pair{CookieJar::kRotateMs, true}, std::pair{2 * CookieJar::kRotateMs, false}}) {
    DrainToHalf();
    const Bytes proven = Proven(Init(), Source(1));
    now_ms_ += age_ms;
    DrainToHalf();
    EXPECT_EQ(Inspect(proven, Source(1)).kind == Kind::kPassUp, is_good);
    now_ms_ += 3'600'000;
  }
}

TEST_F(GateTest, CookieIsRefusedAfterALongQuietTime) {
  DrainToHalf();
  const Bytes proven = Proven(Init(), Source(1));
  now_ms_ += 10 * CookieJar::kRotateMs;
  DrainToHalf();
  EXPECT_EQ(Inspect(proven, Source(1)).kind, Kind::kReply);
}

TEST_F(GateTest, SourceHasFiveGuessesThenOneEveryFiveSeconds) {
  ASSERT_EQ(Inspect(Init(), Source(1)).kind, Kind::kPassUp);
  for (int guess = 2; guess <= 5; ++guess) {
    EXPECT_EQ(Inspect(Proven(Init(), Source(1)), Source(1)).kind, Kind::kPassUp) << guess;
  }
  Bytes sixth = Proven(Init(), Source(1));
  const GateDecision dropped = Inspect(sixth, Source(1));
  EXPECT_EQ(dropped.kind, Kind::kDrop);
  EXPECT_EQ(dropped.reason, DropReason::kGateToken);
  now_ms_ += 5'000;
  EXPECT_EQ(Inspect(sixth, Source(1)).kind, Kind::kPassUp);
  EXPECT_EQ(Inspect(Proven(Init(), Source(1)), Source(1)).reason, DropReason::kGateToken);
}

TEST_F(GateTest, Ipv6SourceIsItsSlash56) {
  uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, 1, 2, 3, 4};
  ASSERT_EQ(Inspect(Init(), SourceFromIpv6(ip, 1)).kind, Kind::kPassUp);
  ip[7] = 5;
  ip[15] = 9;
  EXPECT_EQ(Inspect(Init(), SourceFromIpv6(ip, 2)).kind, Kind::kReply) << "same /56";
  ip[6] = 4;
  EXPECT_EQ(Inspect(Init(), SourceFromIpv6(ip, 3)).kind, Kind::kPassUp) << "another /56";
}

TEST_F(GateTest, ReturnedTokenMakesTheSourceQuietAgain) {
  ASSERT_EQ(Inspect(Init(), Source(1)).kind, Kind::kPassUp);
  gate_->ReturnToken(Source(1));
  EXPECT_EQ(Inspect(Init(), Source(1)).kind, Kind::kPassUp);
}

TEST_F(GateTest, ForgedAddressesTakeAtMostTheUpperHalfOfTheNodeBucket) {
  uint32_t passed = 0;
  for (uint32_t forged = 0; forged < 10'020; ++forged) {
    if (forged % 20 == 0) ++now_ms_;
    passed += Inspect(Init(), Source(100 + forged)).kind == Kind::kPassUp;
  }
  // 64 down to 31, since exactly half is enough for one; and 8 a second come back.
  EXPECT_EQ(passed, 33u + 501 * 8 / 1'000);
  const SourceAddress honest = Source(1);
  for (int guess = 1; guess <= 5; ++guess) {
    EXPECT_EQ(Inspect(Proven(Init(), honest), honest).kind, Kind::kPassUp) << guess;
  }
}

TEST_F(GateTest, ForgerOfOneAddressTakesOnlyItsTopToken) {
  for (int forged = 0; forged < 1'000; ++forged) static_cast<void>(Inspect(Init(), Source(1)));
  for (int guess = 1; guess <= 4; ++guess) {
    EXPECT_EQ(Inspect(Proven(Init(), Source(1)), Source(1)).kind, Kind::kPassUp) << guess;
  }
}

TEST_F(GateTest, RepetitionsOfOneInitTakeOneToken) {
  const Bytes init = Init();
  ASSERT_EQ(Inspect(init, Source(1)).kind, Kind::kPassUp);
  for (const uint64_t after_ms : {250, 500, 1'000, 2'000}) {
    now_ms_ += after_ms;
    EXPECT_EQ(Inspect(init, Source(1)).kind, Kind::kPassUp);
  }
  EXPECT_EQ(Inspect(init, Source(1, 9)).kind, Kind::kReply) << "another port is another sender";
  for (int guess = 2; guess <= 5; ++guess) {
    EXPECT_EQ(Inspect(Proven(Init(), Source(1)), Source(1)).kind, Kind::kPassUp) << guess;
  }
}

TEST_F(GateTest, RepetitionsEndByNumberAndByTime) {
  const Bytes init = Init();
  ASSERT_EQ(Inspect(init, Source(1)).kind, Kind::kPassUp);
  for (int repeat = 0; repeat < GateLimits::kRepeats; ++repeat) {
    EXPECT_EQ(Inspect(init, Source(1)).kind, Kind::kPassUp);
  }
  EXPECT_EQ(Inspect(init, Source(1)).kind, Kind::kReply);
  const Bytes late = Init();
  ASSERT_EQ(Inspect(late, Source(2)).kind, Kind::kPassUp);
  // A second guess keeps the source below full beyond the end.
  ASSERT_EQ(Inspect(Proven(Init(), Source(2)), Source(2)).kind, Kind::kPassUp);
  now_ms_ += GateLimits::kRepeatMs + 1;
  EXPECT_EQ(Inspect(late, Source(2)).kind, Kind::kReply);
}

TEST_F(GateTest, AllSourcesTogetherHandUpAtMostTheirRate) {
  // Proven senders with returned tokens: only the rates limit.
  uint32_t passed = 0;
  for (int ms = 0; ms < 2'000; ++ms, ++now_ms_) {
    const SourceAddress from = Source(static_cast<uint32_t>(ms % 100));
    if (Inspect(Init(), from).kind == Kind::kPassUp) {
      ++passed;
      gate_->ReturnToken(from);
    }
  }
  EXPECT_LE(passed, 200u + 2 * 200u);
  EXPECT_GE(passed, 2 * 200u);
}

TEST_F(GateTest, OneSourceHandsUpAtMostTwentyASecond) {
  uint32_t passed = 0;
  for (int i = 0; i < 100; ++i) {
    const GateDecision decision = Inspect(Init(), Source(1));
    if (decision.kind == Kind::kPassUp) gate_->ReturnToken(Source(1));
    passed += decision.kind == Kind::kPassUp;
    if (decision.kind != Kind::kPassUp) {
      EXPECT_EQ(decision.reason, DropReason::kGateRate);
    }
  }
  EXPECT_EQ(passed, 21u);  // the first one makes the source's place, then its 20
}

TEST_F(GateTest, OtherMeshIsRejectedAndReportedAtALimitedRate) {
  Bytes init = Init();
  init[kInitMeshId] ^= 1;
  const GateDecision reject = Inspect(init, Source(1));
  ASSERT_EQ(reject.kind, Kind::kReply);
  EXPECT_TRUE(reject.other_mesh);
  EXPECT_EQ(reject.reply[0], kTypeReject);
  EXPECT_EQ(LoadLe32(&reject.reply[kShortReceiverIndex]), LoadLe32(&init[kOffsetSenderIndex]));
  EXPECT_TRUE(std::equal(init.begin() + kInitSid, init.begin() + kInitSid + kSidBytes,
                         reject.reply.begin() + kRejectSid));
  EXPECT_EQ(reject.reply[kRejectReason], kRejectOtherMesh);
  int replies = 1;
  for (int i = 0; i < 100; ++i) {
    const GateDecision decision = Inspect(init, Source(1));
    replies += decision.kind == Kind::kReply;
    EXPECT_EQ(decision.reason, DropReason::kUdpMesh);
  }
  EXPECT_EQ(replies, 10);
  EXPECT_EQ(Inspect(Init(), Source(1)).kind, Kind::kPassUp) << "it cost the source nothing";
}

TEST_F(GateTest, LaterVersionsPassAsFarAsOurFieldsGo) {
  Bytes init = Init();
  init[kOffsetVersion] = 2;
  init[kInitZeros] = 7;
  EXPECT_EQ(Inspect(init, Source(1)).kind, Kind::kPassUp);
  init[kOffsetVersion] = 0;
  EXPECT_EQ(Inspect(init, Source(1)).reason, DropReason::kUdpVersion);
}

class GateResumeTest : public GateTest {
 protected:
  GateResumeTest() {
    hint_.fill(0x11);
    pair_key_.fill(0x22);
    EXPECT_TRUE(gate_->SetResume(hint_, pair_key_));
  }
  Bytes Resumed() {
    Bytes init = Init();
    std::copy(hint_.begin(), hint_.end(), init.begin() + kInitResume);
    crypto_generichash(&init[kInitResumeMac], kResumeMacBytes, init.data(), kInitResume,
                       pair_key_.data(), pair_key_.size());
    return init;
  }
  std::array<uint8_t, kHintBytes> hint_;
  std::array<uint8_t, kPairKeyBytes> pair_key_;
};

TEST_F(GateResumeTest, MembersPassWhenStrangersUsedUpEverything) {
  DrainToHalf();
  for (uint32_t stranger = 0; stranger < 60; ++stranger) {
    static_cast<void>(Inspect(Proven(Init(), Source(stranger)), Source(stranger)));
  }
  EXPECT_EQ(Inspect(Proven(Init(), Source(99)), Source(99)).reason, DropReason::kGateToken);
  const GateDecision decision = Inspect(Resumed(), Source(99));
  EXPECT_EQ(decision.kind, Kind::kPassUp);
  EXPECT_TRUE(decision.resumed);
}

TEST_F(GateResumeTest, TakesNoToken) {
  ASSERT_TRUE(Inspect(Resumed(), Source(1)).resumed);
  const GateDecision next = Inspect(Init(), Source(1));
  EXPECT_EQ(next.kind, Kind::kPassUp);
  EXPECT_FALSE(next.resumed);
}

TEST_F(GateResumeTest, EveryFlippedBitBeforeTheCookieEndsIt) {
  DrainToHalf();
  const Bytes init = Resumed();
  for (size_t i = 0; i < kInitCookie; ++i) {
    Bytes flipped = init;
    flipped[i] ^= 0x40;
    EXPECT_FALSE(Inspect(flipped, Source(1)).resumed) << i;
  }
  Bytes with_cookie = init;
  with_cookie[kInitCookie] ^= 1;
  EXPECT_TRUE(Inspect(with_cookie, Source(1)).resumed) << "the cookie is added after the MAC";
}

TEST_F(GateResumeTest, HintOverItsRateIsTreatedLikeAStranger) {
  int resumed = 0;
  for (int i = 0; i < 30; ++i) resumed += Inspect(Resumed(), Source(1)).resumed;
  EXPECT_EQ(resumed, static_cast<int>(ResumeTable::kHintRate.burst));
  now_ms_ += 1'000;
  EXPECT_TRUE(Inspect(Resumed(), Source(1)).resumed);
  EXPECT_TRUE(Inspect(Resumed(), Source(1)).resumed);
  EXPECT_FALSE(Inspect(Resumed(), Source(1)).resumed);
}

TEST_F(GateResumeTest, RemovedHintIsUnknown) {
  gate_->RemoveResume(hint_);
  EXPECT_FALSE(Inspect(Resumed(), Source(1)).resumed);
}

TEST_F(GateTest, OtherKindsHaveRatesOfTheirOwn) {
  const struct {
    uint8_t type;
    uint32_t burst;
  } kinds[] = {{kTypeResp, 500}, {kTypeFin, 500}, {kTypeRetry, 100}, {kTypeReject, 20}};
  for (const auto& kind : kinds) {
    uint32_t passed = 0;
    for (uint32_t i = 0; i < 1'000; ++i) {
      passed += Inspect(Plain(kind.type), Source(i)).kind == Kind::kPassUp;
    }
    EXPECT_EQ(passed, kind.burst) << int{kind.type};
  }
  EXPECT_EQ(Inspect(Init(), Source(1)).kind, Kind::kPassUp);
}

TEST_F(GateTest, FloodOfForgedAnswersLeavesExpectedOnesThrough) {
  const Bytes init = Init();
  gate_->NoteSent(init, now_ms_);
  for (const uint8_t type : {kTypeResp, kTypeFin, kTypeRetry, kTypeReject}) {
    for (uint32_t i = 0; i < 1'000; ++i) static_cast<void>(Inspect(Plain(type), Source(i)));
    EXPECT_EQ(Inspect(Plain(type), Source(1)).reason, DropReason::kGateRate);
    Bytes answer = Plain(type);
    const bool is_short = answer.size() == kShortHandshakeBytes;
    std::copy_n(init.begin() + kOffsetSenderIndex, 4,
                answer.begin() + (is_short ? kShortReceiverIndex : kReceiverIndex));
    EXPECT_EQ(Inspect(answer, Source(1)).kind, Kind::kPassUp) << int{type};
  }
}

TEST_F(GateTest, ExpectedAnswersEndByTimeAndNumber) {
  for (uint32_t i = 0; i < 1'000; ++i) static_cast<void>(Inspect(Plain(kTypeResp), Source(i)));
  Bytes resp = Plain(kTypeResp);
  StoreLe32(&resp[kReceiverIndex], 77);
  Bytes init = Init();
  StoreLe32(&init[kOffsetSenderIndex], 77);
  gate_->NoteSent(init, now_ms_);
  for (int answer = 0; answer < ExpectedReplies::kAnswers; ++answer) {
    gate_->NoteSent(init, now_ms_);
    EXPECT_EQ(Inspect(resp, Source(1)).kind, Kind::kPassUp);
  }
  EXPECT_EQ(Inspect(resp, Source(1)).kind, Kind::kDrop);

  ExpectedReplies expected({1, 2});
  expected.Note(5, now_ms_);
  EXPECT_TRUE(expected.Take(5, now_ms_ + ExpectedReplies::kLifetimeMs));
  EXPECT_FALSE(expected.Take(5, now_ms_ + ExpectedReplies::kLifetimeMs + 1));
  EXPECT_FALSE(expected.Take(6, now_ms_));
  expected.Note(0, now_ms_);
  EXPECT_FALSE(expected.Take(0, now_ms_));
}

TEST(ExpectedReplies, RemembersAsManyHandshakesAsCanBeOpen) {
  ExpectedReplies expected({3, 4});
  std::mt19937 rng(6);
  std::vector<uint32_t> indexes(1'024 + 256);
  for (uint32_t& index : indexes) index = rng() | 1;
  for (const uint32_t index : indexes) expected.Note(index, kStartMs);
  size_t kept = 0;
  for (const uint32_t index : indexes) kept += expected.Take(index, kStartMs);
  EXPECT_GE(kept, indexes.size() * 98 / 100) << "1280 in 1024 sets of 4: few sets overflow";
}

TEST_F(GateTest, ThreadsShareOneGate) {
  // The rates must hold over both: every INIT is of another source, so only the buckets of all
  // limit.
  std::atomic<uint32_t> passed{0};
  std::array<uint8_t, kHintBytes> hint{};
  std::array<uint8_t, kPairKeyBytes> pair_key{};
  std::vector<Bytes> inits;
  for (int i = 0; i < 64; ++i) inits.push_back(Init());
  const auto work = [&](uint32_t first) {
    for (uint32_t i = 0; i < 2'000; ++i) {
      const GateDecision decision =
          gate_->Inspect(inits[i % inits.size()], Source(first + i), kStartMs);
      passed.fetch_add(decision.kind == Kind::kPassUp);
    }
  };
  std::thread other(work, 1);
  std::thread control([&] {
    for (uint8_t i = 1; i < 200; ++i) {
      hint.fill(i);
      EXPECT_TRUE(gate_->SetResume(hint, pair_key));
      if (i % 2 == 0) gate_->RemoveResume(hint);
      gate_->NoteSent(inits[i % inits.size()], kStartMs);
    }
  });
  work(100'000);
  other.join();
  control.join();
  EXPECT_EQ(passed.load(), 33u);
}

TEST_F(GateTest, EveryOtherSizeIsDropped) {
  for (const uint8_t type : {kTypeInit, kTypeResp, kTypeFin, kTypeRetry, kTypeReject}) {
    const Bytes whole = type == kTypeInit ? Init() : Plain(type);
    for (size_t size = 0; size < 600; ++size) {
      if (size == whole.size()) continue;
      Bytes cut = whole;
      cut.resize(size);
      const GateDecision decision = Inspect(cut, Source(1));
      EXPECT_EQ(decision.kind, Kind::kDrop);
      EXPECT_EQ(decision.reason, size < 8 ? DropReason::kUdpShort : DropReason::kUdpSize);
    }
  }
}

TEST_F(GateTest, EveryZeroIsChecked) {
  const struct {
    uint8_t type;
    size_t from, to;
  } zeros[] = {{kTypeInit, 77, 472}, {kTypeResp, 272, 512}, {kTypeFin, 236, 512},
               {kTypeRetry, 2, 4},   {kTypeRetry, 24, 64},  {kTypeReject, 2, 4},
               {kTypeReject, 25, 64}};
  for (const auto& range : zeros) {
    for (size_t i = range.from; i < range.to; ++i) {
      Bytes datagram = range.type == kTypeInit ? Init() : Plain(range.type);
      datagram[i] = 1;
      EXPECT_EQ(Inspect(datagram, Source(1)).reason, DropReason::kGateZero) << i;
    }
  }
}

TEST_F(GateTest, UnknownTypesAreDropped) {
  for (int type = 0; type < 256; ++type) {
    if (Gate::IsHandshake(static_cast<uint8_t>(type))) continue;
    Bytes datagram(kHandshakeBytes, 0);
    datagram[0] = static_cast<uint8_t>(type);
    EXPECT_EQ(Inspect(datagram, Source(1)).reason, DropReason::kUdpType);
  }
}

TEST_F(GateTest, AnyFlippedBitOfAnInitIsDecidedAndNeverProven) {
  DrainToHalf();
  const Bytes init = Init();
  for (size_t bit = 0; bit < kHandshakeBytes * 8; ++bit) {
    Bytes flipped = init;
    flipped[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    now_ms_ += 1'000;
    const GateDecision decision = Inspect(flipped, Source(static_cast<uint32_t>(bit)));
    EXPECT_FALSE(decision.has_cookie || decision.resumed) << bit;
    EXPECT_LE(decision.reply_size, kShortHandshakeBytes);
  }
}

TEST(SourceTable, KeepsAllThatMatterWhileTheNodeBucketCanFillIt) {
  SourceTable table({0x1234567, 0x89abcdef});
  // 64 at once, then 8 a second: what the gate lets in.
  uint64_t now_ms = kStartMs;
  std::vector<SourceAddress> recent;
  for (uint32_t number = 0; number < 10'000; ++number) {
    if (number >= 64) now_ms += 125;
    SourceBuckets& buckets = table.FindOrAdd(Source(number), now_ms);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(buckets.guesses.TryTake(now_ms));
    recent.push_back(Source(number));
    if (number < 264) continue;
    const SourceBuckets* kept = table.Find(recent[number - 190]);
    ASSERT_NE(kept, nullptr) << "used 24 s ago, not full yet";
    ASSERT_FALSE(kept->guesses.IsFull(now_ms));
  }
}

TEST(ResumeTable, BehavesLikeAMapUpToItsBound) {
  ResumeTable table({1, 2});
  std::mt19937_64 rng(5);
  std::vector<std::array<uint8_t, kHintBytes>> hints(ResumeTable::kMaxHints + 1);
  for (auto& hint : hints) StoreLe64(hint.data(), rng());
  std::array<uint8_t, kPairKeyBytes> key;
  for (size_t i = 0; i < ResumeTable::kMaxHints; ++i) {
    key.fill(static_cast<uint8_t>(i));
    ASSERT_TRUE(table.Set(hints[i], key));
  }
  EXPECT_FALSE(table.Set(hints.back(), key));
  EXPECT_TRUE(table.Set(hints[0], key)) << "replacing is no growth";
  for (size_t i = 1; i < ResumeTable::kMaxHints; i += 2) table.Remove(hints[i]);
  table.Remove(hints[1]);
  EXPECT_EQ(table.size(), ResumeTable::kMaxHints / 2);
  for (size_t i = 1; i < ResumeTable::kMaxHints; ++i) {
    const ResumeTable::Entry* entry = table.Find(hints[i]);
    ASSERT_EQ(entry != nullptr, i % 2 == 0) << i;
    if (entry != nullptr) {
      ASSERT_EQ(entry->pair_key[0], static_cast<uint8_t>(i));
    }
  }
}

}  // namespace
}  // namespace overlayd::core
