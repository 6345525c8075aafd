#include "native/core/neighbour.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "native/core/neighbour_table.h"
#include "native/engine/table_store.h"
#include "native/test/neighbour_frames.h"
#include "native/test/test_node.h"

namespace overlayd::core {
namespace {

using test::ArpRequest;
using test::Bytes;
using test::Solicitation;
using test::TestNode;

std::optional<NeighbourQuestion> QuestionOf(const Bytes& frame) {
  const Bytes exact(frame);  // a sanitizer sees a read behind it
  FrameInfo info;
  if (!ParseFrame(exact.data(), exact.size(), &info)) return std::nullopt;
  return NeighbourQuestionOf(exact.data(), exact.size(), info);
}

NeighbourAddress Ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  const uint8_t bytes[] = {a, b, c, d};
  return NeighbourAddressOfIpv4(bytes);
}

NeighbourAddress Ipv6(uint8_t last) {
  NeighbourAddress out{0xfd, 1};
  out[15] = last;
  return out;
}

TEST(NeighbourTest, ReadsWhoIsAskedFor) {
  const auto arp = QuestionOf(ArpRequest({}));
  ASSERT_TRUE(arp);
  EXPECT_EQ(arp->target, Ipv4(10, 32, 0, 9));
  EXPECT_FALSE(arp->is_ipv6);
  const auto solicitation = QuestionOf(Solicitation({}));
  ASSERT_TRUE(solicitation);
  EXPECT_EQ(solicitation->target, Ipv6(9));
  EXPECT_TRUE(solicitation->is_ipv6);
}

// What a real holder must hear, because only it can answer, or because it is for all.
TEST(NeighbourTest, LeavesProbesAndAnnouncementsAlone) {
  EXPECT_FALSE(QuestionOf(ArpRequest({.from = {0, 0, 0, 0}}))) << "RFC 5227";
  EXPECT_FALSE(QuestionOf(ArpRequest({.from = {10, 32, 0, 9}}))) << "gratuitous";
  EXPECT_FALSE(QuestionOf(ArpRequest({.operation = 2})));
  EXPECT_FALSE(QuestionOf(ArpRequest({.to_mac = 0x020000000009}))) << "does it live?";
  EXPECT_FALSE(QuestionOf(Solicitation({.from = Bytes(16)}))) << "RFC 4862";
  EXPECT_FALSE(QuestionOf(Solicitation({.type = 136})));
  EXPECT_FALSE(QuestionOf(Solicitation({.to_mac = 0x020000000009})));
}

TEST(NeighbourTest, LeavesWhatRecordsDoNotTellAlone) {
  for (const auto& target : std::vector<std::array<uint8_t, 4>>{
           {169, 254, 1, 1}, {224, 0, 0, 1}, {255, 255, 255, 255}, {0, 0, 0, 0}, {127, 0, 0, 1}}) {
    EXPECT_FALSE(QuestionOf(ArpRequest({.target = target})));
  }
  Bytes link_local(16);
  link_local[0] = 0xfe;
  link_local[1] = 0x80;
  link_local[15] = 9;
  EXPECT_FALSE(QuestionOf(Solicitation({.target = link_local}))) << "routers are found there";
  Bytes mapped(16);
  mapped[10] = mapped[11] = 0xff;
  mapped[12] = 10;
  EXPECT_FALSE(QuestionOf(Solicitation({.target = mapped})));
  // From a link-local address, as most are asked.
  EXPECT_TRUE(QuestionOf(Solicitation({.from = link_local})));
}

TEST(NeighbourTest, LeavesTaggedFramesAlone) {
  for (Bytes frame : {ArpRequest({}), Solicitation({})}) {
    const uint8_t tag[] = {0x81, 0, 0, 5};
    frame.insert(frame.begin() + 12, tag, tag + 4);
    EXPECT_FALSE(QuestionOf(frame));
  }
}

TEST(NeighbourTest, LeavesCutFramesAlone) {
  for (const Bytes& whole : {ArpRequest({}), Solicitation({})}) {
    const size_t least = whole.size() == 86 ? 86 : 42;  // ARP comes with padding
    for (size_t size = 0; size <= whole.size(); ++size) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_EQ(QuestionOf(cut).has_value(), size >= least) << size;
    }
  }
}

