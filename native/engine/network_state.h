#ifndef OVERLAYD_NATIVE_ENGINE_NETWORK_STATE_H_
#define OVERLAYD_NATIVE_ENGINE_NETWORK_STATE_H_

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "native/core/mac.h"
#include "native/core/tables.h"
#include "native/io/tap_device.h"

namespace overlayd::engine {

/// What workers need of a network beside its entry in the tables, by local index. The control thread fills it in before
/// a snapshot shows that index, and empties it when no worker can hold such a snapshot any more.
struct NetworkState {
  std::string tap_name;
  /// By queue pair. Those of the default network belong to the workers themselves.
  std::vector<std::unique_ptr<io::TapQueue>> queues;
  /// Refused as source of frames from peers.
  std::vector<core::Mac> own_macs;
};

using NetworkStates = std::array<NetworkState, core::kMaxNetworks>;

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_NETWORK_STATE_H_
