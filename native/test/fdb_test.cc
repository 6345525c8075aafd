#include "native/core/fdb.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <tuple>
#include <vector>

namespace overlayd::core {
namespace {

using Learned = Fdb::Learned;

constexpr HashSeed kSeed{0x0123456789abcdef, 0xfedcba9876543210};
constexpr Mac kMac = 0x020000000001;
constexpr uint32_t kNow = 10'000;

std::unique_ptr<Fdb> NewFdb() { return std::make_unique<Fdb>(kSeed); }

TEST(Fdb, LearnsRefreshesAndMoves) {
  auto fdb = NewFdb();
  EXPECT_EQ(fdb->Lookup(0, kMac, kNow), 0);
  EXPECT_EQ(fdb->Learn(0, kMac, 7, kNow), Learned::kNew);
  EXPECT_EQ(fdb->Lookup(0, kMac, kNow), 7);
  EXPECT_EQ(fdb->Learn(0, kMac, 7, kNow + 1), Learned::kRefreshed);
  EXPECT_EQ(fdb->Learn(0, kMac, 8, kNow + 2), Learned::kMoved);
  EXPECT_EQ(fdb->Lookup(0, kMac, kNow + 2), 8);
  EXPECT_EQ(fdb->CountOf(7), 0u);
  EXPECT_EQ(fdb->CountOf(8), 1u);
  EXPECT_EQ(fdb->Size(), 1u);
}

TEST(Fdb, NetworksAreApartInAllTheirBits) {
  auto fdb = NewFdb();
  std::vector<uint32_t> networks = {0};
  for (uint32_t bit = 0; bit < 24; ++bit) networks.push_back(1u << bit);
  uint16_t peer = 1;
  for (const uint32_t network : networks) {
    EXPECT_EQ(fdb->Learn(network, kMac, peer++, kNow), Learned::kNew);
  }
  peer = 1;
  for (const uint32_t network : networks) EXPECT_EQ(fdb->Lookup(network, kMac, kNow), peer++);
  EXPECT_EQ(fdb->Lookup(3, kMac, kNow), 0);
}

TEST(Fdb, RefusesArgumentsOutOfRange) {
  auto fdb = NewFdb();
  EXPECT_EQ(fdb->Learn(0, kMac, 0, kNow), Learned::kFull);
  EXPECT_EQ(fdb->Learn(0, kMac, Fdb::kMaxPeer + 1, kNow), Learned::kFull);
  EXPECT_EQ(fdb->Learn(0x1000000, kMac, 1, kNow), Learned::kFull);
  EXPECT_EQ(fdb->Learn(0, kMaxMac + 1, 1, kNow), Learned::kFull);
  EXPECT_EQ(fdb->Size(), 0u);
}

TEST(Fdb, EntryIsGoneAfterItsAgeUnlessRefreshed) {
  auto fdb = NewFdb();
  fdb->Learn(0, kMac, 1, kNow);
  fdb->Learn(0, kMac + 1, 1, kNow);
  fdb->Learn(0, kMac + 1, 1, kNow + 100);
  EXPECT_EQ(fdb->Lookup(0, kMac, kNow + Fdb::kAgeingS), 1);
  EXPECT_EQ(fdb->Lookup(0, kMac, kNow + Fdb::kAgeingS + 1), 0);
  EXPECT_EQ(fdb->Age(kNow + Fdb::kAgeingS + 1), 1u);
  EXPECT_EQ(fdb->Lookup(0, kMac + 1, kNow + Fdb::kAgeingS + 1), 1);
  EXPECT_EQ(fdb->Size(), 1u);
}

TEST(Fdb, AgedEntryOfAnotherPeerIsNewNotMoved) {
  auto fdb = NewFdb();
  fdb->Learn(0, kMac, 1, kNow);
  EXPECT_EQ(fdb->Learn(0, kMac, 2, kNow + Fdb::kAgeingS + 1), Learned::kNew);
  EXPECT_EQ(fdb->Size(), 1u);
}

TEST(Fdb, FifthMoveIsRefusedAndTheHolderKeptForAMinute) {
  auto fdb = NewFdb();
  fdb->Learn(0, kMac, 1, kNow);
  uint16_t peer = 1;
  for (uint32_t move = 1; move <= 4; ++move) {
    peer = static_cast<uint16_t>(3 - peer);
    EXPECT_EQ(fdb->Learn(0, kMac, peer, kNow + move), Learned::kMoved);
  }
  const auto other = static_cast<uint16_t>(3 - peer);
  EXPECT_EQ(fdb->Learn(0, kMac, other, kNow + 5), Learned::kFlapping);
  EXPECT_EQ(fdb->Learn(0, kMac, other, kNow + 5 + Fdb::kFlapHoldS - 1), Learned::kFlapping);
  EXPECT_EQ(fdb->Learn(0, kMac, peer, kNow + 6), Learned::kRefreshed);
  EXPECT_EQ(fdb->Lookup(0, kMac, kNow + 6), peer);
  EXPECT_EQ(fdb->Learn(0, kMac, other, kNow + 5 + Fdb::kFlapHoldS), Learned::kMoved);
}

TEST(Fdb, FourMovesInTheWindowAreNoFlap) {
  auto fdb = NewFdb();
  fdb->Learn(0, kMac, 1, kNow);
  uint16_t peer = 1;
  for (uint32_t move = 1; move <= 40; ++move) {
    peer = static_cast<uint16_t>(3 - peer);
    EXPECT_EQ(fdb->Learn(0, kMac, peer, kNow + move * (Fdb::kFlapWindowS / 4)), Learned::kMoved);
  }
}

TEST(Fdb, RemoveLetsTheNextClaimIn) {
  auto fdb = NewFdb();
  fdb->Learn(0, kMac, 1, kNow);
  fdb->Remove(0, kMac);
  fdb->Remove(0, kMac);
  EXPECT_EQ(fdb->Lookup(0, kMac, kNow), 0);
  EXPECT_EQ(fdb->Learn(0, kMac, 2, kNow), Learned::kNew);
}

TEST(Fdb, ForgetTakesExactlyThePeersEntries) {
  auto fdb = NewFdb();
  for (uint32_t i = 0; i < 1'000; ++i) {
    fdb->Learn(i % 5, kMac + i, static_cast<uint16_t>(1 + i % 3), kNow);
  }
  EXPECT_EQ(fdb->Forget(2), 333u);
  EXPECT_EQ(fdb->CountOf(2), 0u);
  EXPECT_EQ(fdb->Size(), 667u);
  EXPECT_EQ(fdb->Forget(2), 0u);
  EXPECT_EQ(fdb->Forget(0), 0u);
  EXPECT_EQ(fdb->Forget(65'535), 0u);
  for (uint32_t i = 0; i < 1'000; ++i) {
    EXPECT_EQ(fdb->Lookup(i % 5, kMac + i, kNow), i % 3 == 1 ? 0 : 1 + i % 3);
  }
}

TEST(Fdb, ForgetNetworkTakesExactlyItsEntries) {
  auto fdb = NewFdb();
  const std::array<uint32_t, 3> networks{0, 5, 0xab0005};
  for (uint32_t i = 0; i < 900; ++i) fdb->Learn(networks[i % 3], kMac + i / 3, 1, kNow);
  EXPECT_EQ(fdb->ForgetNetwork(5), 300u);
  EXPECT_EQ(fdb->ForgetNetwork(5), 0u);
  EXPECT_EQ(fdb->CountOf(1), 600u);
  for (uint32_t i = 0; i < 900; ++i) {
    EXPECT_EQ(fdb->Lookup(networks[i % 3], kMac + i / 3, kNow), i % 3 == 1 ? 0 : 1);
  }
}

TEST(Fdb, OnePeerLearnsAtMostItsShare) {
  auto fdb = NewFdb();
  for (uint32_t i = 0; i < Fdb::kMaxPerPeer; ++i) {
    ASSERT_EQ(fdb->Learn(0, kMac + i, 1, kNow), Learned::kNew) << i;
  }
  EXPECT_EQ(fdb->Learn(0, kMac + Fdb::kMaxPerPeer, 1, kNow), Learned::kFull);
  EXPECT_EQ(fdb->Learn(0, kMac + Fdb::kMaxPerPeer, 2, kNow), Learned::kNew);
  EXPECT_EQ(fdb->Learn(0, kMac + Fdb::kMaxPerPeer, 1, kNow), Learned::kFull) << "nor by moving";
  EXPECT_EQ(fdb->Lookup(0, kMac + Fdb::kMaxPerPeer, kNow), 2);
}

TEST(Fdb, FloodersDisplaceEachOtherNotTheSmall) {
  auto fdb = NewFdb();
  constexpr uint16_t kSmall = 100;
  constexpr uint32_t kSmallEntries = 50;
  for (uint32_t i = 0; i < kSmallEntries; ++i) {
    ASSERT_EQ(fdb->Learn(9, kMac + i, kSmall, kNow), Learned::kNew);
  }
  std::mt19937_64 rng(3);
  for (uint32_t i = 0; i < 200'000; ++i) {
    fdb->Learn(0, rng() & kMaxMac, static_cast<uint16_t>(1 + i % 8), kNow);
  }
  EXPECT_EQ(fdb->Size(), Fdb::kCapacity);
  for (uint32_t i = 0; i < kSmallEntries; ++i) {
    EXPECT_EQ(fdb->Lookup(9, kMac + i, kNow), kSmall) << i;
  }
  // A newcomer still finds places, at the flooders' cost.
  for (uint32_t i = 0; i < kSmallEntries; ++i) {
    EXPECT_EQ(fdb->Learn(10, kMac + i, kSmall + 1, kNow), Learned::kNew) << i;
  }
  EXPECT_EQ(fdb->Size(), Fdb::kCapacity);
}

TEST(Fdb, FullTableOfAgedEntriesHasPlaceAgain) {
  auto fdb = NewFdb();
  for (uint32_t i = 0; i < Fdb::kCapacity; ++i) {
    ASSERT_EQ(fdb->Learn(0, kMac + i, static_cast<uint16_t>(1 + i % 4), kNow), Learned::kNew) << i;
  }
  const uint32_t later = kNow + Fdb::kAgeingS + 1;
  EXPECT_EQ(fdb->Learn(1, kMac, 1, later), Learned::kFull) << "its share is not swept yet";
  EXPECT_EQ(fdb->Age(later), Fdb::kCapacity);
  EXPECT_EQ(fdb->Size(), 0u);
  EXPECT_EQ(fdb->Learn(1, kMac, 1, later), Learned::kNew);
}

/// The FDB as a map, without bounds.
class NaiveFdb {
 public:
  uint16_t Lookup(uint32_t network, Mac mac, uint32_t now_s) const {
    const auto found = entries_.find({network, mac});
    if (found == entries_.end() || now_s > found->second.seen_s + Fdb::kAgeingS) return 0;
    return found->second.peer;
  }

  Learned Learn(uint32_t network, Mac mac, uint16_t peer, uint32_t now_s) {
    const auto found = entries_.find({network, mac});
    if (found != entries_.end() && found->second.peer == peer) {
      found->second.seen_s = now_s;
      return Learned::kRefreshed;
    }
    if (found == entries_.end() || now_s > found->second.seen_s + Fdb::kAgeingS) {
      entries_[{network, mac}] = {peer, now_s, {}, 0};
      return Learned::kNew;
    }
    Entry& entry = found->second;
    if (now_s < entry.hold_until_s) return Learned::kFlapping;
    size_t recent = 1;
    for (const uint32_t at_s : entry.moves) recent += now_s - at_s < Fdb::kFlapWindowS;
    if (recent >= Fdb::kFlapMoves) {
      entry.moves.clear();
      entry.hold_until_s = now_s + Fdb::kFlapHoldS;
      return Learned::kFlapping;
    }
    entry.moves.push_back(now_s);
    entry.peer = peer;
    entry.seen_s = now_s;
    return Learned::kMoved;
  }

  void Remove(uint32_t network, Mac mac) { entries_.erase({network, mac}); }
  size_t Forget(uint16_t peer) {
    return std::erase_if(entries_, [&](const auto& item) { return item.second.peer == peer; });
  }
  size_t Age(uint32_t now_s) {
    return std::erase_if(
        entries_, [&](const auto& item) { return now_s > item.second.seen_s + Fdb::kAgeingS; });
  }
  size_t Size() const { return entries_.size(); }

  std::set<std::tuple<uint32_t, Mac, uint16_t, uint32_t>> Dump(uint32_t now_s) const {
    std::set<std::tuple<uint32_t, Mac, uint16_t, uint32_t>> out;
    for (const auto& [key, entry] : entries_) {
      if (Lookup(key.first, key.second, now_s) == 0) continue;
      out.emplace(key.first, key.second, entry.peer, now_s - entry.seen_s);
    }
    return out;
  }

 private:
  struct Entry {
    uint16_t peer;
    uint32_t seen_s;
    std::vector<uint32_t> moves;
    uint32_t hold_until_s;
  };
  std::map<std::pair<uint32_t, Mac>, Entry> entries_;
};

TEST(Fdb, BehavesAsAMapWouldWhileThereIsPlace) {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 rng(seed);
    Fdb fdb({rng(), rng()});
    NaiveFdb naive;
    uint32_t now_s = kNow;
    const uint64_t macs = seed % 2 == 0 ? 20 : 3'000;
    for (int step = 0; step < 60'000; ++step) {
      if (rng() % 16 == 0) now_s += rng() % 8;
      if (rng() % 4'000 == 0) now_s += rng() % 400;
      const auto network = static_cast<uint32_t>(rng() % 3 * 0x50001);
      const Mac mac = 0x020000000000 + rng() % macs;
      const auto peer = static_cast<uint16_t>(1 + rng() % 4);
      switch (rng() % 1'000) {
        case 0:
          ASSERT_EQ(fdb.Forget(peer), naive.Forget(peer));
          break;
        case 1:
          ASSERT_EQ(fdb.Age(now_s), naive.Age(now_s));
          break;
        case 2: {
          std::set<std::tuple<uint32_t, Mac, uint16_t, uint32_t>> dump;
          fdb.Dump(now_s, [&](const Fdb::Entry& entry) {
            dump.emplace(entry.network, entry.mac, entry.peer, entry.age_s);
          });
          ASSERT_EQ(dump, naive.Dump(now_s));
          break;
        }
        default:
          if (rng() % 20 == 0) {
            fdb.Remove(network, mac);
            naive.Remove(network, mac);
          } else if (rng() % 2 == 0) {
            ASSERT_EQ(fdb.Learn(network, mac, peer, now_s), naive.Learn(network, mac, peer, now_s));
          } else {
            ASSERT_EQ(fdb.Lookup(network, mac, now_s), naive.Lookup(network, mac, now_s));
          }
      }
      ASSERT_EQ(fdb.Size(), naive.Size());
    }
  }
}

TEST(Fdb, ReadersNeverSeeAPeerThatNeverHadTheMac) {
  // Peer p only ever owns MACs with p in their low byte; two writers churn one crowded network until a reader has found
  // enough in it, so that they meet whatever the scheduler does.
  auto fdb = NewFdb();
  std::atomic<bool> is_done{false};
  std::atomic<uint32_t> wrong{0};
  std::atomic<uint32_t> found{0};
  const auto write = [&](uint32_t seed) {
    std::mt19937_64 rng(seed);
    for (uint32_t step = 0; step < 60'000 || found.load() < 10'000; ++step) {
      const auto peer = static_cast<uint16_t>(1 + rng() % 8);
      const Mac mac = 0x020000000000 + (rng() % 512) * 256 + peer;
      fdb->Learn(0, mac, peer, kNow + step / 1'000 % 60);
      if (rng() % 16 == 0) fdb->Remove(0, mac);
      if (rng() % 5'000 == 0) fdb->Forget(peer);
      if (rng() % 5'000 == 0) fdb->Age(kNow + step / 1'000 % 60);
    }
  };
  const auto read = [&](uint32_t seed) {
    std::mt19937_64 rng(seed);
    do {
      const auto peer = static_cast<uint16_t>(1 + rng() % 8);
      const Mac mac = 0x020000000000 + (rng() % 512) * 256 + peer;
      const uint16_t holder = fdb->Lookup(0, mac, kNow);
      if (holder != 0) {
        found.fetch_add(1, std::memory_order_relaxed);
        if (holder != peer) wrong.fetch_add(1, std::memory_order_relaxed);
      }
    } while (!is_done.load());
  };
  std::thread reader(read, 1);
  std::thread writer(write, 2);
  write(3);
  writer.join();
  is_done.store(true);
  reader.join();
  EXPECT_EQ(wrong.load(), 0u);
  // The counts survived the races.
  uint32_t counted = 0;
  for (uint16_t peer = 1; peer <= 8; ++peer) counted += fdb->CountOf(peer);
  EXPECT_EQ(counted, fdb->Size());
}

}  // namespace
}  // namespace overlayd::core
