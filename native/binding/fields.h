#pragma once
#include <napi.h>

#include <cmath>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "binding/arguments.h"
#include "kernels/element.h"

namespace kv::binding {

/// Bytes of a product of counts. Throws when they are more than any memory has.
inline size_t checked_product(std::initializer_list<int64_t> counts, const char* name) {
  double product = 1;
  for (const int64_t count : counts) product *= static_cast<double>(count);
  if (product > 9007199254740991.0) throw invalid_argument(name, "would need more than 2^53 bytes");
  return static_cast<size_t>(product);
}

/// A part of open memory that a kernel reads or writes, kept until the call has been queued.
struct Region {
  const char* name = "";
  std::shared_ptr<Memory> memory;  // null: not given
  std::byte* start = nullptr;
  size_t bytes = 0;

  template <typename Element>
  Element* as() const {
    return reinterpret_cast<Element*>(start);
  }
};

/// An object among the arguments, read by name; a wrong field is an error that names it. Its getters are code of the
/// caller, which may release any handle: what is named by one is looked up once and kept.
class Fields {
 public:
  Fields(const Arguments& args, Napi::Object object) : args_(args), object_(object) {}

  /// A whole number from `least` to 2^53 - 1.
  int64_t whole(const char* name, int64_t least = 0) const {
    const double value = number(name);
    if (!(value >= static_cast<double>(least) && value <= 9007199254740991.0) || value != std::floor(value)) {
      throw invalid_argument(name, "must be a whole number of at least " + std::to_string(least));
    }
    return static_cast<int64_t>(value);
  }

  int32_t count(const char* name, int32_t least = 0, int32_t most = INT32_MAX) const {
    const int64_t value = whole(name, least);
    if (value > most) throw invalid_argument(name, "must be at most " + std::to_string(most));
    return static_cast<int32_t>(value);
  }

  float finite(const char* name) const {
    const double given = number(name);
    // Past the floats the conversion is undefined.
    const float value = std::abs(given) <= 3.4e38 ? static_cast<float>(given) : INFINITY;
    if (!std::isfinite(value)) throw invalid_argument(name, "must be a finite number");
    return value;
  }

  float not_negative(const char* name) const {
    const float value = finite(name);
    if (value < 0) throw invalid_argument(name, "must not be negative");
    return value;
  }

  bool is_number(const char* name) const { return object_.Get(name).IsNumber(); }

  bool flag(const char* name) const {
    const Napi::Value value = object_.Get(name);
    if (!value.IsBoolean()) throw invalid_argument(name, "must be true or false");
    return value.As<Napi::Boolean>().Value();
  }

  /// The place of a text in a list of those that are allowed.
  size_t choice(const char* name, std::initializer_list<const char*> allowed) const {
    const Napi::Value value = object_.Get(name);
    const std::string text = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
    std::string list;
    size_t place = 0;
    for (const char* each : allowed) {
      if (text == each) return place;
      ++place;
      list += list.empty() ? each : std::string(", ") + each;
    }
    throw invalid_argument(name, "must be one of " + list);
  }

  Dtype dtype(const char* name) const { return static_cast<Dtype>(choice(name, {"fp32", "fp16", "bf16"})); }

  Fields object(const char* name) const {
    const Napi::Value value = object_.Get(name);
    if (!value.IsObject()) throw invalid_argument(name, "must be an object");
    return {args_, value.As<Napi::Object>()};
  }

  /// Open memory; an error names `argument`.
  std::shared_ptr<Memory> memory(const char* name, const char* argument) const {
    return args_.handles().get<OpenMemory>(static_cast<double>(whole(name)), argument).memory;
  }

  /// `{ memory, offsetBytes }`: so many bytes, at a multiple of their elements' size, checked to lie in the memory.
  Region region(const char* name, size_t bytes, size_t alignment) const {
    const Fields given = object(name);
    const auto memory = given.memory("memory", name);
    std::byte* start = checked_range(*memory, given.whole("offsetBytes"), bytes, name);
    if (reinterpret_cast<uintptr_t>(start) % alignment != 0) {
      throw invalid_argument(name, "must lie at a multiple of " + std::to_string(alignment) + " bytes");
    }
    return {name, memory, start, bytes};
  }

