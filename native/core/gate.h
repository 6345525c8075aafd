#ifndef OVERLAYD_NATIVE_CORE_GATE_H_
#define OVERLAYD_NATIVE_CORE_GATE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "native/core/cookie_jar.h"
#include "native/core/drop_reason.h"
#include "native/core/expected_replies.h"
#include "native/core/handshake_layout.h"
#include "native/core/keyed_hash.h"
#include "native/core/resume_table.h"
#include "native/core/source_address.h"
#include "native/core/source_table.h"
#include "native/core/token_bucket.h"

/*
 * The gate: what becomes of datagrams from strangers (INIT, RESP, FIN, RETRY, REJECT), before
 * JavaScript hears of them. docs/protocol.md#1 and #2.
 *
 *   type, size, version, zeros ── wrong ──> drop
 *        │
 *      INIT             RESP, FIN, RETRY, REJECT ── answers us? own rate : strangers' ──> up
 *        │
 *   mesh ── other ──> REJECT (10/s) or drop
 *        │
 *   resume MAC right, hint 2/s, all 50/s ─────> up       takes no token
 *        │
 *   let in less than 6 s ago, same source ────> up       a repetition: its token was taken then
 *        │
 *   cookie right ── source and node token ────> up       takes both
 *        │      └── none left ──> drop
 *        │
 *   source bucket full, node bucket ≥ half ───> up       takes both
 *        │
 *      RETRY with a cookie
 *
 * All INITs but resumed ones share 200/s upwards, and 20/s per source.
 *
 * A guess token stands for one guess at the password, since each INIT answered by a RESP allows
 * one. So that nobody can use up the tokens of others, forged addresses must not take them: a
 * cookie shows that the sender receives at its address. For the first INIT of a quiet source the
 * cookie is waived, which saves honest nodes a round trip. What can forged addresses take then? Of
 * any source its top token only (after that the bucket is not full, and RETRY is the answer, until
 * it is refilled or returned), and of the node bucket its upper half only. A sender with a cookie
 * has four tokens and half a node bucket that no forger can touch.
 *
 * A repetition of the same INIT bytes (but the cookie) from the same address and port is the same
 * guess: it gets the same RESP. It is let in up to 8 times without another token.
 *
 * The table of sources is bounded and needs no clever eviction, see source_table.h. RETRY needs no
 * memory at all; at most 20 000 a second are made, which bounds the work that a flood of forged
 * INITs can cause.
 *
 * RESP, FIN, RETRY and REJECT name an index of ours. Those that answer a handshake we sent within
 * 15 s (NoteSent) have a rate apart from the others, so that a flood of forged ones cannot keep a
 * handshake from completing; the others still pass at a low rate, since we may have restarted or
 * forgotten.
 *
 * Any thread may call anything: one mutex, taken after the checks that need no state. DATA never
 * comes here.
 */
