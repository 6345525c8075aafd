#include "native/core/fragment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace overlayd::core {
namespace {

using Bytes = std::vector<uint8_t>;
using Kind = ReassemblyResult::Kind;

constexpr uint64_t kNow = 5'000;

/// A fragment that owns its bytes.
struct Piece {
  Fragment fragment;
  Bytes bytes;
};

Bytes RandomBytes(std::mt19937_64& rng, size_t size) {
  Bytes out(size);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(rng());
  return out;
}

std::vector<Piece> Cut(const Bytes& whole, size_t max_slice, uint32_t session,
                       uint64_t first_counter, uint8_t original_kind = 0) {
  const FragmentPlan plan = PlanFragments(whole.size(), max_slice);
  std::vector<Piece> pieces;
  for (uint8_t index = 0; index < plan.count; ++index) {
    Piece piece;
    piece.bytes.resize(kFragmentHeaderBytes + plan.LengthOf(index));
    WriteFragmentHeader(piece.bytes.data(), plan, index, original_kind);
    std::copy_n(whole.begin() + static_cast<ptrdiff_t>(plan.OffsetOf(index)), plan.LengthOf(index),
                piece.bytes.begin() + kFragmentHeaderBytes);
    piece.fragment.session = session;
    piece.fragment.counter = first_counter + index;
    piece.fragment.flags = 1;
    piece.fragment.network = 77;
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

ReassemblyResult Add(Reassembler& reassembler, const Piece& piece, uint64_t now_ms = kNow) {
  Fragment fragment = piece.fragment;
  fragment.bytes = piece.bytes;
  return reassembler.Add(fragment, now_ms);
}

TEST(FragmentPlan, SlicesCoverTheWholeEquallyAndFit) {
  for (const size_t max_slice : {1, 2, 7, 506, 1'200, 1'400, 65'000}) {
    for (size_t total = 1; total <= kMaxReassembledBytes; total += 1 + total / 9) {
      const FragmentPlan plan = PlanFragments(total, max_slice);
      const size_t fewest = (total + max_slice - 1) / max_slice;
      if (fewest < 2 || fewest > kMaxFragments) {
        EXPECT_EQ(plan.count, 0) << total << " in " << max_slice;
        continue;
      }
      ASSERT_GE(plan.count, 2);
      EXPECT_LE(plan.count, fewest);
      size_t covered = 0;
      for (int index = 0; index < plan.count; ++index) {
        const auto number = static_cast<uint8_t>(index);
        EXPECT_EQ(plan.OffsetOf(number), covered);
        EXPECT_GE(plan.LengthOf(number), 1u);
        EXPECT_LE(plan.LengthOf(number), plan.slice_bytes);
        EXPECT_LE(plan.LengthOf(number), max_slice);
        covered += plan.LengthOf(number);
      }
      EXPECT_EQ(covered, total);
    }
  }
  EXPECT_EQ(PlanFragments(kMaxReassembledBytes + 1, 1'400).count, 0);
  EXPECT_EQ(PlanFragments(100, 0).count, 0);
  EXPECT_EQ(PlanFragments(0, 10).count, 0);
}

TEST(Reassembler, AnyOrderGivesTheWholeBack) {
  std::mt19937_64 rng(1);
  auto reassembler = std::make_unique<Reassembler>();
  for (int round = 0; round < 300; ++round) {
    const size_t size = 2 + rng() % (round % 10 == 0 ? kMaxReassembledBytes - 1 : 9'000);
    const size_t max_slice = std::max<size_t>(size / (2 + rng() % 60), size / 200 + 1);
    const Bytes whole = RandomBytes(rng, size);
    std::vector<Piece> pieces = Cut(whole, max_slice, 3, rng() >> 1, round % 2);
    std::shuffle(pieces.begin(), pieces.end(), rng);
    for (size_t i = 0; i < pieces.size(); ++i) {
      const ReassemblyResult result = Add(*reassembler, pieces[i]);
      if (i + 1 < pieces.size()) {
        ASSERT_EQ(result.kind, Kind::kIncomplete);
        continue;
      }
      ASSERT_EQ(result.kind, Kind::kComplete);
      EXPECT_EQ(result.original_kind, round % 2);
      ASSERT_EQ(Bytes(result.whole.begin(), result.whole.end()), whole);
      std::fill_n(result.whole.data() - Reassembler::kHeadroom, Reassembler::kHeadroom,
                  uint8_t{0xee});
    }
    EXPECT_EQ(reassembler->InProgress(), 0u);
  }
}

TEST(Reassembler, LargestWholeWithTheLastSliceFirst) {
  std::mt19937_64 rng(2);
  auto reassembler = std::make_unique<Reassembler>();
  const Bytes whole = RandomBytes(rng, kMaxReassembledBytes);
  for (const size_t max_slice : {kMaxReassembledBytes / 2, size_t{40'000}, size_t{1'400}}) {
    const std::vector<Piece> pieces = Cut(whole, max_slice, 1, 50);
    ASSERT_GE(pieces.size(), 2u);
    for (size_t i = pieces.size(); i-- > 1;) {
      ASSERT_EQ(Add(*reassembler, pieces[i]).kind, Kind::kIncomplete);
    }
    const ReassemblyResult result = Add(*reassembler, pieces[0]);
    ASSERT_EQ(result.kind, Kind::kComplete);
    EXPECT_TRUE(std::equal(whole.begin(), whole.end(), result.whole.begin(), result.whole.end()));
  }
}

TEST(Reassembler, WholesAreToldApartBySessionPhaseAndCounter) {
  std::mt19937_64 rng(3);
  auto reassembler = std::make_unique<Reassembler>();
  std::vector<Bytes> wholes;
  std::vector<std::vector<Piece>> cuts;
  for (uint32_t which = 0; which < 4; ++which) {
    wholes.push_back(RandomBytes(rng, 3'000));
    cuts.push_back(Cut(wholes.back(), 1'000, which / 2, which == 3 ? 200 : 100));
    for (Piece& piece : cuts.back()) piece.fragment.phase = which == 1;
  }
  for (size_t index = 0; index < 3; ++index) {
    for (size_t which = 0; which < 4; ++which) {
      const ReassemblyResult result = Add(*reassembler, cuts[which][index]);
      if (index < 2) continue;
      ASSERT_EQ(result.kind, Kind::kComplete);
      EXPECT_EQ(Bytes(result.whole.begin(), result.whole.end()), wholes[which]);
    }
  }
}

TEST(Reassembler, DuplicateIsDroppedAndHarmless) {
  std::mt19937_64 rng(4);
  auto reassembler = std::make_unique<Reassembler>();
  const Bytes whole = RandomBytes(rng, 2'000);
  const std::vector<Piece> pieces = Cut(whole, 700, 1, 0);
  Add(*reassembler, pieces[0]);
  const ReassemblyResult again = Add(*reassembler, pieces[0]);
  EXPECT_EQ(again.kind, Kind::kDropped);
  EXPECT_EQ(again.reason, DropReason::kReplay);
  Add(*reassembler, pieces[1]);
  EXPECT_EQ(Add(*reassembler, pieces[2]).kind, Kind::kComplete);
}

TEST(Reassembler, ContradictionEndsTheWhole) {
  std::mt19937_64 rng(5);
  const Bytes whole = RandomBytes(rng, 4'000);
  const std::vector<Piece> pieces = Cut(whole, 1'000, 1, 9);
  ASSERT_EQ(pieces.size(), 4u);
  const auto change = [&](auto&& edit) {
    auto reassembler = std::make_unique<Reassembler>();
    Add(*reassembler, pieces[0]);
    Piece bad = pieces[1];
    edit(bad);
    const ReassemblyResult result = Add(*reassembler, bad);
    EXPECT_EQ(result.kind, Kind::kDropped);
    EXPECT_EQ(result.reason, DropReason::kFragmentBad);
    EXPECT_EQ(result.pushed_out, 1);
    EXPECT_EQ(reassembler->InProgress(), 0u);
  };
  change([](Piece& piece) { piece.bytes[1] = 5; });
  change([](Piece& piece) { piece.bytes[2] = 1; });
  change([](Piece& piece) { piece.bytes.pop_back(); });
  change([](Piece& piece) { piece.bytes.push_back(0); });
  change([](Piece& piece) { piece.fragment.flags = 0; });
  change([](Piece& piece) { piece.fragment.network = 78; });
  change([](Piece& piece) {  // a last slice longer than the others
    piece.bytes[0] = 3;
    piece.fragment.counter = 12;
    piece.bytes.push_back(0);
  });
}

TEST(Reassembler, MalformedHeaderIsRefusedWithoutASlot) {
  const auto refused = [](Bytes bytes, uint64_t counter) {
    auto reassembler = std::make_unique<Reassembler>();
    const ReassemblyResult result =
        Add(*reassembler, {{.counter = counter, .bytes = {}}, std::move(bytes)});
    return result.kind == Kind::kDropped && result.reason == DropReason::kFragmentBad &&
           reassembler->InProgress() == 0;
  };
  EXPECT_TRUE(refused({}, 9));
  EXPECT_TRUE(refused({0, 2, 0, 0}, 9)) << "no slice";
  EXPECT_TRUE(refused({0, 0, 0, 0, 1}, 9)) << "count 0";
  EXPECT_TRUE(refused({0, 1, 0, 0, 1}, 9)) << "count 1";
  EXPECT_TRUE(refused({2, 2, 0, 0, 1}, 9)) << "index = count";
  EXPECT_TRUE(refused({0, 2, 2, 0, 1}, 9)) << "a keepalive is never cut";
  EXPECT_TRUE(refused({0, 2, 3, 0, 1}, 9)) << "fragment of a fragment";
  EXPECT_TRUE(refused({0, 2, 0, 1, 1}, 9)) << "zero that is not";
  EXPECT_TRUE(refused({1, 2, 0, 0, 1}, 0)) << "the first would have counter -1";
  EXPECT_FALSE(refused({1, 2, 0, 0, 1}, 1));
  Bytes too_long(kFragmentHeaderBytes + 30'000, 0);
  too_long[1] = 4;
  EXPECT_TRUE(refused(too_long, 9)) << "three of 30 000 and a rest exceed the bound";
  too_long[0] = 2;
  too_long[1] = 3;
  EXPECT_TRUE(refused(too_long, 9)) << "the others are at least as long as the last";
}

TEST(Reassembler, RestThatNeverCameTimesOut) {
  std::mt19937_64 rng(6);
  auto reassembler = std::make_unique<Reassembler>();
  const std::vector<Piece> pieces = Cut(RandomBytes(rng, 3'000), 1'000, 1, 0);
  Add(*reassembler, pieces[0]);
  Add(*reassembler, pieces[1], kNow + 100);
  EXPECT_EQ(reassembler->Expire(kNow + Reassembler::kTimeoutMs), 0u);
  EXPECT_EQ(reassembler->Expire(kNow + Reassembler::kTimeoutMs + 1), 2u);
  EXPECT_EQ(reassembler->InProgress(), 0u);
  EXPECT_EQ(Add(*reassembler, pieces[2], kNow + 600).kind, Kind::kIncomplete);
  const ReassemblyResult next =
      Add(*reassembler, Cut(RandomBytes(rng, 3'000), 1'000, 1, 50)[0], kNow + 1'200);
  EXPECT_EQ(next.timed_out, 1);
}

TEST(Reassembler, FifthOfASessionPushesOutItsOwnOldest) {
  std::mt19937_64 rng(7);
  auto reassembler = std::make_unique<Reassembler>();
  std::vector<std::vector<Piece>> cuts;
  for (uint64_t which = 0; which < 5; ++which) {
    cuts.push_back(Cut(RandomBytes(rng, 1'500), 1'000, 1, which * 10));
    const ReassemblyResult result = Add(*reassembler, cuts.back()[0], kNow + which);
    EXPECT_EQ(result.pushed_out, which == 4 ? 1 : 0);
  }
  EXPECT_EQ(reassembler->InProgress(), Reassembler::kSlotsPerSession);
  for (uint64_t which = 1; which < 5; ++which) {
    EXPECT_EQ(Add(*reassembler, cuts[which][1]).kind, Kind::kComplete) << which;
  }
  EXPECT_EQ(Add(*reassembler, cuts[0][1]).kind, Kind::kIncomplete) << "its head is gone";
}

TEST(Reassembler, FullTableServesThoseWithTheLeast) {
  std::mt19937_64 rng(8);
  auto reassembler = std::make_unique<Reassembler>();
  const Bytes whole = RandomBytes(rng, 1'500);
  for (uint32_t session = 1; session <= 16; ++session) {
    for (uint64_t which = 0; which < 4; ++which) {
      Add(*reassembler, Cut(whole, 1'000, session, which * 10)[0]);
    }
  }
  EXPECT_EQ(reassembler->InProgress(), Reassembler::kSlots);
  for (uint32_t session = 101; session <= 116; ++session) {
    const std::vector<Piece> pieces = Cut(whole, 1'000, session, 0);
    EXPECT_EQ(Add(*reassembler, pieces[0]).pushed_out, 1);
    EXPECT_EQ(Add(*reassembler, pieces[1]).kind, Kind::kComplete);
    Add(*reassembler, Cut(whole, 1'000, session, 90)[0]);
  }
  EXPECT_EQ(reassembler->InProgress(), Reassembler::kSlots);
  // One each of 64 sessions: the 65th finds nobody with more than itself.
  auto even = std::make_unique<Reassembler>();
  for (uint32_t session = 1; session <= 65; ++session) {
    const std::vector<Piece> pieces = Cut(whole, 1'000, session, 0);
    const ReassemblyResult result = Add(*even, pieces[0]);
    EXPECT_EQ(result.kind, Kind::kIncomplete);
    if (session == 65) {
      EXPECT_EQ(result.pushed_out, 1);
    }
  }
}

TEST(Reassembler, HostileHeadersNeverProduceAWholeThatWasNotSent) {
  std::mt19937_64 rng(9);
  auto reassembler = std::make_unique<Reassembler>();
  for (int step = 0; step < 200'000; ++step) {
    Piece piece;
    piece.bytes.assign(kFragmentHeaderBytes + rng() % 40, static_cast<uint8_t>(step));
    if (piece.bytes.size() >= kFragmentHeaderBytes) {
      piece.bytes[0] = static_cast<uint8_t>(rng() % 6);
      piece.bytes[1] = static_cast<uint8_t>(rng() % 6);
      piece.bytes[2] = static_cast<uint8_t>(rng() % 3);
      piece.bytes[3] = rng() % 16 == 0;
    }
    if (rng() % 50 == 0) piece.bytes.resize(rng() % 60'000, 1);
    piece.fragment.session = static_cast<uint32_t>(rng() % 20);
    piece.fragment.counter = rng() % 20;
    const ReassemblyResult result =
        Add(*reassembler, piece, kNow + static_cast<uint64_t>(step) / 50);
    ASSERT_LE(result.whole.size(), kMaxReassembledBytes);
    ASSERT_LE(reassembler->InProgress(), Reassembler::kSlots);
    ASSERT_EQ(result.reason == DropReason::kNone, result.kind != Kind::kDropped);
  }
}

}  // namespace
}  // namespace overlayd::core
