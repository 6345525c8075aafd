#ifndef OVERLAYD_NATIVE_BINDING_DATA_PLANE_H_
#define OVERLAYD_NATIVE_BINDING_DATA_PLANE_H_

#include <napi.h>

#include <cstddef>
#include <memory>

#include "native/engine/engine.h"

namespace overlayd::binding {

/// The class behind src/dataplane/native.ts; the promises are those of src/dataplane/dataplane.ts.
class DataPlane : public Napi::ObjectWrap<DataPlane> {
 public:
  static void Define(Napi::Env env, Napi::Object exports);
  explicit DataPlane(const Napi::CallbackInfo& info);
  ~DataPlane() override;

 private:
  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value ReopenTap(const Napi::CallbackInfo& info);
  Napi::Value OpenNetwork(const Napi::CallbackInfo& info);
  void CloseNetwork(const Napi::CallbackInfo& info);
  Napi::Value Apply(const Napi::CallbackInfo& info);
  void Send(const Napi::CallbackInfo& info);
  void OnReadable(const Napi::CallbackInfo& info);
  Napi::Value Drain(const Napi::CallbackInfo& info);
  Napi::Value ReadCounters(const Napi::CallbackInfo& info);
  Napi::Value DumpFdb(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void Shut();
  static void OnEnvironmentEnd(void* self);
  static void CallBack(Napi::Env env, Napi::Function callback, std::nullptr_t*, std::nullptr_t*);
  using Wake = Napi::TypedThreadSafeFunction<std::nullptr_t, std::nullptr_t, &DataPlane::CallBack>;
  engine::Engine& Opened(Napi::Env env);

  const napi_env env_;
  std::unique_ptr<engine::Engine> engine_;
  Wake wake_;
  bool has_wake_ = false;
};

}  // namespace overlayd::binding

#endif  // OVERLAYD_NATIVE_BINDING_DATA_PLANE_H_
