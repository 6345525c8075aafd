#include "native/core/gate.h"

#include <sodium.h>

#include <cstring>

#include "native/core/bytes.h"

namespace overlayd::core {
namespace {

GateDecision Drop(DropReason reason) {
  GateDecision decision;
  decision.reason = reason;
  return decision;
}

GateDecision PassUp() {
  GateDecision decision;
  decision.kind = GateDecision::Kind::kPassUp;
  return decision;
}

/// What can be said of a datagram without any state: kNone when it has a valid shape.
DropReason CheckShape(std::span<const uint8_t> datagram) {
  // Type, version and the first index are there in every kind.
  if (datagram.size() < 8) return DropReason::kUdpShort;
  const uint8_t type = datagram[0];
  if (!Gate::IsHandshake(type)) return DropReason::kUdpType;
  const bool is_short = type == kTypeRetry || type == kTypeReject;
  if (datagram.size() != (is_short ? kShortHandshakeBytes : kHandshakeBytes)) {
    return DropReason::kUdpSize;
  }
  const uint8_t version = datagram[kOffsetVersion];
  if (version == 0) return DropReason::kUdpVersion;
  // A later version says what it can speak at most and keeps our fields; its zeros may mean
  // something.
  if (version > kProtocolVersion) return DropReason::kNone;
  switch (type) {
    case kTypeInit:
      if (!AllZero(datagram.subspan(kInitZeros, kInitResume - kInitZeros))) break;
      return DropReason::kNone;
    case kTypeResp:
      if (!AllZero(datagram.subspan(kRespZeros))) break;
      return DropReason::kNone;
    case kTypeFin:
      if (!AllZero(datagram.subspan(kFinZeros))) break;
      return DropReason::kNone;
    case kTypeRetry:
      if (!AllZero(datagram.subspan(2, 2)) || !AllZero(datagram.subspan(kRetryZeros))) break;
      return DropReason::kNone;
    default:
      if (!AllZero(datagram.subspan(2, 2)) || !AllZero(datagram.subspan(kRejectZeros))) break;
      return DropReason::kNone;
  }
  return DropReason::kGateZero;
}

/// Type, version and whose handshake it answers; the rest zero.
GateDecision ShortReply(uint8_t type, std::span<const uint8_t> init) {
  GateDecision decision;
  decision.kind = GateDecision::Kind::kReply;
  decision.reply.fill(0);
  decision.reply[0] = type;
  decision.reply[kOffsetVersion] = kProtocolVersion;
  std::memcpy(&decision.reply[kShortReceiverIndex], &init[kOffsetSenderIndex], 4);
  decision.reply_size = kShortHandshakeBytes;
  return decision;
}

}  // namespace

Gate::Seeds Gate::DrawSeeds(const RandomBytes& random) {
  uint8_t bytes[64];
  random(bytes);
  const auto seed_at = [&bytes](size_t offset) {
    return HashSeed{LoadLe64(bytes + offset), LoadLe64(bytes + offset + 8)};
  };
  Seeds seeds{seed_at(0), seed_at(16), seed_at(32), {}};
  std::memcpy(seeds.recent.data(), bytes + 48, 16);
  return seeds;
}

Gate::Gate(std::span<const uint8_t, kMeshIdBytes> mesh_id, const RandomBytes& random)
    : Gate(mesh_id, random, DrawSeeds(random)) {}

Gate::Gate(std::span<const uint8_t, kMeshIdBytes> mesh_id, const RandomBytes& random,
           const Seeds& seeds)
    : recent_key_(seeds.recent),
      cookies_(random),
      sources_(seeds.sources),
      resumptions_(seeds.hints),
      expected_(seeds.expected),
      recent_(kRecentInits) {
  std::memcpy(mesh_id_.data(), mesh_id.data(), kMeshIdBytes);
}

GateDecision Gate::Inspect(std::span<const uint8_t> datagram, const SourceAddress& from,
                           uint64_t now_ms) {
  const DropReason shape = CheckShape(datagram);
  if (shape != DropReason::kNone) return Drop(shape);
  if (datagram[0] == kTypeInit) return InspectInit(datagram, from, now_ms);
  const bool is_short = datagram.size() == kShortHandshakeBytes;
  const uint32_t index = LoadLe32(&datagram[is_short ? kShortReceiverIndex : kReceiverIndex]);
  const std::lock_guard guard(mutex_);
  TokenBucket& strangers = datagram[0] == kTypeResp    ? resps_
                           : datagram[0] == kTypeFin   ? fins_
                           : datagram[0] == kTypeRetry ? retries_
                                                       : rejects_;
  TokenBucket& bucket = expected_.Take(index, now_ms) ? expected_rate_ : strangers;
  return bucket.TryTake(now_ms) ? PassUp() : Drop(DropReason::kGateRate);
}

GateDecision Gate::InspectInit(std::span<const uint8_t> init, const SourceAddress& from,
                               uint64_t now_ms) {
  if (std::memcmp(&init[kInitMeshId], mesh_id_.data(), kMeshIdBytes) != 0) {
    const std::lock_guard guard(mutex_);
    return RejectOtherMesh(init, now_ms);
  }
  const uint64_t tag = TagOf(init, from);
  const std::lock_guard guard(mutex_);
  if (IsResumed(init, now_ms)) {
    GateDecision decision = PassUp();
    decision.resumed = true;
    return decision;
  }
  const auto cookie = init.subspan<kInitCookie, kCookieBytes>();
  const bool has_cookie =
      !AllZero(cookie) &&
      cookies_.Verify(from, LoadLe32(&init[kOffsetSenderIndex]), cookie, now_ms);
  if (IsRepeat(tag, from, now_ms)) {
    if (!inits_.TryTake(now_ms)) return Drop(DropReason::kGateRate);
    RecentInit& recent = recent_[tag % kRecentInits];
    --recent.left;
    GateDecision decision = PassUp();
    decision.has_cookie = has_cookie;
    return decision;
  }
  if (!has_cookie && !MayWaiveCookie(from, now_ms)) return Retry(init, from, now_ms);
  if (SourceBuckets* source = sources_.Find(from); source && !source->inits.TryTake(now_ms)) {
    return Drop(DropReason::kGateRate);
  }
  if (inits_.Tokens(now_ms) == 0) return Drop(DropReason::kGateRate);
  if (!TakeTokens(from, now_ms)) return Drop(DropReason::kGateToken);
  return Admit(tag, has_cookie, now_ms);
}

/// A known hint with the right MAC, and within its rates. Over the rates it is treated like any
/// other INIT.
bool Gate::IsResumed(std::span<const uint8_t> init, uint64_t now_ms) {
  ResumeTable::Entry* entry = resumptions_.Find(init.subspan<kInitResume, kHintBytes>());
  if (entry == nullptr) return false;
  uint8_t mac[kResumeMacBytes];
  crypto_generichash(mac, sizeof mac, init.data(), kInitResume, entry->pair_key.data(),
                     kPairKeyBytes);
  if (sodium_memcmp(mac, &init[kInitResumeMac], sizeof mac) != 0) return false;
  return entry->inits.TryTake(now_ms) && resumed_.TryTake(now_ms);
}

uint64_t Gate::TagOf(std::span<const uint8_t> init, const SourceAddress& from) const {
  uint8_t input[kInitCookie + 18];
  std::memcpy(input, init.data(), kInitCookie);
  std::memcpy(input + kInitCookie, from.ip.data(), 16);
  StoreLe16(input + kInitCookie + 16, from.port);
  uint8_t tag[crypto_shorthash_BYTES];
  static_assert(crypto_shorthash_BYTES == 8 && crypto_shorthash_KEYBYTES == 16);
  crypto_shorthash(tag, input, sizeof input, recent_key_.data());
  return LoadLe64(tag);
}

bool Gate::IsRepeat(uint64_t tag, const SourceAddress& from, uint64_t now_ms) {
  const RecentInit& recent = recent_[tag % kRecentInits];
  if (recent.tag != tag || recent.left == 0 || now_ms > recent.until_ms) return false;
  SourceBuckets* source = sources_.Find(from);
  return source == nullptr || source->inits.TryTake(now_ms);
}

bool Gate::MayWaiveCookie(const SourceAddress& from, uint64_t now_ms) {
  const SourceBuckets* source = sources_.Find(from);
  return (source == nullptr || source->guesses.IsFull(now_ms)) && node_guesses_.IsHalfFull(now_ms);
}

/// Both tokens or none. Makes the source's place only together with taking a node token: see
/// source_table.h.
bool Gate::TakeTokens(const SourceAddress& from, uint64_t now_ms) {
  if (node_guesses_.Tokens(now_ms) == 0) return false;
  if (const SourceBuckets* source = sources_.Find(from);
      source && source->guesses.Tokens(now_ms) == 0) {
    return false;
  }
  SourceBuckets& source = sources_.FindOrAdd(from, now_ms);
  return node_guesses_.TryTake(now_ms) && source.guesses.TryTake(now_ms);
}

GateDecision Gate::Admit(uint64_t tag, bool has_cookie, uint64_t now_ms) {
  if (!inits_.TryTake(now_ms)) return Drop(DropReason::kGateRate);
  recent_[tag % kRecentInits] = {tag, now_ms + GateLimits::kRepeatMs, GateLimits::kRepeats};
  GateDecision decision = PassUp();
  decision.has_cookie = has_cookie;
  return decision;
}

GateDecision Gate::Retry(std::span<const uint8_t> init, const SourceAddress& from,
                         uint64_t now_ms) {
  if (!retries_sent_.TryTake(now_ms)) return Drop(DropReason::kGateRate);
  GateDecision decision = ShortReply(kTypeRetry, init);
  cookies_.Make(from, LoadLe32(&init[kOffsetSenderIndex]), now_ms,
                std::span<uint8_t, kShortHandshakeBytes>(decision.reply)
                    .subspan<kRetryCookie, kCookieBytes>());
  return decision;
}

GateDecision Gate::RejectOtherMesh(std::span<const uint8_t> init, uint64_t now_ms) {
  if (!rejects_sent_.TryTake(now_ms)) return Drop(DropReason::kUdpMesh);
  GateDecision decision = ShortReply(kTypeReject, init);
  std::memcpy(&decision.reply[kRejectSid], &init[kInitSid], kSidBytes);
  decision.reply[kRejectReason] = kRejectOtherMesh;
  decision.other_mesh = true;
  decision.reason = DropReason::kUdpMesh;
  return decision;
}

void Gate::NoteSent(std::span<const uint8_t> datagram, uint64_t now_ms) {
  if (datagram.size() != kHandshakeBytes) return;
  if (datagram[0] != kTypeInit && datagram[0] != kTypeResp) return;
  const std::lock_guard guard(mutex_);
  expected_.Note(LoadLe32(&datagram[kOffsetSenderIndex]), now_ms);
}

void Gate::ReturnToken(const SourceAddress& from) {
  const std::lock_guard guard(mutex_);
  if (SourceBuckets* source = sources_.Find(from)) source->guesses.Return();
  node_guesses_.Return();
}

bool Gate::SetResume(std::span<const uint8_t, kHintBytes> hint,
                     std::span<const uint8_t, kPairKeyBytes> pair_key) {
  const std::lock_guard guard(mutex_);
  return resumptions_.Set(hint, pair_key);
}

void Gate::RemoveResume(std::span<const uint8_t, kHintBytes> hint) {
  const std::lock_guard guard(mutex_);
  resumptions_.Remove(hint);
}

}  // namespace overlayd::core