// Of all bytes only these may be others: whom is asked for, and what says nothing about it.
TEST(NeighbourTest, ChecksEveryByte) {
  const Bytes arp = ArpRequest({});
  const Bytes solicitation = Solicitation({});
  for (const Bytes& whole : {arp, solicitation}) {
    const bool is_arp = whole.size() != 86;
    for (size_t at = 0; at < whole.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        Bytes changed = whole;
        changed[at] ^= static_cast<uint8_t>(1 << bit);
        const bool is_free = is_arp ? (at >= 28 && at < 42) || at >= 42  // sender, target, padding
                                    : at >= 14 && at < 18;               // class and flow
        const auto question = QuestionOf(changed);
        if (!is_free) {
          EXPECT_FALSE(question) << at << " bit " << bit;
        }
        if (question && is_arp) {
          EXPECT_EQ(0, std::memcmp(question->target.data() + 12, changed.data() + 38, 4));
        }
      }
    }
  }
}

TEST(NeighbourTest, AnswersAsTheHolderWould) {
  constexpr Mac kHolder = 0x0200000000bb;
  uint8_t out[kMaxNeighbourAnswer];
  const Bytes request = ArpRequest({});
  ASSERT_EQ(WriteNeighbourAnswer(request.data(), *QuestionOf(request), kHolder, out), 60u);
  EXPECT_EQ(Bytes(out, out + 60), test::ArpReply(kHolder));
  const Bytes solicitation = Solicitation({});
  ASSERT_EQ(WriteNeighbourAnswer(solicitation.data(), *QuestionOf(solicitation), kHolder, out),
            86u);
  EXPECT_EQ(Bytes(out, out + 86), test::Advertisement(kHolder));
}

TEST(NeighbourTableTest, FindsWhatWasPutAndNothingElse) {
  constexpr uint32_t kCount = 5000;
  NeighbourTable table({7, 9}, kCount + 2);
  const auto address = [](uint32_t i) {
    return Ipv4(10, static_cast<uint8_t>(i >> 16), static_cast<uint8_t>(i >> 8),
                static_cast<uint8_t>(i));
  };
  for (uint32_t i = 0; i < kCount; ++i) table.Insert(0, address(i), 0x020000000000 + i + 1);
  table.Insert(3, address(1), 77);
  table.Insert(0, Ipv6(1), 78);
  for (uint32_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(table.Find(0, address(i)), 0x020000000000 + i + 1);
    ASSERT_EQ(table.Find(0, address(i + kCount)), 0u);
  }
  EXPECT_EQ(table.Find(3, address(1)), 77u);
  EXPECT_EQ(table.Find(3, address(2)), 0u);
  EXPECT_EQ(table.Find(0, Ipv6(1)), 78u);
  EXPECT_EQ(NeighbourTable({1, 2}).Find(0, address(1)), 0u);
}

// a asks; b and c are peers, and c has the host asked for.
class NeighbourAnswerTest : public testing::Test {
 protected:
  static constexpr Mac kHolder = 0x0200000000bb;
  static constexpr test::Relation kToB{1, 101, 201, 11, 1, 2};
  static constexpr test::Relation kToC{2, 102, 202, 12, 3, 4};

  void SetUp() override {
    test::Connect(a_, b_, kToB);
    test::Connect(a_, c_, kToC);
    ASSERT_EQ(a_.Apply({engine::FdbSet{0, kHolder, 2},
                        engine::NeighbourSet{0, Ipv4(10, 32, 0, 9), kHolder},
                        engine::NeighbourSet{0, Ipv6(9), kHolder}}),
              "");
  }
  /// What a's TAP gets for it; what is sent to peers is counted in `sent_`.
  std::vector<Bytes> Ask(const Bytes& frame) {
    a_.Send(frame);
    a_.DrainTx();
    sent_ = net_.Take().size();
    std::vector<Bytes> out;
    for (const test::TapFrame& got : a_.tap.Take()) out.push_back(got.bytes);
    return out;
  }
  uint64_t Answered() { return a_.TxTotal(Counter::kNeighboursAnswered); }

  test::FakeNet net_;
  TestNode a_{net_, 1};
  TestNode b_{net_, 2};
  TestNode c_{net_, 3};
  size_t sent_ = 0;
};

TEST_F(NeighbourAnswerTest, NobodyElseIsAsked) {
  EXPECT_EQ(Ask(ArpRequest({})), std::vector<Bytes>{test::ArpReply(kHolder)});
  EXPECT_EQ(sent_, 0u);
  EXPECT_EQ(Ask(Solicitation({})), std::vector<Bytes>{test::Advertisement(kHolder)});
  EXPECT_EQ(sent_, 0u);
  EXPECT_EQ(Answered(), 2u);
  EXPECT_EQ(a_.TxTotal(Counter::kFlooded), 0u);
  EXPECT_EQ(a_.AllDropped(), 0u);
}

