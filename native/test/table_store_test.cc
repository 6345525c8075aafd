#include "native/engine/table_store.h"

#include <gtest/gtest.h>

#include "native/test/test_node.h"

namespace overlayd::engine {
namespace {

using test::KeyNumber;
using test::Relation;
using test::TestNode;

class TableStoreTest : public testing::Test {
 protected:
  SessionInstall Install(uint32_t session, uint32_t peer = 1) {
    return {session, peer, session + 100, core::Suite::kAes256Gcm, KeyNumber(1), KeyNumber(2)};
  }
  const core::Tables& Tables() { return *node_.plane.tables.load(); }

  test::FakeNet net_;
  TestNode node_{net_, 1};
};

TEST_F(TableStoreTest, RefusedBatchLeavesEverythingAsBefore) {
  ASSERT_EQ(node_.Apply({Install(5), PathSet{9, 1, 5, test::Underlay(2), 1200}, PeerSet{1, 5, 9}}),
            "");
  const core::Tables* before = node_.plane.tables.load();
  const size_t free_before = node_.plane.sessions.free_slots();
  std::vector<TableEntry> batch = {
      Install(6),    SessionRemove{5}, PathSet{10, 1, 6, test::Underlay(3), 1300},
      PathRemove{9}, FdbSet{0, 2, 1},  PeerSet{2, 77, 0}};
  size_t refused = 99;
  EXPECT_EQ(node_.store->Apply(batch, &refused), "unknown session 77");
  EXPECT_EQ(refused, 5u);
  EXPECT_EQ(node_.plane.tables.load(), before);
  EXPECT_EQ(node_.plane.sessions.free_slots(), free_before);
  EXPECT_EQ(node_.store->Paths().size(), 1u);
  EXPECT_EQ(node_.store->SessionSlot(6), core::kNoSlot);
  EXPECT_NE(node_.store->SessionSlot(5), core::kNoSlot);
  EXPECT_EQ(Tables().networks[0].reachable, std::vector<uint32_t>{1});
}

TEST_F(TableStoreTest, RefusesWhatIsOutOfRange) {
  const auto endpoint = test::Underlay(2);
  EXPECT_NE(node_.Apply({Install(0)}), "");
  EXPECT_NE(node_.Apply({Install(5, 0)}), "");
  EXPECT_NE(node_.Apply({Install(5, 4097)}), "");
  EXPECT_NE(node_.Apply({Install(5), Install(5)}), "");
  SessionInstall other = Install(5);
  other.suite = static_cast<core::Suite>(3);
  EXPECT_NE(node_.Apply({other}), "");
  other.suite = static_cast<core::Suite>(200);
  EXPECT_NE(node_.Apply({other}), "");
  EXPECT_NE(node_.Apply({PathSet{0, 1, 0, endpoint, 1200}}), "");
  EXPECT_NE(node_.Apply({PathSet{9, 0, 0, endpoint, 1200}}), "");
  EXPECT_NE(node_.Apply({PathSet{9, 4097, 0, endpoint, 1200}}), "");
  EXPECT_NE(node_.Apply({PathSet{9, 1, 8, endpoint, 1200}}), "");
  EXPECT_NE(node_.Apply({PathSet{9, 1, 0, endpoint, 547}}), "");
  EXPECT_NE(node_.Apply({PathSet{9, 1, 0, endpoint, 65508}}), "");
  EXPECT_NE(node_.Apply({PathSet{9, 1, 0, test::Underlay(2, 0), 1200}}), "");
  EXPECT_NE(node_.Apply({PeerSet{0, 0, 0}}), "");
  EXPECT_NE(node_.Apply({PeerSet{4097, 0, 0}}), "");
  EXPECT_NE(node_.Apply({PeerSet{1, 0, 9}}), "");
  EXPECT_NE(node_.Apply({FdbSet{0, 1, 4097}}), "");
  EXPECT_NE(node_.Apply({FdbSet{0, 1, 4097}}), "");
  EXPECT_NE(node_.Apply({SessionRxKey{5, 1, {}}}), "");
  EXPECT_NE(node_.Apply({SessionTxKey{5, 1, {}}}), "");
  EXPECT_NE(node_.Apply({SessionRxRetire{5, 0}}), "");
  EXPECT_EQ(node_.store->Paths().size() + node_.store->Sessions().size(), 0u);
}

// A control bug must not seal frames for one member with the keys of another.
TEST_F(TableStoreTest, RefusesSessionsAndPathsOfAnotherPeer) {
  const auto endpoint = test::Underlay(2);
  ASSERT_EQ(node_.Apply({Install(5, 1), Install(6, 2), PathSet{9, 1, 5, endpoint, 1200}}), "");
  EXPECT_EQ(node_.Apply({PeerSet{1, 6, 9}}), "session 6 belongs to another peer");
  EXPECT_EQ(node_.Apply({PeerSet{2, 6, 9}}), "path 9 belongs to another peer");
  EXPECT_EQ(node_.Apply({PathSet{10, 1, 6, endpoint, 1200}}), "session 6 belongs to another peer");
  EXPECT_EQ(node_.Apply({Install(7, 3), PeerSet{2, 7, 0}}), "session 7 belongs to another peer");
  EXPECT_EQ(node_.Apply({PeerSet{1, 5, 9}}), "");
}

TEST_F(TableStoreTest, OtherNetworksDoNotReachIntoThisOne) {
  ASSERT_EQ(node_.Apply({FdbSet{0x10000, 2, 1}, FdbSet{0x8000, 0, 1}}), "");
  EXPECT_EQ(Tables().declared_fdb.Find(core::FdbKey(0, 2)), core::kNoSlot);
}

TEST_F(TableStoreTest, DeclaringOrWithdrawingAMacForgetsWhatWasLearnedOfIt) {
  const auto learned = [&] { return node_.plane.fdb.Lookup(0, 2, 0); };
  node_.plane.fdb.Learn(0, 2, 7, 0);
  ASSERT_EQ(node_.Apply({FdbSet{0, 2, 1}}), "");
  EXPECT_EQ(learned(), 0u);
  node_.plane.fdb.Learn(0, 2, 7, 0);
  ASSERT_EQ(node_.Apply({FdbRemove{0, 2}}), "");
  EXPECT_EQ(learned(), 0u);
}

TEST_F(TableStoreTest, GroupsAreBounded) {
  std::vector<TableEntry> entries;
  for (uint32_t i = 0; i < 4096; ++i) entries.push_back(GroupSet{0, 0x01005e000100ULL + i, {1}});
  ASSERT_EQ(node_.Apply(std::move(entries)), "");
  EXPECT_EQ(node_.Apply({GroupSet{0, 0x01005e000101, {1}}}), "");
  const auto groups = [&] { return node_.plane.tables.load()->group_peers.size(); };
  EXPECT_EQ(node_.Apply({GroupSet{0, 0x01005e7f0101, {1}}}), "")
      << "what members say ends no batch";
  EXPECT_EQ(groups(), 4096u);
  EXPECT_EQ(node_.Apply({GroupRemove{0, 0x01005e000101}, GroupSet{0, 0x01005e7f0101, {1}}}), "");
  EXPECT_EQ(groups(), 4096u);
  EXPECT_EQ(node_.Apply({GroupSet{0, 0x01005e7f0101, {4097}}}), "peer slot out of range");
}

TEST_F(TableStoreTest, RemovalsAreIdempotent) {
  EXPECT_EQ(node_.Apply(
                {SessionRemove{5}, PathRemove{5}, PeerRemove{5}, FdbRemove{0, 5}, ResumeRemove{}}),
            "");
}

TEST_F(TableStoreTest, RemovedSessionLosesItsKeys) {
  ASSERT_EQ(node_.Apply({Install(5)}), "");
  const uint32_t slot = node_.store->SessionSlot(5);
  ASSERT_EQ(node_.Apply({SessionRemove{5}}), "");
  const auto* bytes = reinterpret_cast<const uint8_t*>(&node_.plane.sessions.at(slot));
  EXPECT_TRUE(core::AllZero({bytes, sizeof(core::Session)}));
}

TEST_F(TableStoreTest, SwitchedAndRetiredKeysAreWiped) {
  ASSERT_EQ(node_.Apply({Install(5)}), "");
  core::Session& session = node_.SessionOf(5);
  ASSERT_EQ(node_.Apply({SessionRxKey{5, 1, KeyNumber(3)}, SessionTxKey{5, 1, KeyNumber(4)},
                         SessionRxRetire{5, 0}}),
            "");
  const auto is_wiped = [](const core::AeadKey& key) {
    return core::AllZero({reinterpret_cast<const uint8_t*>(&key), sizeof key});
  };
  EXPECT_TRUE(is_wiped(session.tx[0].key));
  EXPECT_TRUE(is_wiped(session.rx[0].key));
  EXPECT_FALSE(is_wiped(session.tx[1].key));
  EXPECT_FALSE(is_wiped(session.rx[1].key));
}

TEST_F(TableStoreTest, TxPhaseGoesOnByOneAndNeverBack) {
  ASSERT_EQ(node_.Apply({Install(5)}), "");
  const core::Session& before = node_.SessionOf(5);
  EXPECT_NE(node_.Apply({SessionTxKey{5, 2, KeyNumber(4)}}), "");
  EXPECT_EQ(before.tx_phase.load(), 0u);
  core::Session& session = node_.SessionOf(5);
  ASSERT_EQ(node_.Apply({SessionTxKey{5, 1, KeyNumber(4)}}), "");
  session.tx[1].next_counter = 77;
  // The same again, or an older one: the counters must not begin again under a key that was used.
  (void)node_.Apply({SessionTxKey{5, 1, KeyNumber(4)}});
  (void)node_.Apply({SessionTxKey{5, 0, KeyNumber(2)}});
  EXPECT_EQ(session.tx_phase.load(), 1u);
  EXPECT_EQ(session.tx[1].next_counter.load(), 77u);
  // Phase 3 would be written over the key in use.
  EXPECT_NE(node_.Apply({SessionTxKey{5, 3, KeyNumber(6)}}), "");
  EXPECT_EQ(session.tx_phase.load(), 1u);
  EXPECT_EQ(session.tx[1].next_counter.load(), 77u);
  EXPECT_EQ(node_.Apply({SessionTxKey{5, 2, KeyNumber(6)}, SessionTxKey{5, 3, KeyNumber(7)}}), "");
  EXPECT_EQ(session.tx_phase.load(), 3u);
}

TEST_F(TableStoreTest, SessionTableIsBounded) {
  std::vector<TableEntry> batch;
  for (uint32_t i = 1; i <= SessionTable::kMaxSessions; ++i) batch.push_back(Install(i));
  ASSERT_EQ(node_.Apply(batch), "");
  EXPECT_EQ(node_.Apply({Install(100000)}), "session table is full");
  ASSERT_EQ(node_.Apply({SessionRemove{1}}), "");
  EXPECT_EQ(node_.Apply({Install(100000)}), "");
}

TEST_F(TableStoreTest, PathTableIsBoundedAndRefusalGivesPlacesBack) {
  std::vector<TableEntry> batch;
  for (uint32_t i = 1; i <= kMaxPaths; ++i) {
    batch.push_back(PathSet{i, 1, 0, test::Underlay(2), 1200});
  }
  std::vector<TableEntry> too_many = batch;
  too_many.push_back(PathSet{kMaxPaths + 1, 1, 0, test::Underlay(2), 1200});
  EXPECT_EQ(node_.Apply(too_many), "path table is full");
  EXPECT_EQ(node_.Apply(batch), "");
  EXPECT_EQ(node_.store->Paths().size(), kMaxPaths);
  EXPECT_EQ(node_.Apply({PathRemove{7}}), "");
  EXPECT_EQ(node_.Apply({PathSet{kMaxPaths + 1, 1, 0, test::Underlay(2), 1200}}), "");
}

TEST_F(TableStoreTest, SettingAPathAgainKeepsItsState) {
  ASSERT_EQ(node_.Apply({PathSet{9, 1, 0, test::Underlay(2), 1200}}), "");
  const uint32_t state = node_.store->Paths()[0].state;
  node_.plane.paths[state].tx_bytes = 5;
  ASSERT_EQ(node_.Apply({PathSet{9, 1, 0, test::Underlay(3), 1300}}), "");
  EXPECT_EQ(node_.store->Paths()[0].state, state);
  EXPECT_EQ(node_.plane.paths[state].tx_bytes.load(), 5u);
  EXPECT_EQ(Tables().paths[0].endpoint, test::Underlay(3));
}

TEST_F(TableStoreTest, NewPathBeginsFresh) {
  ASSERT_EQ(node_.Apply({PathSet{9, 1, 0, test::Underlay(2), 1200}}), "");
  PathState& state = node_.plane.paths[node_.store->Paths()[0].state];
  state.tx_bytes = 5;
  state.limit_bytes = 600;
  ASSERT_EQ(node_.Apply({PathRemove{9}}), "");
  ASSERT_EQ(node_.Apply({PathSet{10, 1, 0, test::Underlay(2), 1200}}), "");
  PathState& fresh = node_.plane.paths[node_.store->Paths()[0].state];
  EXPECT_EQ(fresh.tx_bytes.load(), 0u);
  EXPECT_EQ(fresh.limit_bytes.load(), UINT32_MAX);
}

TEST_F(TableStoreTest, OnlyPeersWithSessionAndPathAreReachable) {
  ASSERT_EQ(node_.Apply({Install(5), Install(6, 3), PathSet{9, 1, 5, test::Underlay(2), 1200},
                         PeerSet{1, 5, 9}, PeerSet{2, 0, 0}, PeerSet{3, 6, 0}}),
            "");
  EXPECT_EQ(Tables().networks[0].reachable, std::vector<uint32_t>{1});
  ASSERT_EQ(node_.Apply({SessionRemove{5}}), "");
  EXPECT_TRUE(Tables().networks[0].reachable.empty());
}

}  // namespace
}  // namespace overlayd::engine
