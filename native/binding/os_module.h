#ifndef OVERLAYD_NATIVE_BINDING_OS_MODULE_H_
#define OVERLAYD_NATIVE_BINDING_OS_MODULE_H_

#include <napi.h>

namespace overlayd::binding {

/// What Node cannot do itself, as src/daemon/os-port.ts names it, and `peerCredentials`:
///
///   lockFile(path: string): number     throws with code EWOULDBLOCK when somebody holds the lock
///   unlockFile(descriptor: number): void
///   setDumpable(isDumpable: boolean): void
///   sdNotify(state: string): boolean
///   bootTimeMs(): number
///   peerCredentials(descriptor: number): { pid: number; uid: number; gid: number }
///   watchNetwork(ignored: string[], callback: () => void): () => void   see network_watch.h
///
/// Errors carry `code`, `errno` and `syscall` as Node's own do. All are fast enough for the
/// JavaScript thread.
Napi::Object InitOs(Napi::Env env);

}  // namespace overlayd::binding

#endif  // OVERLAYD_NATIVE_BINDING_OS_MODULE_H_
