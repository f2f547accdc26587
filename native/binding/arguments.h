#pragma once
#include <napi.h>

#include <cmath>
#include <span>
#include <string>

#include "binding/environment.h"

namespace kv::binding {

/// The arguments of one call, read by place; a wrong one is an error that names it.
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info), environment_(Environment::of(info.Env())) {}

  Napi::Env env() const { return info_.Env(); }
  Environment& environment() const { return environment_; }
  HandleTable& handles() const { return environment_.handles; }

  double number(size_t place, const char* name) const {
    const Napi::Value value = info_[place];
    if (!value.IsNumber()) throw invalid_argument(name, "must be a number");
    return value.As<Napi::Number>().DoubleValue();
  }

  /// A whole number from `least` to 2^53 - 1.
  int64_t whole(size_t place, const char* name, int64_t least = 0) const {
    const double value = number(place, name);
    if (!(value >= static_cast<double>(least) && value <= 9007199254740991.0) || value != std::floor(value)) {
      throw invalid_argument(name, "must be a whole number of at least " + std::to_string(least));
    }
    return static_cast<int64_t>(value);
  }

  size_t bytes(size_t place, const char* name) const { return static_cast<size_t>(whole(place, name)); }

  /// A whole number that fits 32 bits.
  int32_t count(size_t place, const char* name) const {
    const int64_t value = whole(place, name);
    if (value > INT32_MAX) throw invalid_argument(name, "must be less than 2147483648");
    return static_cast<int32_t>(value);
  }

  bool flag(size_t place, const char* name) const {
    if (!info_[place].IsBoolean()) throw invalid_argument(name, "must be true or false");
    return info_[place].As<Napi::Boolean>().Value();
  }

  std::string text(size_t place, const char* name) const {
    if (!info_[place].IsString()) throw invalid_argument(name, "must be a string");
    return info_[place].As<Napi::String>().Utf8Value();
  }

  Napi::Function function(size_t place, const char* name) const {
    if (!info_[place].IsFunction()) throw invalid_argument(name, "must be a function");
    return info_[place].As<Napi::Function>();
  }

  /// The bytes of an ArrayBufferView (a typed array or DataView).
  std::span<std::byte> view_bytes(size_t place, const char* name) const {
    const Napi::Value value = info_[place];
    if (value.IsTypedArray()) {
      const auto array = value.As<Napi::TypedArray>();
      auto* start = static_cast<std::byte*>(array.ArrayBuffer().Data());
      return {start + array.ByteOffset(), array.ByteLength()};
    }
    if (!value.IsDataView()) throw invalid_argument(name, "must be a typed array or a DataView");
    const auto view = value.As<Napi::DataView>();
    return {static_cast<std::byte*>(view.ArrayBuffer().Data()) + view.ByteOffset(), view.ByteLength()};
  }

  std::span<const int32_t> int32_array(size_t place, const char* name) const {
    if (!info_[place].IsTypedArray() || info_[place].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
      throw invalid_argument(name, "must be an Int32Array");
    }
    const auto array = info_[place].As<Napi::Int32Array>();
    return {array.Data(), array.ElementLength()};
  }

  Napi::Object object(size_t place, const char* name) const {
    if (!info_[place].IsObject()) throw invalid_argument(name, "must be an object");
    return info_[place].As<Napi::Object>();
  }

  napi_value value(size_t place) const { return info_[place]; }

  bool is_null(size_t place) const { return info_[place].IsNull() || info_[place].IsUndefined(); }

  OpenDevice& device(size_t place) const { return handles().get<OpenDevice>(number(place, "device"), "device"); }
  OpenStream& stream(size_t place) const { return handles().get<OpenStream>(number(place, "stream"), "stream"); }
  std::shared_ptr<Event> event(size_t place, const char* name) const {
    return handles().get<OpenEvent>(number(place, name), name).event;
  }
  const std::shared_ptr<Memory>& memory(size_t place, const char* name) const {
    return handles().get<OpenMemory>(number(place, name), name).memory;
  }
  OpenView& view(size_t place) const { return handles().get<OpenView>(number(place, "view"), "view"); }

 private:
  const Napi::CallbackInfo& info_;
  Environment& environment_;
};

/// The address of `length_bytes` at an offset in memory. Throws OUT_OF_BOUNDS when they are not all inside.
inline std::byte* checked_range(const Memory& memory, int64_t offset_bytes, size_t length_bytes, const char* name) {
  const size_t size_bytes = memory.bytes();
  if (static_cast<uint64_t>(offset_bytes) > size_bytes ||
      length_bytes > size_bytes - static_cast<size_t>(offset_bytes)) {
    throw out_of_bounds(name, static_cast<double>(offset_bytes), static_cast<double>(length_bytes),
                        static_cast<double>(size_bytes));
  }
  return memory.address() + offset_bytes;
}

/// Orders the coming work of `stream` with all else that uses the memory. Memory of the host cannot be ordered with
/// streams of a GPU, nor the other way round.
inline void use_checked(Memory& memory, const OpenStream& stream, const char* name) {
  const auto& memory_device = memory.backend().properties();
  const auto& stream_device = stream.backend->properties();
  if (memory_device.kind != stream_device.kind) {
    throw invalid_argument(name, "is memory of " + memory_device.name + " but the stream is of " + stream_device.name +
                                     "; copy through pinned memory of " + stream_device.name);
  }
  memory.use_on(stream.stream);
}

/// A function for JavaScript; what it throws becomes a typed JavaScript error, never the end of the process.
template <Napi::Value (*function)(const Arguments&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    return function(Arguments(info));
  } catch (...) {
    throw to_js_error(info.Env(), std::current_exception());
  }
}

}  // namespace kv::binding
