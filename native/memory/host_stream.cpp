#include "memory/host_stream.h"

#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "memory/error.h"
#include "memory/host_recording.h"

namespace kv {
namespace {

thread_local bool is_thread_of_a_stream = false;

}  // namespace

bool HostEvent::is_done() {
  const std::scoped_lock lock(state_->mutex);
  return state_->num_reached >= state_->num_records;
}

void HostEvent::synchronize() {
  std::unique_lock lock(state_->mutex);
  const uint64_t wanted = state_->num_records;
  state_->changed.wait(lock, [&] { return state_->num_reached >= wanted; });
}

double HostEvent::elapsed_ms_since(Event& earlier) {
  auto* start = dynamic_cast<HostEvent*>(&earlier);
  if (start == nullptr) throw invalid_argument("earlier", "is an event of another device");
  const auto started_at = start->state_->time();
  const auto ended_at = state_->time();
  if (!started_at || !ended_at) {
    throw invalid_argument("earlier", "both events must be recorded and done; synchronize first");
  }
  return std::chrono::duration<double, std::milli>(*ended_at - *started_at).count();
}

std::optional<std::chrono::steady_clock::time_point> HostEvent::State::time() {
  const std::scoped_lock lock(mutex);
  if (num_records == 0 || num_reached < num_records) return std::nullopt;
  return reached_at;
}

HostStream::HostStream() {
  try {
    thread_ = std::thread([queue = queue_] { queue->run(); });
  } catch (const std::system_error& failure) {
    throw system_error("starting a stream's thread", failure.what());
  }
}

HostStream::~HostStream() {
  {
    const std::scoped_lock lock(queue_->mutex);
    queue_->is_closed = true;
  }
  queue_->changed.notify_all();
  // The last owner can be a task: of this very thread, or of one that this stream's work waits for.
  if (is_thread_of_a_stream) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

void HostStream::Queue::run() {
  is_thread_of_a_stream = true;
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [&] { return !tasks.empty() || is_closed; });
    if (tasks.empty()) return;
    Task task = std::move(tasks.front());
    tasks.pop_front();
    is_running_task = true;
    lock.unlock();
    task();
    task = nullptr;  // what it owns goes before the stream counts as idle
    lock.lock();
    is_running_task = false;
    changed.notify_all();
  }
}

void HostStream::enqueue(Task task) {
  {
    const std::scoped_lock lock(queue_->mutex);
    queue_->tasks.push_back(std::move(task));
  }
  queue_->changed.notify_all();
}

void HostStream::give(Task task) {
  if (recorded_ == nullptr) return enqueue(std::move(task));
  recorded_->push_back(std::move(task));
}

std::unique_ptr<Recording> HostStream::end_recording() {
  const auto recorded = std::exchange(recorded_, nullptr);
  return std::make_unique<HostRecording>(std::move(*recorded));
}

void HostStream::fill(void* to, uint8_t value, size_t bytes) {
  give([=] { std::memset(to, value, bytes); });
}

void HostStream::copy(void* to, const void* from, size_t bytes) {
  give([=] { std::memmove(to, from, bytes); });
}

void HostStream::upload(void* to, const void* from, size_t bytes) {
  if (is_idle()) {
    std::memcpy(to, from, bytes);
    return;
  }
  const auto* first = static_cast<const std::byte*>(from);
  enqueue([to, kept = std::vector<std::byte>(first, first + bytes)] {
    if (!kept.empty()) std::memcpy(to, kept.data(), kept.size());
  });
}

void HostStream::download(void* to, const void* from, size_t bytes) {
  synchronize();
  std::memcpy(to, from, bytes);
}

void HostStream::launch(const KernelCall& call) {
  const auto* first = static_cast<const std::byte*>(call.params);
  // max_align_t: the parameter structs hold pointers and 64-bit integers.
  std::vector<std::max_align_t> params((call.params_bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
  std::memcpy(params.data(), first, call.params_bytes);
  give([on_host = call.on_host, copied = std::move(params), kept = call.kept_on_host] { on_host(copied.data()); });
}

void HostStream::record(Event& event) {
  auto* host_event = dynamic_cast<HostEvent*>(&event);
  if (host_event == nullptr) throw invalid_argument("event", "is of another device");
  const auto state = host_event->state();
  uint64_t recording = 0;
  {
    const std::scoped_lock lock(state->mutex);
    recording = state->num_records + 1;
  }
  enqueue([state, recording] {
    const std::scoped_lock lock(state->mutex);
    // One that another stream has overtaken counts no more, neither for the order nor for the time.
    if (recording <= state->num_reached) return;
    state->num_reached = recording;
    state->reached_at = std::chrono::steady_clock::now();
    state->changed.notify_all();
  });
  const std::scoped_lock lock(state->mutex);
  state->num_records = recording;
}

void HostStream::wait(Event& event) {
  auto* host_event = dynamic_cast<HostEvent*>(&event);
  if (host_event == nullptr) throw invalid_argument("event", "is of another device");
  const auto state = host_event->state();
  uint64_t recording = 0;
  {
    const std::scoped_lock lock(state->mutex);
    recording = state->num_records;
  }
  enqueue([state, recording] {
    std::unique_lock lock(state->mutex);
    state->changed.wait(lock, [&] { return state->num_reached >= recording; });
  });
}

void HostStream::synchronize() {
  std::unique_lock lock(queue_->mutex);
  queue_->changed.wait(lock, [&] { return queue_->tasks.empty() && !queue_->is_running_task; });
}

bool HostStream::is_idle() {
  const std::scoped_lock lock(queue_->mutex);
  return queue_->tasks.empty() && !queue_->is_running_task;
}

void HostStream::when_done(std::function<void(std::exception_ptr)> callback) {
  enqueue([done = std::move(callback)] { done(nullptr); });
}

}  // namespace kv
