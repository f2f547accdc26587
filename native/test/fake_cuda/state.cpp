#include "test/fake_cuda/state.h"

#include <cstdio>
#include <cstdlib>

#include "test/fake_cuda/worker.h"

namespace fake {

State& state() {
  static auto* const all = new State;
  return *all;
}

void complain(const std::string& what) {
  std::fprintf(stderr, "fake CUDA driver: %s\n", what.c_str());
  std::abort();
}

size_t bytes_of_device() {
  const char* text = std::getenv("KV_FAKE_CUDA_BYTES");
  return text == nullptr || *text == '\0' ? size_t{1} << 30 : std::strtoull(text, nullptr, 10);
}

Result charge(int device, size_t bytes) {
  size_t& used = state().used_bytes[device];
  if (bytes > bytes_of_device() || used > bytes_of_device() - bytes) return kOutOfMemory;
  used += bytes;
  return kSuccess;
}

std::shared_ptr<Stream>& queue_of(StreamHandle handle) {
  auto& stream = find(state().streams, handle, "a stream");
  if (stream->captured != nullptr) complain("a stream is waited for, asked, or given memory while it is captured");
  return stream;
}

void give(StreamHandle handle, std::function<void()> run, std::initializer_list<DevicePtr> memory) {
  const auto& stream = find(state().streams, handle, "a stream");
  if (stream->captured == nullptr) return enqueue(handle, {.run = std::move(run)});
  auto& [device, nodes, used] = *stream->captured;
  nodes.push_back(std::move(run));
  used.insert(used.end(), memory);
}

void enqueue(StreamHandle handle, Task task) {
  start_worker();
  const auto& stream = queue_of(handle);
  if (stream->tasks.empty()) state().working.push_back(stream);
  stream->tasks.push_back(std::move(task));
  state().changed.notify_all();
}

void abandon_work() {
  for (const auto& stream : state().working) {
    for (const Task& task : stream->tasks) {
      if (task.frees) task.run();
    }
    stream->tasks.clear();
  }
  state().working.clear();
  for (const auto& [_, event] : state().events) event->num_reached = event->num_records;
  for (const auto& [_, execution] : state().executions) execution->num_done = execution->num_launched;
  state().changed.notify_all();
}

void wait_until_idle(Lock& lock, int device) {
  state().changed.wait(lock, [&] {
    for (const auto& stream : state().working) {
      if (stream->device == device) return false;
    }
    return true;
  });
}

}  // namespace fake
