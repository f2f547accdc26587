#pragma once
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "memory/cuda_driver.h"

namespace fake {

using namespace kv::cuda;
using Lock = std::unique_lock<std::mutex>;

constexpr int kMaxDevices = 64;
/// What streams, events, pools, modules and contexts take, so that one that is leaked shows in the free bytes.
constexpr size_t kBytesPerObject = 1024;

struct Allocation {
  size_t bytes;
  int device;
  bool is_pinned;
  bool is_reached;        // its stream has come to where it was allocated
  bool is_freed = false;  // its stream was told to free it
};

/// One piece of a stream's work, done by the worker's thread with the lock held once it is ready.
struct Task {
  std::function<void()> run = [] {};
  std::function<bool()> is_ready = [] { return true; };
  bool frees = false;
};

/// What a stream was given while it was captured: what it runs, in order.
struct Graph {
  int device;
  std::vector<std::function<void()>> nodes;
  std::vector<DevicePtr> memory;  // of fills and copies, whose addresses the driver looks at
};

/// A graph that can be launched; each launch waits for the one before.
struct GraphExecution {
  Graph graph;
  uint64_t num_launched = 0;
  uint64_t num_done = 0;
};

struct Stream {
  explicit Stream(int made_on) : device(made_on) {}

  int device;
  std::deque<Task> tasks;
  std::shared_ptr<Graph> captured;  // null unless the stream is being captured
};

struct Event {
  Event(int made_on, bool measures) : device(made_on), has_timing(measures) {}

  int device;
  bool has_timing;
  uint64_t num_records = 0;
  uint64_t num_reached = 0;
  std::chrono::steady_clock::time_point reached_at;

  bool is_reached(uint64_t recording) const { return num_reached >= recording; }
};

/// A pool or a module: all that matters is that it is there.
struct Thing {
  int device;
};

/// All that the driver knows. Never destroyed: calls may come while the process ends.
struct State {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<DevicePtr, Allocation> allocations;
  std::map<StreamHandle, std::shared_ptr<Stream>> streams;
  std::map<EventHandle, std::shared_ptr<Event>> events;
  std::map<Pool, Thing> pools;
  std::map<Module, Thing> modules;
  std::map<GraphHandle, Graph> graphs;
  std::map<GraphExec, std::shared_ptr<GraphExecution>> executions;
  std::list<std::shared_ptr<Stream>> working;  // streams with tasks, also those that were destroyed meanwhile
  size_t used_bytes[kMaxDevices] = {};
  int num_retained[kMaxDevices] = {};  // of each device's primary context
  std::string failure_setting;         // KV_FAKE_CUDA_FAIL_AT, as it was at the last call
  size_t num_calls = 0;                // since it became that
  size_t num_failures = 0;             // injected so far
  bool is_paused = false;
  bool is_broken = false;  // every call fails, as after a fault of a kernel
  bool is_gone = false;
};
State& state();

/// Ends the process: what was done would corrupt memory, or hang, with a real driver.
[[noreturn]] void complain(const std::string& what);

/// The live object that a handle names.
template <typename Handle, typename Object>
Object& find(std::map<Handle, Object>& objects, Handle handle, const char* what) {
  const auto found = objects.find(handle);
  if (found == objects.end()) complain(std::string(what) + " is used that was never made, or was destroyed");
  return found->second;
}

/// A handle that was never given out before, so that using one that was destroyed is noticed.
template <typename Handle>
Handle new_handle() {
  static uintptr_t last = 0x1000;
  return reinterpret_cast<Handle>(last += 16);
}

size_t bytes_of_device();
/// Charges a device; out of memory when it has not as many bytes left.
Result charge(int device, size_t bytes);

/// Queues what can be captured, or captures it, with the memory that it fills or copies.
void give(StreamHandle handle, std::function<void()> run, std::initializer_list<DevicePtr> memory = {});
/// Queues what cannot be captured: complains while the stream is.
void enqueue(StreamHandle handle, Task task);
/// A stream that is not being captured; complains about another.
std::shared_ptr<Stream>& queue_of(StreamHandle handle);
/// Drops all queued work, except what frees.
void abandon_work();
/// Waits until a device has no work left.
void wait_until_idle(Lock& lock, int device);

}  // namespace fake
