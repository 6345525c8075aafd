#include "native/engine/neighbour_answer.h"

#include <optional>

#include "native/core/neighbour.h"

namespace overlayd::engine {

bool AnswerNeighbour(const core::Tables& tables, uint32_t network_index, const uint8_t* frame,
                     size_t size, const core::FrameInfo& info, io::TapQueue& tap,
                     core::CounterBlock& counters, uint32_t* away) {
  *away = 0;
  const std::optional<core::NeighbourQuestion> question =
      core::NeighbourQuestionOf(frame, size, info);
  if (!question) return false;
  const uint32_t network = tables.networks[network_index].id;
  const core::Mac mac = tables.neighbours->Find(network, question->target);
  // Whoever asks for the address of a MAC that is its own has a twin: both shall meet.
  if (mac == 0 || mac == core::LoadMac(frame + 6)) return false;
  const uint32_t peer = tables.declared_fdb.Find(core::FdbKey(network_index, mac));
  if (peer == core::kNoSlot || peer == core::kLocalPeer) return false;
  const core::PeerEntry& entry = tables.peers[peer];
  if (entry.session == core::kNoSlot || entry.path == core::kNoSlot) {
    *away = peer;
    return false;
  }
  uint8_t answer[core::kMaxNeighbourAnswer];
  const core::Slice slice{answer, core::WriteNeighbourAnswer(frame, *question, mac, answer)};
  if (tap.Write({}, &slice, 1) < 0) return false;
  counters.Add(core::Counter::kNeighboursAnswered);
  return true;
}

}  // namespace overlayd::engine
