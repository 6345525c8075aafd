#ifndef OVERLAYD_NATIVE_BINDING_ARGUMENTS_H_
#define OVERLAYD_NATIVE_BINDING_ARGUMENTS_H_

#include <napi.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "native/core/source_address.h"

/*
 * JavaScript values to C++ values. native.ts is the only caller and is typed; what does not fit here is a bug of ours
 * and throws a TypeError that names the field.
 */
namespace overlayd::binding {

[[noreturn]] inline void Refuse(Napi::Env env, const std::string& what) {
  throw Napi::TypeError::New(env, "native: " + what);
}

inline Napi::Value Field(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (value.IsUndefined()) Refuse(object.Env(), std::string(name) + " is missing");
  return value;
}

inline uint32_t U32(const Napi::Object& object, const char* name) {
  const Napi::Value value = Field(object, name);
  if (!value.IsNumber()) Refuse(object.Env(), std::string(name) + " is no number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= 0 && number <= 4294967295.0)) {
    Refuse(object.Env(), std::string(name) + " is not a u32");
  }
  return static_cast<uint32_t>(number);
}

inline bool Boolean(const Napi::Object& object, const char* name) {
  const Napi::Value value = Field(object, name);
  if (!value.IsBoolean()) Refuse(object.Env(), std::string(name) + " is no boolean");
  return value.As<Napi::Boolean>().Value();
}

inline std::string Text(const Napi::Object& object, const char* name) {
  const Napi::Value value = Field(object, name);
  if (!value.IsString()) Refuse(object.Env(), std::string(name) + " is no string");
  return value.As<Napi::String>().Utf8Value();
}

/// Borrowed from the Uint8Array: valid during the call.
inline std::span<const uint8_t> Bytes(const Napi::Object& object, const char* name) {
  const Napi::Value value = Field(object, name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    Refuse(object.Env(), std::string(name) + " is no Uint8Array");
  }
  const auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

template <size_t kSize>
std::array<uint8_t, kSize> FixedBytes(const Napi::Object& object, const char* name) {
  const std::span<const uint8_t> bytes = Bytes(object, name);
  if (bytes.size() != kSize) {
    Refuse(object.Env(), std::string(name) + " wants " + std::to_string(kSize) + " bytes");
  }
  std::array<uint8_t, kSize> out;
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

/// An endpoint in its 19-byte form (src/model/endpoint.ts).
inline core::SourceAddress EndpointOf(const Napi::Object& object, const char* name) {
  const auto bytes = FixedBytes<core::kEndpointBytes>(object, name);
  core::SourceAddress out;
  if (!core::DecodeEndpoint(bytes.data(), out)) {
    Refuse(object.Env(), std::string(name) + " is no endpoint");
  }
  return out;
}

/// A path address in its 19-byte form (src/model/path-address.ts).
inline core::SourceAddress AddressOf(const Napi::Object& object, const char* name) {
  const auto bytes = FixedBytes<core::kEndpointBytes>(object, name);
  core::SourceAddress out;
  if (!core::DecodePathAddress(bytes.data(), out)) {
    Refuse(object.Env(), std::string(name) + " is no address");
  }
  return out;
}

/// Big-endian bytes of a MAC.
inline uint64_t MacOf(const Napi::Object& object, const char* name) {
  const auto bytes = FixedBytes<6>(object, name);
  uint64_t mac = 0;
  for (const uint8_t byte : bytes) mac = mac << 8 | byte;
  return mac;
}

inline Napi::Value AddressToJs(Napi::Env env, const core::SourceAddress& address) {
  auto out = Napi::Uint8Array::New(env, core::kEndpointBytes);
  core::EncodePathAddress(address, out.Data());
  return out;
}

}  // namespace overlayd::binding

#endif  // OVERLAYD_NATIVE_BINDING_ARGUMENTS_H_