TEST_F(NeighbourAnswerTest, UnknownOnesAndProbesGoToAll) {
  for (const Bytes& frame :
       {ArpRequest({.target = {10, 32, 0, 10}}), ArpRequest({.from = {0, 0, 0, 0}}),
        Solicitation({.from = Bytes(16)})}) {
    EXPECT_TRUE(Ask(frame).empty());
    EXPECT_EQ(sent_, 2u);
  }
  EXPECT_EQ(Answered(), 0u);
}

TEST_F(NeighbourAnswerTest, AHostBehindAPeerOutOfReachIsAskedItself) {
  ASSERT_EQ(a_.Apply({engine::PeerSet{2, kToC.session, 0}}), "");
  EXPECT_TRUE(Ask(ArpRequest({})).empty());
  EXPECT_EQ(sent_, 1u) << "b";
  const std::vector<engine::Event> events = a_.plane.events.Drain();
  EXPECT_EQ(1, std::count_if(events.begin(), events.end(), [](const engine::Event& event) {
              return event.kind == engine::EventKind::kPeerWanted && event.peer == 2;
            }));
  ASSERT_EQ(a_.Apply({engine::PeerSet{2, kToC.session, kToC.path}}), "");
  EXPECT_EQ(Ask(ArpRequest({})).size(), 1u);
}

TEST_F(NeighbourAnswerTest, AMacThatIsNowhereOrHereIsNoAnswer) {
  ASSERT_EQ(a_.Apply({engine::FdbRemove{0, kHolder}}), "");
  EXPECT_TRUE(Ask(ArpRequest({})).empty());
  ASSERT_EQ(a_.Apply({engine::FdbSet{0, kHolder, 0}}), "");
  EXPECT_TRUE(Ask(ArpRequest({})).empty());
  ASSERT_EQ(a_.Apply({engine::FdbSet{0, kHolder, 2}}), "");
  EXPECT_EQ(Ask(ArpRequest({})).size(), 1u);
  EXPECT_TRUE(Ask(ArpRequest({.sender = kHolder})).empty()) << "its twin";
}

TEST_F(NeighbourAnswerTest, EntriesComeAndGo) {
  constexpr Mac kOther = 0x0200000000cc;
  ASSERT_EQ(
      a_.Apply({engine::FdbSet{0, kOther, 1}, engine::NeighbourSet{0, Ipv4(10, 32, 0, 9), kOther}}),
      "");
  EXPECT_EQ(Ask(ArpRequest({})), std::vector<Bytes>{test::ArpReply(kOther)});
  ASSERT_EQ(a_.Apply({engine::NeighbourRemove{0, Ipv4(10, 32, 0, 9)},
                      engine::NeighbourRemove{0, Ipv4(10, 32, 0, 77)}}),
            "");
  EXPECT_TRUE(Ask(ArpRequest({})).empty());
  EXPECT_EQ(Ask(Solicitation({})).size(), 1u);
  EXPECT_NE(a_.Apply({engine::NeighbourSet{0, Ipv4(10, 32, 0, 9), kOther},
                      engine::NeighbourSet{0, Ipv4(10, 32, 0, 8), 0}}),
            "");
  EXPECT_TRUE(Ask(ArpRequest({})).empty()) << "all or nothing";
}

TEST_F(NeighbourAnswerTest, TheTableIsBounded) {
  std::vector<engine::TableEntry> entries;
  for (uint32_t i = 0; i + 2 < engine::NeighbourStore::kMaxNeighbours; ++i) {
    entries.push_back(
        engine::NeighbourSet{1,
                             Ipv4(10, static_cast<uint8_t>(i >> 16), static_cast<uint8_t>(i >> 8),
                                  static_cast<uint8_t>(i)),
                             kHolder});
  }
  ASSERT_EQ(a_.Apply(entries), "");
  const auto find = [&](const NeighbourAddress& address) {
    return a_.plane.tables.load()->neighbours->Find(1, address);
  };
  EXPECT_EQ(a_.Apply({engine::NeighbourSet{1, Ipv4(11, 0, 0, 1), kHolder}}), "")
      << "what members say ends no batch";
  EXPECT_EQ(find(Ipv4(11, 0, 0, 1)), 0u);
  ASSERT_EQ(a_.Apply({engine::NeighbourSet{1, Ipv4(10, 0, 0, 1), kHolder + 1},
                      engine::NeighbourRemove{1, Ipv4(10, 0, 0, 2)},
                      engine::NeighbourSet{1, Ipv4(11, 0, 0, 1), kHolder}}),
            "");
  EXPECT_EQ(find(Ipv4(11, 0, 0, 1)), kHolder);
  EXPECT_EQ(a_.Apply({engine::NeighbourSet{1, Ipv4(11, 0, 0, 2), kHolder}}), "");
  EXPECT_EQ(find(Ipv4(11, 0, 0, 2)), 0u);
}

}  // namespace
}  // namespace overlayd::core
