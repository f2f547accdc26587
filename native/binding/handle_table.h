#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/kv_view.h"
#include "memory/backend.h"
#include "memory/capture.h"
#include "memory/error.h"
#include "memory/graph.h"
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

/// A capture that goes on until it is ended, or released.
struct OpenCapture {
  std::shared_ptr<Capture> capture;
};

struct OpenGraph {
  std::shared_ptr<Graph> graph;
};

using Resource =
    std::variant<std::monostate, OpenDevice, OpenStream, OpenEvent, OpenMemory, OpenView, OpenCapture, OpenGraph>;

/// What JavaScript holds by number. A number says its place and how often that place was used before, so that a
/// number kept after its release is refused and never names another resource.
class HandleTable {
 public:
  /// The largest for which every handle is an exact number.
  static constexpr uint32_t kLastGeneration = (1u << 29) - 1;

  /// A place that was used `last_generation` times is used no more.
  explicit HandleTable(uint32_t last_generation = kLastGeneration) : last_generation_(last_generation) {}

  double insert(Resource resource) {
    if (free_.empty()) add_place();
    const uint32_t place = free_.back();
    free_.pop_back();
    places_[place].resource = std::move(resource);
    return static_cast<double>(uint64_t{places_[place].generation} << kPlaceBits | place);
  }

  /// False when the number names nothing any more.
  bool release(double handle) {
    Place* place = find(handle);
    if (place == nullptr) return false;
    const Resource released = std::exchange(place->resource, std::monostate{});
    if (place->generation == last_generation_) return true;
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

 private:
  static constexpr int kPlaceBits = 24;
  static constexpr size_t kMaxPlaces = size_t{1} << kPlaceBits;

  struct Place {
    Resource resource;
    uint32_t generation = 1;
  };

  void add_place() {
    if (places_.size() == kMaxPlaces) throw system_error("opening another resource", "too many are open");
    if (places_.size() == places_.capacity()) {
      const size_t num_places = std::max<size_t>(64, 2 * places_.size());
      // Room for every place, so that release() cannot fail.
      free_.reserve(num_places);
      places_.reserve(num_places);
    }
    free_.push_back(static_cast<uint32_t>(places_.size()));
    places_.emplace_back();
  }

  Place* find(double handle) {
    if (!(handle >= 0 && handle < 9007199254740992.0)) return nullptr;
    const auto bits = static_cast<uint64_t>(handle);
    if (static_cast<double>(bits) != handle) return nullptr;
    const size_t place = bits % kMaxPlaces;
    if (place >= places_.size() || places_[place].generation != bits >> kPlaceBits) return nullptr;
    return std::holds_alternative<std::monostate>(places_[place].resource) ? nullptr : &places_[place];
  }

  const uint32_t last_generation_;
  std::vector<Place> places_;
  std::vector<uint32_t> free_;
};

}  // namespace kv::binding
