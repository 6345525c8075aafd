#include <napi.h>

#include "native/binding/data_plane.h"
#include "native/binding/os_module.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  overlayd::binding::DataPlane::Define(env, exports);
  exports.Set("os", overlayd::binding::InitOs(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(overlayd, Init)
