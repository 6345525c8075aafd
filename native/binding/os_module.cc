#include "native/binding/os_module.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "native/binding/network_watch.h"
#include "native/binding/password_hash.h"
#include "native/os/bound_socket.h"
#include "native/os/file_lock.h"
#include "native/os/frame_sender.h"
#include "native/os/peer_credentials.h"
#include "native/os/process.h"
#include "native/os/sd_notify.h"

namespace overlayd::binding {
namespace {

/// Leaves an error of Node's shape pending; `number` is a positive errno.
Napi::Value ThrowErrno(Napi::Env env, int number, const char* syscall, const std::string& path) {
  // EAGAIN has the same number on Linux; of a lock, this is the name that says what happened.
  const char* name = number == EWOULDBLOCK ? "EWOULDBLOCK" : strerrorname_np(number);
  const std::string code = name != nullptr ? name : "EUNKNOWN";
  std::string message = code + ": " + std::strerror(number) + ", " + syscall;
  if (!path.empty()) message += " '" + path + "'";
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  error.Set("errno", Napi::Number::New(env, -number));
  error.Set("syscall", Napi::String::New(env, syscall));
  if (!path.empty()) error.Set("path", Napi::String::New(env, path));
  error.ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value ThrowType(Napi::Env env, const char* message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

/// -1 unless the first argument is a descriptor that is not one of the standard three.
int DescriptorOf(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsNumber()) return -1;
  const int descriptor = info[0].As<Napi::Number>().Int32Value();
  return descriptor > 2 ? descriptor : -1;
}

Napi::Value LockFile(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsString()) return ThrowType(info.Env(), "path is a string");
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  if (path.find('\0') != std::string::npos) return ThrowType(info.Env(), "path has a zero byte");
  const int descriptor = os::LockFile(path.c_str());
  if (descriptor == -EWOULDBLOCK) return ThrowErrno(info.Env(), EWOULDBLOCK, "flock", path);
  if (descriptor < 0) return ThrowErrno(info.Env(), -descriptor, "open", path);
  return Napi::Number::New(info.Env(), descriptor);
}

Napi::Value UnlockFile(const Napi::CallbackInfo& info) {
  const int descriptor = DescriptorOf(info);
  if (descriptor < 0) return ThrowType(info.Env(), "descriptor is one that lockFile returned");
  os::UnlockFile(descriptor);
  return info.Env().Undefined();
}

Napi::Value SetDumpable(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsBoolean()) {
    return ThrowType(info.Env(), "isDumpable is a boolean");
  }
  const int result = os::SetDumpable(info[0].As<Napi::Boolean>().Value());
  return result == 0 ? info.Env().Undefined() : ThrowErrno(info.Env(), -result, "prctl", "");
}

Napi::Value SdNotify(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsString()) return ThrowType(info.Env(), "state is a string");
  return Napi::Boolean::New(info.Env(), os::NotifySystemd(info[0].As<Napi::String>().Utf8Value()));
}

Napi::Value BootTimeMs(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(os::BootTimeMs()));
}

Napi::Value PeerCredentials(const Napi::CallbackInfo& info) {
  const int descriptor = DescriptorOf(info);
  if (descriptor < 0) return ThrowType(info.Env(), "descriptor is that of a connected socket");
  os::PeerCredentials credentials;
  const int result = os::GetPeerCredentials(descriptor, credentials);
  if (result != 0) return ThrowErrno(info.Env(), -result, "getsockopt", "");
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("pid", Napi::Number::New(info.Env(), credentials.pid));
  object.Set("uid", Napi::Number::New(info.Env(), credentials.uid));
  object.Set("gid", Napi::Number::New(info.Env(), credentials.gid));
  return object;
}

Napi::Value OpenBoundSocket(const Napi::CallbackInfo& info) {
  if (info.Length() < 4 || !info[0].IsString() || !info[1].IsString() || !info[2].IsString() ||
      !info[3].IsNumber()) {
    return ThrowType(info.Env(), "transport, device and address are strings, port is a number");
  }
  const std::string transport = info[0].As<Napi::String>().Utf8Value();
  if (transport != "udp" && transport != "tcp") {
    return ThrowType(info.Env(), "transport is udp or tcp");
  }
  const std::string device = info[1].As<Napi::String>().Utf8Value();
  const std::string address = info[2].As<Napi::String>().Utf8Value();
  const auto port = static_cast<uint16_t>(info[3].As<Napi::Number>().Uint32Value());
  const int fd = os::OpenBoundSocket(transport == "tcp", device.c_str(), address.c_str(), port);
  if (fd < 0) return ThrowErrno(info.Env(), -fd, "bind", address + " on " + device);
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value SendFrame(const Napi::CallbackInfo& info) {
  if (info.Length() < 2 || !info[0].IsString() || !info[1].IsTypedArray() ||
      info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    return ThrowType(info.Env(), "interface is a string, frame a Uint8Array");
  }
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  const auto frame = info[1].As<Napi::Uint8Array>();
  const int result = os::SendFrame(name.c_str(), {frame.Data(), frame.ByteLength()});
  return result == 0 ? info.Env().Undefined() : ThrowErrno(info.Env(), -result, "sendto", name);
}

}  // namespace

Napi::Object InitOs(Napi::Env env) {
  Napi::Object exports = Napi::Object::New(env);
  exports.Set("lockFile", Napi::Function::New(env, LockFile, "lockFile"));
  exports.Set("unlockFile", Napi::Function::New(env, UnlockFile, "unlockFile"));
  exports.Set("setDumpable", Napi::Function::New(env, SetDumpable, "setDumpable"));
  exports.Set("sdNotify", Napi::Function::New(env, SdNotify, "sdNotify"));
  exports.Set("bootTimeMs", Napi::Function::New(env, BootTimeMs, "bootTimeMs"));
  exports.Set("peerCredentials", Napi::Function::New(env, PeerCredentials, "peerCredentials"));
  exports.Set("openBoundSocket", Napi::Function::New(env, OpenBoundSocket, "openBoundSocket"));
  exports.Set("sendFrame", Napi::Function::New(env, SendFrame, "sendFrame"));
  exports.Set("hashPassword", Napi::Function::New(env, HashPassword, "hashPassword"));
  exports.Set("watchNetwork", Napi::Function::New(env, WatchNetwork, "watchNetwork"));
  return exports;
}

}  // namespace overlayd::binding
