#include <napi.h>

#include "native/binding/data_plane.h"
#if __has_include("native/binding/os_module.h")
#include "native/binding/os_module.h"
#endif
#include "native/engine/plane.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  overlayd::binding::DataPlane::Define(env, exports);
#if __has_include("native/binding/os_module.h")
  Napi::Object os = overlayd::binding::InitOs(env);
#else
  Napi::Object os = Napi::Object::New(env);
#endif
  os.Set("bootTimeMs", Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
           return Napi::Number::New(info.Env(),
                                    static_cast<double>(overlayd::engine::BootTimeMs()));
         }));
  exports.Set("os", os);
  return exports;
}

}  // namespace

NODE_API_MODULE(overlayd, Init)