namespace overlayd::core {

struct GateDecision {
  enum class Kind : uint8_t {
    kDrop,    ///< It ends here.
    kPassUp,  ///< Hand the datagram to the control plane with the flags.
    kReply,   ///< Send reply[0..reply_size) to where it came from; the datagram ends here.
  };
  Kind kind = Kind::kDrop;
  /// To be counted unless kNone: with kDrop always, with kReply for other meshes.
  DropReason reason = DropReason::kNone;
  /// The cookie was right: the sender receives at this address.
  bool has_cookie = false;
  /// The hint's MAC was right: a known member.
  bool resumed = false;
  /// An INIT of another mesh (with kReply): report it once more than counted. Rate limited already.
  bool other_mesh = false;
  uint8_t reply_size = 0;
  std::array<uint8_t, kShortHandshakeBytes> reply;
};

/// All limits of the gate, in one place for tests and documents.
struct GateLimits {
  static constexpr TokenRate kInits{200, 200'000};
  static constexpr TokenRate kResumed{50, 50'000};
  static constexpr TokenRate kNodeGuesses{64, 8'000};
  static constexpr TokenRate kExpected{1'000, 1'000'000};
  static constexpr TokenRate kResps{500, 500'000};
  static constexpr TokenRate kFins{500, 500'000};
  static constexpr TokenRate kRetries{100, 100'000};
  static constexpr TokenRate kRejects{20, 20'000};
  static constexpr TokenRate kRetriesSent{2'000, 20'000'000};
  static constexpr TokenRate kRejectsSent{10, 10'000};
  static constexpr uint64_t kRepeatMs = 6'000;
  static constexpr uint8_t kRepeats = 8;
};

class Gate {
 public:
  /// `random` is called during construction and when the cookie secret is replaced (every 120 s,
  /// under the lock).
  Gate(std::span<const uint8_t, kMeshIdBytes> mesh_id, const RandomBytes& random);
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// True for the first bytes the gate is responsible for.
  [[nodiscard]] static bool IsHandshake(uint8_t type) {
    return type >= kTypeInit && type <= kTypeReject;
  }

  /// Decides about one whole datagram. `now_ms` from any monotonic clock, the same one always.
  [[nodiscard]] GateDecision Inspect(std::span<const uint8_t> datagram, const SourceAddress& from,
                                     uint64_t now_ms);

  /// We sent this handshake datagram: answers to its index are expected. Only INIT and RESP matter,
  /// others are ignored.
  void NoteSent(std::span<const uint8_t> datagram, uint64_t now_ms);

  /// A valid FIN arrived from there: its guess was right, so it does not count. Only for handshakes
  /// not `resumed`.
  void ReturnToken(const SourceAddress& from);

  /// False when 8192 hints are set.
  [[nodiscard]] bool SetResume(std::span<const uint8_t, kHintBytes> hint,
                               std::span<const uint8_t, kPairKeyBytes> pair_key);
  void RemoveResume(std::span<const uint8_t, kHintBytes> hint);

 private:
  /// INITs let in lately, by a keyed hash; a collision only costs the discount for repetitions.
  struct RecentInit {
    uint64_t tag = 0;
    uint64_t until_ms = 0;
    uint8_t left = 0;
  };
  static constexpr size_t kRecentInits = 1024;
  struct Seeds {
    HashSeed sources;
    HashSeed hints;
    HashSeed expected;
    std::array<uint8_t, 16> recent;
  };
  static Seeds DrawSeeds(const RandomBytes& random);
  Gate(std::span<const uint8_t, kMeshIdBytes> mesh_id, const RandomBytes& random,
       const Seeds& seeds);

  GateDecision InspectInit(std::span<const uint8_t> init, const SourceAddress& from,
                           uint64_t now_ms);
  bool IsResumed(std::span<const uint8_t> init, uint64_t now_ms);
  bool IsRepeat(uint64_t tag, const SourceAddress& from, uint64_t now_ms);
  bool TakeTokens(const SourceAddress& from, uint64_t now_ms);
  bool MayWaiveCookie(const SourceAddress& from, uint64_t now_ms);
  uint64_t TagOf(std::span<const uint8_t> init, const SourceAddress& from) const;
  GateDecision Admit(uint64_t tag, bool has_cookie, uint64_t now_ms);
  GateDecision Retry(std::span<const uint8_t> init, const SourceAddress& from, uint64_t now_ms);
  GateDecision RejectOtherMesh(std::span<const uint8_t> init, uint64_t now_ms);

  std::array<uint8_t, kMeshIdBytes> mesh_id_;
  std::array<uint8_t, 16> recent_key_;
  std::mutex mutex_;
  // Guarded by mutex_ from here on.
  CookieJar cookies_;
  SourceTable sources_;
  ResumeTable resumptions_;
  ExpectedReplies expected_;
  std::vector<RecentInit> recent_;
  TokenBucket node_guesses_{GateLimits::kNodeGuesses};
  TokenBucket inits_{GateLimits::kInits};
  TokenBucket resumed_{GateLimits::kResumed};
  TokenBucket expected_rate_{GateLimits::kExpected};
  TokenBucket resps_{GateLimits::kResps};
  TokenBucket fins_{GateLimits::kFins};
  TokenBucket retries_{GateLimits::kRetries};
  TokenBucket rejects_{GateLimits::kRejects};
  TokenBucket retries_sent_{GateLimits::kRetriesSent};
  TokenBucket rejects_sent_{GateLimits::kRejectsSent};
};

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_GATE_H_
