#pragma once
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "memory/backend.h"

namespace kv {

/// A point in the order of a host stream. Its state is shared with the tasks that pass it, which may outlive it.
class HostEvent : public Event {
 public:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    uint64_t num_records = 0;  // recordings asked for
    uint64_t num_reached = 0;  // of those, passed by their stream
    std::chrono::steady_clock::time_point reached_at;

    /// When the last recording was reached; nothing before that.
    std::optional<std::chrono::steady_clock::time_point> time();
  };

  bool is_done() override;
  void synchronize() override;
  double elapsed_ms_since(Event& earlier) override;

  const std::shared_ptr<State>& state() const noexcept { return state_; }

 private:
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

const DeviceProperties& host_device_properties();

/// A thread that runs what is queued, in order.
class HostStream : public Stream {
 public:
  using Task = std::function<void()>;

  HostStream();
  ~HostStream() override;

  const DeviceProperties& properties() const override { return host_device_properties(); }
  void fill(void* to, uint8_t value, size_t bytes) override;
  void copy(void* to, const void* from, size_t bytes) override;
  void upload(void* to, const void* from, size_t bytes) override;
  void download(void* to, const void* from, size_t bytes) override;
  void launch(const KernelCall& call) override;
  void record(Event& event) override;
  void wait(Event& event) override;
  void synchronize() override;
  bool is_idle() override;
  void when_done(std::function<void(std::exception_ptr)> callback) override;

  void enqueue(Task task);

 protected:
  void begin_recording() override { recorded_ = std::make_unique<std::vector<Task>>(); }
  std::unique_ptr<Recording> end_recording() override;
  void abandon_recording() noexcept override { recorded_.reset(); }

 private:
  /// Shared with the thread, which may outlive the stream when it is the one that drops it.
  struct Queue {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Task> tasks;
    bool is_running_task = false;
    bool is_closed = false;

    void run();
  };

  /// Queues it, or records it where the stream is being captured.
  void give(Task task);

  std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
  std::unique_ptr<std::vector<Task>> recorded_;  // null unless the stream is being captured
  std::thread thread_;
};

}  // namespace kv
