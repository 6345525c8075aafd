#include "native/binding/network_watch.h"

#include <uv.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "native/os/network_listener.h"

namespace overlayd::binding {
namespace {

constexpr uint64_t kCoalesceMs = 50;

/// Lives until both libuv handles are closed; deletes itself then. JavaScript thread only.
class NetworkWatch {
 public:
  static NetworkWatch* Start(Napi::Env env, uv_loop_t* loop, Napi::Function callback,
                             std::vector<std::string> ignored, int* error) {
    auto watch = std::unique_ptr<NetworkWatch>(
        new NetworkWatch(env, std::move(callback), std::move(ignored)));
    *error = watch->listener_.Open();
    if (*error != 0) return nullptr;
    *error = uv_poll_init(loop, &watch->poll_, watch->listener_.fd());
    if (*error != 0) return nullptr;
    NetworkWatch* raw = watch.release();  // from here on libuv holds it
    uv_timer_init(loop, &raw->timer_);
    raw->poll_.data = raw;
    raw->timer_.data = raw;
    uv_unref(reinterpret_cast<uv_handle_t*>(&raw->poll_));
    uv_unref(reinterpret_cast<uv_handle_t*>(&raw->timer_));
    uv_poll_start(&raw->poll_, UV_READABLE, OnReadable);
    napi_add_env_cleanup_hook(env, OnEnvironmentGone, raw);
    return raw;
  }

  void Stop() {
    if (std::exchange(is_stopped_, true)) return;
    napi_remove_env_cleanup_hook(env_, OnEnvironmentGone, this);
    callback_.Reset();
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), OnClosed);
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), OnClosed);
  }

 private:
  NetworkWatch(Napi::Env env, Napi::Function callback, std::vector<std::string> ignored)
      : env_(env),
        callback_(Napi::Persistent(std::move(callback))),
        context_(env, "overlayd network"),
        listener_(std::move(ignored)) {}

  static void OnReadable(uv_poll_t* handle, int /*status*/, int /*events*/) {
    auto* self = static_cast<NetworkWatch*>(handle->data);
    if (!self->listener_.Drain()) return;
    if (uv_is_active(reinterpret_cast<uv_handle_t*>(&self->timer_)) == 0) {
      uv_timer_start(&self->timer_, OnTimer, kCoalesceMs, 0);
    }
  }

  static void OnTimer(uv_timer_t* handle) {
    auto* self = static_cast<NetworkWatch*>(handle->data);
    const Napi::HandleScope scope(self->env_);
    try {
      self->callback_.MakeCallback(self->env_.Global(), {}, self->context_);
    } catch (const Napi::Error& error) {
      napi_fatal_exception(self->env_, error.Value());
    }
  }

  static void OnEnvironmentGone(void* self) { static_cast<NetworkWatch*>(self)->Stop(); }

  static void OnClosed(uv_handle_t* handle) {
    auto* self = static_cast<NetworkWatch*>(handle->data);
    if (++self->closed_ == 2) delete self;
  }

  Napi::Env env_;
  Napi::FunctionReference callback_;
  Napi::AsyncContext context_;
  os::NetworkListener listener_;
  uv_poll_t poll_{};
  uv_timer_t timer_{};
  int closed_ = 0;
  bool is_stopped_ = false;
};

}  // namespace

Napi::Value WatchNetwork(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 2 || !info[0].IsArray() || !info[1].IsFunction()) {
    throw Napi::TypeError::New(env, "watchNetwork wants names and a function");
  }
  std::vector<std::string> ignored;
  const auto names = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    ignored.push_back(names.Get(i).As<Napi::String>().Utf8Value());
  }
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
    throw Napi::Error::New(env, "no event loop");
  }
  int error = 0;
  NetworkWatch* watch =
      NetworkWatch::Start(env, loop, info[1].As<Napi::Function>(), std::move(ignored), &error);
  if (watch == nullptr) {
    const char* name = strerrorname_np(-error);
    Napi::Error failure = Napi::Error::New(env, std::string(name != nullptr ? name : "EUNKNOWN") +
                                                    ": " + std::strerror(-error) + ", netlink");
    failure.Set("code", Napi::String::New(env, name != nullptr ? name : "EUNKNOWN"));
    failure.Set("errno", Napi::Number::New(env, error));
    throw failure;
  }
  // Once: libuv may have freed it when it is called again.
  auto holder = std::make_shared<NetworkWatch*>(watch);
  return Napi::Function::New(env, [holder](const Napi::CallbackInfo& call) {
    if (NetworkWatch* running = std::exchange(*holder, nullptr)) running->Stop();
    return call.Env().Undefined();
  });
}

}  // namespace overlayd::binding