  /// As region(), or nothing where null stands.
  Region optional_region(const char* name, size_t bytes, size_t alignment) const {
    const Napi::Value value = object_.Get(name);
    return value.IsNull() ? Region{name, nullptr, nullptr, 0} : region(name, bytes, alignment);
  }

 private:
  double number(const char* name) const {
    const Napi::Value value = object_.Get(name);
    if (!value.IsNumber()) throw invalid_argument(name, "must be a number");
    return value.As<Napi::Number>().DoubleValue();
  }

  const Arguments& args_;
  Napi::Object object_;
};

/// Regions of the input, by what is in them.
struct Regions {
  const Fields& input;

  Region elements(const char* name, std::initializer_list<int64_t> counts, Dtype dtype) const {
    const auto bytes = static_cast<size_t>(element_bytes(dtype));
    return input.region(name, checked_product(counts, name) * bytes, bytes);
  }
  Region words(const char* name, std::initializer_list<int64_t> counts) const {
    return input.region(name, checked_product(counts, name) * sizeof(int32_t), sizeof(int32_t));
  }
  Region optional_words(const char* name, std::initializer_list<int64_t> counts) const {
    return input.optional_region(name, checked_product(counts, name) * sizeof(int32_t), sizeof(int32_t));
  }
};

/// The memory of a view, for as long as one call takes.
struct ViewMemory {
  explicit ViewMemory(const OpenView& open) : keys(open.keys.lock()), values(open.values.lock()) {
    if (keys == nullptr || values == nullptr) {
      throw Error("DISPOSED", "the memory of the view was disposed", {{"what", std::string("the memory of the view")}});
    }
  }

  std::shared_ptr<Memory> keys;
  std::shared_ptr<Memory> values;
};

/// What a plane spans: from its base to the end of its last head.
inline size_t plane_bytes(const KvPlane& plane, const KvView& view) {
  return static_cast<size_t>((view.num_blocks - 1) * plane.block_stride_bytes +
                             (view.tokens_per_block - 1) * plane.token_stride_bytes +
                             (view.num_kv_heads - 1) * plane.head_stride_bytes + plane.head_bytes);
}

/// Refuses a region to write that overlaps another one: threads read in any order.
inline void require_apart(const Region& written, std::initializer_list<const Region*> others) {
  for (const Region* other : others) {
    if (written.memory == nullptr || other->memory == nullptr) continue;
    if (written.start < other->start + other->bytes && other->start < written.start + written.bytes) {
      throw invalid_argument(written.name, std::string("overlaps ") + other->name);
    }
  }
}

/// What is written must overlap nothing that is read.
inline void require_results_apart(std::initializer_list<const Region*> written,
                                  std::initializer_list<const Region*> read) {
  for (const Region* each : written) {
    require_apart(*each, read);
    for (const Region* other : written) {
      if (other != each) require_apart(*each, {other});
    }
  }
}

/// As require_apart(), for the keys and values of a view.
inline void require_apart_of_view(const Region& written, const KvView& view) {
  for (const KvPlane& plane : {view.keys, view.values}) {
    if (written.memory == nullptr) continue;
    if (written.start < plane.base + plane_bytes(plane, view) && plane.base < written.start + written.bytes) {
      throw invalid_argument(written.name, "overlaps the view");
    }
  }
}

/// Elements of a head. Throws when its bytes are no whole number of them.
inline int32_t head_width(const KvPlane& plane, Dtype dtype) {
  if (plane.head_bytes % element_bytes(dtype) != 0) {
    throw invalid_argument("cacheDtype", "does not divide the view's heads of " + std::to_string(plane.head_bytes) +
                                             " bytes into elements");
  }
  return plane.head_bytes / element_bytes(dtype);
}

/// Orders what is queued next with all else that uses the memory of some regions.
inline void use_regions(std::initializer_list<const Region*> regions, const OpenStream& stream) {
  for (const Region* region : regions) {
    if (region->memory != nullptr) use_checked(*region->memory, stream, region->name);
  }
}

/// As use_regions(), with the memory of a view.
inline void use_all(const ViewMemory& view, std::initializer_list<const Region*> regions, const OpenStream& stream) {
  use_checked(*view.keys, stream, "view");
  use_checked(*view.values, stream, "view");
  use_regions(regions, stream);
}

}  // namespace kv::binding
