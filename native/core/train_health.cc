#include "native/core/train_health.h"

#include <algorithm>
#include <cmath>

namespace overlayd::core {
namespace {

// Shares of what was sent. A queue that overflows now and then takes a few of a train's last ones; that is no fault.
constexpr double kTrainsLose = 0.3;
constexpr double kTrainsArrive = 0.9;
/// Lone ones lose at most so much of what trains lose.
constexpr double kClearly = 0.25;

// More than 2^31 "since" is a far side that began anew.
bool IsAnew(uint32_t since) { return since > UINT32_MAX / 2; }

double Share(uint32_t part, uint32_t whole) {
  return std::min(1.0, static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace

TrainHealth::Totals TrainHealth::TotalsWith(const ReceiverReport& report) const {
  return {lone_.load(std::memory_order_relaxed),
          first_.load(std::memory_order_relaxed),
          continued_.load(std::memory_order_relaxed),
          singly_.load(std::memory_order_relaxed),
          report.singles,
          report.train_segments};
}

void TrainHealth::BeginWith(const Totals& now) {
  begin_ = now;
  has_begun_ = true;
  reports_ = 0;
}

TrainHealth::Verdict TrainHealth::OnReport(const ReceiverReport& report, bool is_size_lost,
                                           uint64_t now_ms) {
  const Totals now = TotalsWith(report);
  const Totals in{now.lone - begin_.lone,           now.first - begin_.first,
                  now.continued - begin_.continued, now.singly - begin_.singly,
                  now.singles - begin_.singles,     now.train_segments - begin_.train_segments};
  const bool is_mixed = in.continued != 0 && in.singly != 0;
  if (!has_begun_ || is_size_lost || is_mixed || IsAnew(in.singles) || IsAnew(in.train_segments)) {
    BeginWith(now);
    return Verdict::kNone;
  }
  if (++reports_ < kLeastReports) return Verdict::kNone;
  Verdict verdict = Verdict::kNone;
  if (in.continued >= kLeastContinued) verdict = JudgeTrains(in, now_ms);
  if (in.singly >= kLeastContinued) verdict = JudgeSingly(in, now_ms);
  if (verdict != Verdict::kNone || reports_ >= kMostReports) BeginWith(now);
  return verdict;
}

TrainHealth::Verdict TrainHealth::JudgeTrains(const Totals& in, uint64_t now_ms) {
  const double trains = Share(in.train_segments, in.continued);
  if (trains >= kTrainsArrive) {
    pause_ms_ = 0;
    return Verdict::kWell;
  }
  if (trains > 1 - kTrainsLose || in.lone < kLeastLone || now_ms < no_suspicion_until_ms_) {
    return Verdict::kNone;
  }
  // Three more of the trains might have come, and chance spreads the firsts by a few standard deviations.
  const double firsts = in.first * std::min(1.0, (in.train_segments + 3.0) / in.continued);
  const double lone_arrived = in.singles - firsts - 4 * std::sqrt(firsts);
  const double lone = std::clamp(lone_arrived / in.lone, 0.0, 1.0);
  if (1 - lone > kClearly * (1 - trains)) return Verdict::kNone;
  const bool is_first = pause_ms_ == 0;
  pause_ms_ = is_first ? kFirstPauseMs : std::min(2 * pause_ms_, kMaxPauseMs);
  off_until_ms_.store(now_ms + pause_ms_, std::memory_order_relaxed);
  return is_first ? Verdict::kOff : Verdict::kStillOff;
}

TrainHealth::Verdict TrainHealth::JudgeSingly(const Totals& in, uint64_t now_ms) {
  // They may leave singly for other reasons, too.
  if (IsOn(now_ms) || Share(in.train_segments, in.singly) > 1 - kTrainsLose) return Verdict::kNone;
  off_until_ms_.store(0, std::memory_order_relaxed);
  no_suspicion_until_ms_ = now_ms + kNoSuspicionMs;
  return Verdict::kOn;
}

}  // namespace overlayd::core
