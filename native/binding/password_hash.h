#ifndef OVERLAYD_NATIVE_BINDING_PASSWORD_HASH_H_
#define OVERLAYD_NATIVE_BINDING_PASSWORD_HASH_H_

#include <napi.h>

namespace overlayd::binding {

/// hashPassword of src/daemon/os-port.ts: Argon2id on a thread of libuv's pool; a promise.
Napi::Value HashPassword(const Napi::CallbackInfo& info);

}  // namespace overlayd::binding

#endif  // OVERLAYD_NATIVE_BINDING_PASSWORD_HASH_H_
