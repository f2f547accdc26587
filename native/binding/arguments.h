#pragma once
#include <napi.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "binding/environment.h"

namespace kv::binding {

/// No type of typed array has this number.
constexpr auto kUnknownType = static_cast<napi_typedarray_type>(15);

/// 0 for a type that is not known.
constexpr size_t bytes_of_element(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return 1;
    case napi_int16_array:
    case napi_uint16_array:
    case napi_float16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8;
    default:
      return 0;
  }
}

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

  /// The bytes of an ArrayBufferView (a typed array or DataView), of shared memory too.
  std::span<std::byte> view_bytes(size_t place, const char* name) const {
    if (info_[place].IsTypedArray()) return typed_array(place, name).bytes;
    if (!info_[place].IsDataView()) throw invalid_argument(name, "must be a typed array or a DataView");
    size_t length_bytes = 0;
    void* data = nullptr;
    require_ok(napi_get_dataview_info(env(), info_[place], &length_bytes, &data, nullptr, nullptr));
    return {static_cast<std::byte*>(data), length_bytes};
  }

  /// A copy, which no other thread can change once it was checked.
  std::vector<int32_t> int32_array(size_t place, const char* name) const {
    if (!info_[place].IsTypedArray()) throw invalid_argument(name, "must be an Int32Array");
    const TypedArray array = typed_array(place, name);
    if (array.type != napi_int32_array) throw invalid_argument(name, "must be an Int32Array");
    const auto* first = reinterpret_cast<const int32_t*>(array.bytes.data());
    return {first, first + array.bytes.size() / sizeof(int32_t)};
  }

  Napi::ArrayBuffer array_buffer(size_t place, const char* name) const {
    if (!info_[place].IsArrayBuffer()) throw invalid_argument(name, "must be an ArrayBuffer");
    return info_[place].As<Napi::ArrayBuffer>();
  }

  Napi::Object object(size_t place, const char* name) const {
    if (!info_[place].IsObject()) throw invalid_argument(name, "must be an object");
    return info_[place].As<Napi::Object>();
  }

  napi_value value(size_t place) const { return info_[place]; }

  bool is_null(size_t place) const { return info_[place].IsNull() || info_[place].IsUndefined(); }

  OpenDevice& device(size_t place) const { return handles().get<OpenDevice>(number(place, "device"), "device"); }
  OpenStream& stream(size_t place) const { return handles().get<OpenStream>(number(place, "stream"), "stream"); }
  /// For an operation that cannot be captured. Throws CAPTURE_ERROR, naming it, while the stream is.
  OpenStream& uncaptured_stream(size_t place, const char* operation) const {
    OpenStream& open = stream(place);
    require_no_capture(*open.stream, operation);
    return open;
  }
  std::shared_ptr<Event> event(size_t place, const char* name) const {
    return handles().get<OpenEvent>(number(place, name), name).event;
  }
  const std::shared_ptr<Memory>& memory(size_t place, const char* name) const {
    return handles().get<OpenMemory>(number(place, name), name).memory;
  }
  OpenView& view(size_t place) const { return handles().get<OpenView>(number(place, "view"), "view"); }

 private:
  struct TypedArray {
    napi_typedarray_type type;
    std::span<std::byte> bytes;
  };

  /// By Node-API's own call: node-addon-api knows no Float16Array, and asks for the ArrayBuffer, which a view of shared
  /// memory has not.
  TypedArray typed_array(size_t place, const char* name) const {
    // Node leaves the type alone when it is one that it has no number for.
    auto type = kUnknownType;
    size_t num_elements = 0;
    void* data = nullptr;
    require_ok(napi_get_typedarray_info(env(), info_[place], &type, &num_elements, &data, nullptr, nullptr));
    const size_t element_bytes = bytes_of_element(type);
    if (element_bytes == 0) {
      throw invalid_argument(name, "is of a type that Node-API has no name for here; pass a Uint8Array of it");
    }
    return {type, {static_cast<std::byte*>(data), num_elements * element_bytes}};
  }

  void require_ok(napi_status status) const {
    if (status != napi_ok) throw Napi::Error::New(env());
  }

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

inline Error wrong_device(const Memory& memory, const OpenStream& stream, const char* name, const char* advice) {
  const auto& wanted = stream.backend->properties().name;
  return invalid_argument(name, "is memory of " + memory.backend().properties().name + " but the stream is of " +
                                    wanted + "; " + advice + " " + wanted);
}

/// Orders the coming work of `stream`, a copy, with all else that uses the memory. Devices of one kind copy to and from
/// each other. Memory of the host cannot be ordered with streams of a GPU, nor the other way round.
inline void use_to_copy(Memory& memory, const OpenStream& stream, const char* name) {
  if (memory.backend().properties().kind != stream.backend->properties().kind) {
    throw wrong_device(memory, stream, name, "copy through pinned memory of");
  }
  memory.use_on(stream.stream);
}

/// As use_to_copy(), for other work: the memory must be of the stream's own device, or pinned, which every GPU reaches.
inline void use_checked(Memory& memory, const OpenStream& stream, const char* name) {
  const bool is_own = memory.backend().properties().name == stream.backend->properties().name;
  if (!is_own && memory.kind() != MemoryKind::pinned) throw wrong_device(memory, stream, name, "copy it to memory of");
  use_to_copy(memory, stream, name);
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
