#include "native/binding/password_hash.h"

#include <sodium.h>

#include <vector>

#include "native/os/password_hash.h"

namespace overlayd::binding {
namespace {

constexpr uint32_t kLargestOutput = 64;

/// Deletes itself when it has settled its promise. What it copied of the password is wiped with it.
class PasswordWorker : public Napi::AsyncWorker {
 public:
  PasswordWorker(Napi::Env env, std::vector<uint8_t> password, std::vector<uint8_t> salt,
                 uint32_t passes, size_t memory_bytes, size_t output_bytes)
      : Napi::AsyncWorker(env, "overlayd password"),
        promise_(Napi::Promise::Deferred::New(env)),
        password_(std::move(password)),
        salt_(std::move(salt)),
        passes_(passes),
        memory_bytes_(memory_bytes),
        hash_(output_bytes) {}

  ~PasswordWorker() override {
    sodium_memzero(password_.data(), password_.size());
    sodium_memzero(hash_.data(), hash_.size());
  }

  [[nodiscard]] Napi::Promise promise() const { return promise_.Promise(); }

 protected:
  void Execute() override {
    if (!os::HashPassword(password_, salt_, passes_, memory_bytes_, hash_)) {
      SetError("Cannot hash the password: out of memory");
    }
  }

  void OnOK() override {
    auto out = Napi::Uint8Array::New(Env(), hash_.size());
    std::copy(hash_.begin(), hash_.end(), out.Data());
    promise_.Resolve(out);
  }

  void OnError(const Napi::Error& error) override { promise_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred promise_;
  std::vector<uint8_t> password_;
  std::vector<uint8_t> salt_;
  uint32_t passes_;
  size_t memory_bytes_;
  std::vector<uint8_t> hash_;
};

bool IsBytes(const Napi::Value& value) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
}

std::vector<uint8_t> CopyOf(const Napi::Value& value) {
  const auto bytes = value.As<Napi::Uint8Array>();
  return {bytes.Data(), bytes.Data() + bytes.ByteLength()};
}

}  // namespace

Napi::Value HashPassword(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 5 || !IsBytes(info[0]) || !IsBytes(info[1]) || !info[2].IsNumber() ||
      !info[3].IsNumber() || !info[4].IsNumber()) {
    throw Napi::TypeError::New(env, "hashPassword wants password, salt, passes, memory, length");
  }
  const uint32_t output_bytes = info[4].As<Napi::Number>().Uint32Value();
  if (output_bytes > kLargestOutput) throw Napi::RangeError::New(env, "the hash is too long");
  auto* worker = new PasswordWorker(env, CopyOf(info[0]), CopyOf(info[1]),
                                    info[2].As<Napi::Number>().Uint32Value(),
                                    info[3].As<Napi::Number>().Uint32Value(), output_bytes);
  worker->Queue();
  return worker->promise();
}

}  // namespace overlayd::binding
