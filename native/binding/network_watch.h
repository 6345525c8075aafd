#ifndef OVERLAYD_NATIVE_BINDING_NETWORK_WATCH_H_
#define OVERLAYD_NATIVE_BINDING_NETWORK_WATCH_H_

#include <napi.h>

namespace overlayd::binding {

/// watchNetwork(ignored: string[], callback: () => void): () => void
///
/// Calls back on the JavaScript thread, 50 ms after a link, an address or a route changed on an interface that is not
/// in `ignored`; everything that happens until then is one call. The function it returns ends it. Does not keep the
/// process alive. Throws with `code` and `errno` when the kernel refuses the socket.
Napi::Value WatchNetwork(const Napi::CallbackInfo& info);

}  // namespace overlayd::binding

#endif  // OVERLAYD_NATIVE_BINDING_NETWORK_WATCH_H_
