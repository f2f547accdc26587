#pragma once
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "kernels/kv_view.h"
#include "memory/backend.h"
#include "memory/error.h"
#include "memory/memory.h"

namespace kv::binding {

/// An open device: its backend and the stream that work goes to unless another is named.
struct OpenDevice {
  std::shared_ptr<Backend> backend;
  StreamPtr default_stream;
};

/// A stream and the device it belongs to.
struct OpenStream {
  std::shared_ptr<Backend> backend;
  StreamPtr stream;
};

struct OpenEvent {
  std::shared_ptr<Event> event;
};

/// What an ArrayBuffer over pinned memory holds; emptied when that ArrayBuffer is detached.
struct Lease {
  std::shared_ptr<Memory> memory;
};

struct OpenMemory {
  std::shared_ptr<Memory> memory;
  std::shared_ptr<Lease> lease;  // of pinned memory that JavaScript has an ArrayBuffer of
};

/// A view and the memory that its addresses lie in, which it does not keep.
struct OpenView {
  std::weak_ptr<Memory> keys;
  std::weak_ptr<Memory> values;
  KvView view;
};

using Resource = std::variant<std::monostate, OpenDevice, OpenStream, OpenEvent, OpenMemory, OpenView>;

/// What JavaScript holds by number. A number says its place and how often that place was used before, so that a
/// number kept after its release is refused and never names another resource.
class HandleTable {
 public:
  double insert(Resource resource) {
    if (free_.empty()) {
      places_.emplace_back();
      // Room for every place, so that release() cannot fail.
      free_.reserve(places_.capacity());
      free_.push_back(static_cast<uint32_t>(places_.size() - 1));
    }
    const uint32_t place = free_.back();
    free_.pop_back();
    places_[place].resource = std::move(resource);
    return static_cast<double>(places_[place].generation) * kMaxPlaces + place;
  }

  /// False when the number names nothing any more.
  bool release(double handle) {
    Place* place = find(handle);
    if (place == nullptr) return false;
    const Resource released = std::exchange(place->resource, std::monostate{});
    ++place->generation;
    free_.push_back(static_cast<uint32_t>(place - places_.data()));
    return true;
  }

  template <typename T>
  T& get(double handle, const char* argument) {
    Place* place = find(handle);
    if (place == nullptr) {
      throw Error("DISPOSED", std::string(argument) + ": was disposed", {{"what", std::string(argument)}});
    }
    T* resource = std::get_if<T>(&place->resource);
    if (resource == nullptr) throw invalid_argument(argument, "is a handle of another kind");
    return *resource;
  }

  void clear() { places_.clear(), free_.clear(); }

 private:
  static constexpr double kMaxPlaces = 1 << 24;

  struct Place {
    Resource resource;
    uint32_t generation = 1;
  };

  Place* find(double handle) {
    if (!(handle >= 0)) return nullptr;
    const auto generation = static_cast<uint64_t>(handle / kMaxPlaces);
    const auto place = static_cast<uint64_t>(handle - static_cast<double>(generation) * kMaxPlaces);
    if (place >= places_.size() || places_[place].generation != generation) return nullptr;
    return std::holds_alternative<std::monostate>(places_[place].resource) ? nullptr : &places_[place];
  }

  std::vector<Place> places_;
  std::vector<uint32_t> free_;
};

}  // namespace kv::binding
