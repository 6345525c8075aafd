#include "native/core/path_clock.h"

#include <algorithm>
#include <limits>

namespace overlayd::core {
namespace {

constexpr uint64_t kLeastPatienceUs = 20'000;
constexpr uint64_t kMostPatienceUs = 3'000'000;
/// What took longer was not on its way: one of us was asleep.
constexpr uint64_t kMostRttUs = 10'000'000;

uint64_t Since(uint64_t now_us, uint64_t then_us) {
  return now_us > then_us ? now_us - then_us : 0;
}

}  // namespace

void PathClock::OnSent(uint64_t now_us, uint32_t sequence) {
  sent_[sequence % kWindow] = {now_us, sequence, true, false};
  next_sequence_ = (sequence + 1) & ~kProbeSequenceBit;
  last_sent_us_ = now_us;
  has_sent_ = true;
  ++unanswered_;
  if (unanswered_ == 1) first_unanswered_us_ = now_us;
  if (unanswered_ == kUnansweredToDie) third_unanswered_us_ = now_us;
  if (state_ == State::kDead) backoff_us_ = std::min(backoff_us_ * 2, backoff_limit_us_);
}

PathClock::PongResult PathClock::OnPong(uint64_t now_us, uint32_t sequence) {
  Sent& sent = sent_[sequence % kWindow];
  if (!sent.is_used || sent.sequence != sequence || sent.is_answered) return {};
  sent.is_answered = true;
  const uint32_t rtt_us = static_cast<uint32_t>(
      std::min<uint64_t>(Since(now_us, sent.at_us), std::numeric_limits<uint32_t>::max()));
  if (rtt_us <= kMostRttUs) UpdateRtt(rtt_us);
  return {true, BecomeAlive(), rtt_us, sent.at_us};
}

bool PathClock::OnProbeAnswered(uint64_t now_us) {
  // Counts as carrying: whoever probes is about to use the path.
  last_carried_us_ = now_us;
  has_carried_ = true;
  return BecomeAlive();
}

bool PathClock::BecomeAlive() {
  unanswered_ = 0;
  backoff_us_ = kFirstBackoffUs;
  const bool was_alive = state_ == State::kAlive;
  state_ = State::kAlive;
  return !was_alive;
}

PathClock::TickResult PathClock::Tick(uint64_t now_us, bool carried_frames) {
  if (carried_frames) {
    last_carried_us_ = now_us;
    has_carried_ = true;
  }
  TickResult result;
  if (state_ != State::kDead && unanswered_ >= kUnansweredToDie &&
      now_us >= DeathUs(third_unanswered_us_)) {
    state_ = State::kDead;
    backoff_us_ = kFirstBackoffUs;
    result.became_dead = true;
  }
  uint64_t next_ping_us = NextPingUs(now_us);
  if (now_us >= next_ping_us) {
    result.send_ping = true;
    // What it will be once OnSent was called.
    next_ping_us = now_us + (state_ == State::kDead ? std::min(backoff_us_ * 2, backoff_limit_us_)
                                                    : kBusyIntervalUs);
  }
  result.next_deadline_us = next_ping_us;
  if (state_ == State::kDead) return result;
  if (unanswered_ >= kUnansweredToDie) {
    result.next_deadline_us = std::min(next_ping_us, DeathUs(third_unanswered_us_));
  } else if (result.send_ping && unanswered_ + 1 == kUnansweredToDie) {
    result.next_deadline_us = std::min(next_ping_us, DeathUs(now_us));
  }
  return result;
}

void PathClock::Kick() {
  has_sent_ = false;
  backoff_us_ = kFirstBackoffUs;
}

uint64_t PathClock::PatienceUs() const {
  return std::clamp(uint64_t{srtt_us_} + 4 * uint64_t{rttvar_us_}, kLeastPatienceUs,
                    kMostPatienceUs);
}

/// The third one gets the time an answer takes, but no more than the next PING would: a jittery
/// path dies as soon.
uint64_t PathClock::DeathUs(uint64_t third_us) const {
  return std::max(first_unanswered_us_ + 8 * uint64_t{srtt_us_},
                  third_us + std::min(PatienceUs(), kBusyIntervalUs));
}

uint64_t PathClock::NextPingUs(uint64_t now_us) const {
  if (!has_sent_) return now_us;
  if (state_ == State::kDead) return last_sent_us_ + backoff_us_;
  if (IsBusy(now_us)) return last_sent_us_ + kBusyIntervalUs;
  if (unanswered_ > 0) return last_sent_us_ + std::max(kBusyIntervalUs, PatienceUs());
  return last_sent_us_ + kIdleIntervalUs;
}

bool PathClock::IsBusy(uint64_t now_us) const {
  return has_carried_ && Since(now_us, last_carried_us_) < kBusyForUs;
}

void PathClock::UpdateRtt(uint32_t rtt_us) {
  // RFC 6298 §2, alpha = 1/8 and beta = 1/4; a smaller one among the first begins anew.
  const bool is_cold = rtt_samples_ < kColdSamples;
  if (is_cold) ++rtt_samples_;
  if (!has_rtt_ || (is_cold && rtt_us < srtt_us_)) {
    has_rtt_ = true;
    srtt_us_ = rtt_us;
    rttvar_us_ = rtt_us / 2;
    return;
  }
  const uint32_t error = srtt_us_ > rtt_us ? srtt_us_ - rtt_us : rtt_us - srtt_us_;
  rttvar_us_ = static_cast<uint32_t>((3 * uint64_t{rttvar_us_} + error) / 4);
  srtt_us_ = static_cast<uint32_t>((7 * uint64_t{srtt_us_} + rtt_us) / 8);
}

uint32_t PathClock::LossPermille(uint64_t now_us) const {
  uint32_t known = 0;
  uint32_t lost = 0;
  for (const Sent& sent : sent_) {
    if (!sent.is_used) continue;
    // Later answers still count as answers: the verdict is taken back then.
    const bool is_late = Since(now_us, sent.at_us) > std::max(kBusyIntervalUs, PatienceUs());
    if (!sent.is_answered && !is_late) continue;
    ++known;
    lost += !sent.is_answered;
  }
  return known == 0 ? 0 : lost * 1000 / known;
}

}  // namespace overlayd::core
