#include "native/engine/sealer.h"

#include <cerrno>
#include <cstring>

#include "native/core/fragment.h"
#include "native/core/wire.h"
#include "native/engine/relay_path.h"

namespace overlayd::engine {
namespace {

using core::Counter;
using core::DropReason;

constexpr size_t kMaxProbe = 65507;

}  // namespace

bool Sealer::Send(core::Session& session, core::InnerKind kind, std::span<const uint8_t> content,
                  const core::SourceAddress& to, size_t max_datagram, PathState* path) {
  const uint32_t phase = session.tx_phase.load(std::memory_order_acquire);
  if (phase == core::kNoTxPhase) {
    counters_.Drop(DropReason::kNoSession);
    return false;
  }
  const size_t room = max_datagram - core::kDatagramOverhead - core::HeaderSizeTo(to);
  if (content.size() <= room) {
    const uint64_t counter = core::ReserveCounters(session.tx[phase & 1], 1);
    return SendOne(session, phase, counter, kind, {}, content, to, path);
  }
  const core::FragmentPlan plan =
      core::PlanFragments(content.size(), room - core::kFragmentHeaderBytes);
  if (plan.count == 0) {
    counters_.Drop(DropReason::kTooBig);
    return false;
  }
  const uint64_t first = core::ReserveCounters(session.tx[phase & 1], plan.count);
  bool is_sent = true;
  for (uint8_t i = 0; i < plan.count; ++i) {
    uint8_t header[core::kFragmentHeaderBytes];
    core::WriteFragmentHeader(header, plan, i, static_cast<uint8_t>(kind));
    is_sent &= SendOne(session, phase, first + i, core::InnerKind::kFragment, header,
                       content.subspan(plan.OffsetOf(i), plan.LengthOf(i)), to, path);
  }
  counters_.Add(Counter::kFragmentsTx, plan.count);
  return is_sent;
}

bool Sealer::SendOne(core::Session& session, uint32_t phase, uint64_t counter, core::InnerKind kind,
                     std::span<const uint8_t> header, std::span<const uint8_t> content,
                     const core::SourceAddress& to, PathState* path) {
  const Route route = RouteTo(*plane_.tables.load(std::memory_order_acquire), to);
  if (route.problem != DropReason::kNone) {
    counters_.Drop(route.problem);
    return false;
  }
  const size_t size = core::kDatagramOverhead + header.size() + content.size();
  const size_t whole_size = route.header_size + size;
  if (whole_size > kMaxProbe) {
    counters_.Drop(DropReason::kTooBig);
    return false;
  }
  io::UdpSocket* socket = sockets_.For(route.to);
  if (socket == nullptr) {
    counters_.Drop(DropReason::kNoPath);
    return false;
  }
  std::vector<uint8_t> whole(whole_size);  // a few a second: no arena needed
  route.WriteFront(whole.data());
  uint8_t* datagram = whole.data() + route.header_size;
  uint8_t* inner = datagram + core::kDataHeaderSize;
  core::WriteDataHeader(datagram, {static_cast<uint8_t>(phase), session.remote_index, counter});
  core::WriteInnerHeader(inner, kind, 0, 0);
  uint8_t* at = inner + core::kInnerHeaderSize;
  if (!header.empty()) std::memcpy(at, header.data(), header.size());
  at += header.size();
  if (!content.empty()) std::memcpy(at, content.data(), content.size());
  plane_.AeadOf(session).seal(session.tx[phase & 1].key, scratch_, datagram, counter, inner,
                              size - core::kDataHeaderSize - core::kTagSize, inner);
  counters_.Add(Counter::kSealed);
  session.tx_packets.fetch_add(1, std::memory_order_relaxed);
  session.tx_bytes.fetch_add(size, std::memory_order_relaxed);
  const int error = socket->SendOne(whole.data(), whole_size, route.to);
  if (error != 0) {
    counters_.Drop(error == -EMSGSIZE ? DropReason::kTooBig : DropReason::kSendError);
    return false;
  }
  counters_.Add(Counter::kUdpTxDatagrams);
  counters_.Add(Counter::kUdpTxBytes, whole_size);
  if (path != nullptr) {
    path->tx_datagrams.fetch_add(1, std::memory_order_relaxed);
    path->tx_bytes.fetch_add(whole_size, std::memory_order_relaxed);
  }
  return true;
}

}  // namespace overlayd::engine
