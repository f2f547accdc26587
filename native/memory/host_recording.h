#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "memory/host_stream.h"

namespace kv {

/// Tasks of a host stream, done one after the other at each replay.
class HostRecording : public Recording {
 public:
  explicit HostRecording(std::vector<HostStream::Task> tasks) { state_->tasks = std::move(tasks); }
  void replay(Stream& stream) override;

 private:
  /// Shared with the replays that are queued.
  struct State {
    std::vector<HostStream::Task> tasks;
    std::mutex mutex;
    std::condition_variable changed;
    uint64_t num_done = 0;
  };

  std::shared_ptr<State> state_ = std::make_shared<State>();
  uint64_t num_queued_ = 0;
};

}  // namespace kv
