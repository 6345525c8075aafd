#include "direction.h"

#include <sys/uio.h>

#include <algorithm>

namespace wire {
namespace {

constexpr size_t kMaxUnderWayBytes = 256 << 20;

ssize_t WriteFrame(int fd, const VnetHeader& header, std::span<const uint8_t> bytes) {
  const iovec parts[] = {
      {const_cast<VnetHeader*>(&header), sizeof header},
      {const_cast<uint8_t*>(bytes.data()), bytes.size()},
  };
  return writev(fd, parts, 2);
}

}  // namespace

bool Direction::Happens(double share) {
  if (share <= 0) return false;
  return std::uniform_real_distribution<double>(0, 1)(random_) < share;
}

void Direction::Accept(const FrameView& frame, int64_t now_ns) {
  const size_t segments = frame.Segments();
  ++counters_.frames;
  counters_.segments += segments;
  counters_.largest = std::max<uint64_t>(counters_.largest, frame.SegmentSize(0));
  if (rules.is_cut) {
    counters_.cut += segments;
    return;
  }
  bool is_too_big = false;
  size_t first = 0;  // of the run of segments that stay together
  for (size_t i = 0; i < segments; ++i) {
    const bool is_capped = rules.cap_bytes != 0 && frame.SegmentSize(i) > rules.cap_bytes;
    const bool is_tail = !is_capped && rules.has_first_only && i != 0;
    const bool is_lost = is_tail || (!is_capped && Happens(rules.loss));
    const bool is_late = !is_capped && !is_lost && Happens(rules.reorder);
    const bool is_double = !is_capped && !is_lost && Happens(rules.duplicate);
    if (is_capped || is_lost || is_late) {
      Forward(frame, first, i, now_ns);
      first = i + 1;
    }
    counters_.capped += is_capped;
    counters_.tails += is_tail;
    counters_.lost += is_lost && !is_tail;
    counters_.reordered += is_late;
    counters_.duplicated += is_double;
    is_too_big |= is_capped;
    if (is_late) {
      Enqueue(frame.Cut(i, 1), now_ns + (rules.delay_us + rules.reorder_us) * 1000);
    }
    if (is_double) {
      Forward(frame, first, i + 1, now_ns);
      Forward(frame, i, i + 1, now_ns);
      first = i + 1;
    }
  }
  Forward(frame, first, segments, now_ns);
  if (!is_too_big || !rules.has_icmp) return;
  const Frame answer = frame.TooBig(rules.cap_bytes);
  if (answer.bytes.empty()) return;
  ++counters_.icmp;
  WriteFrame(back_fd_, answer.header, answer.bytes);
}

void Direction::Forward(const FrameView& frame, size_t first, size_t end, int64_t now_ns) {
  if (first >= end) return;
  const bool is_whole = end - first == frame.Segments();
  int64_t due_ns = now_ns + rules.delay_us * 1000;
  if (rules.jitter_us > 0) {
    due_ns += std::uniform_int_distribution<int64_t>(0, rules.jitter_us * 1000)(random_);
  }
  due_ns = std::max(due_ns, last_due_ns_);
  if (due_ns <= now_ns && is_whole && under_way_.empty()) {
    Write(frame.header(), frame.bytes());
    return;
  }
  last_due_ns_ = due_ns;
  Enqueue(frame.Cut(first, end - first), due_ns);
}

void Direction::Enqueue(Frame frame, int64_t due_ns) {
  if (under_way_bytes_ + frame.bytes.size() > kMaxUnderWayBytes) {
    counters_.overflowed += FrameView(frame.header, frame.bytes).Segments();
    return;
  }
  under_way_bytes_ += frame.bytes.size();
  under_way_.push_back({due_ns, next_order_++, std::move(frame)});
  std::push_heap(under_way_.begin(), under_way_.end());
}

void Direction::Deliver(int64_t now_ns) {
  while (NextDueNs() <= now_ns) {
    std::pop_heap(under_way_.begin(), under_way_.end());
    const Frame frame = std::move(under_way_.back().frame);
    under_way_.pop_back();
    under_way_bytes_ -= frame.bytes.size();
    Write(frame.header, frame.bytes);
  }
}

void Direction::Write(const VnetHeader& header, std::span<const uint8_t> bytes) {
  const FrameView view(header, bytes);
  const size_t segments = view.Segments();
  if (WriteFrame(to_fd_, header, bytes) < 0) {
    counters_.refused += segments;  // the interface is down
    return;
  }
  counters_.delivered += segments;
  for (size_t i = 0; i < segments; ++i) counters_.bytes += view.SegmentSize(i);
}

std::string Direction::CountersJson() const {
  const std::pair<const char*, uint64_t> fields[] = {
      {"frames", counters_.frames},
      {"segments", counters_.segments},
      {"delivered", counters_.delivered},
      {"bytes", counters_.bytes},
      {"lost", counters_.lost},
      {"duplicated", counters_.duplicated},
      {"reordered", counters_.reordered},
      {"capped", counters_.capped},
      {"cut", counters_.cut},
      {"tails", counters_.tails},
      {"icmp", counters_.icmp},
      {"overflowed", counters_.overflowed},
      {"refused", counters_.refused},
      {"largest", counters_.largest},
  };
  std::string json = "{";
  for (const auto& [name, value] : fields) {
    if (json.size() > 1) json += ',';
    json += '"' + std::string(name) + "\":" + std::to_string(value);
  }
  return json + '}';
}

}  // namespace wire
