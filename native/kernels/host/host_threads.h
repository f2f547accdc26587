#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace kv {

/// One thread for each core, the caller among them, for kernels on the host. Work of several streams takes turns, so
/// that there are never more threads busy than cores.
class HostThreads {
 public:
  /// The threads of this process, started by the first user and ended with the last. KV_HOST_THREADS sets their number.
  static std::shared_ptr<HostThreads> shared();
  /// Six of them at most, for copies between a GPU and pageable memory, which are not to wait for kernels.
  static std::shared_ptr<HostThreads> shared_for_copies();

  explicit HostThreads(int num_threads);
  ~HostThreads();
  HostThreads(const HostThreads&) = delete;
  HostThreads& operator=(const HostThreads&) = delete;

  int num_threads() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  /// Calls work(item, thread) for each item below num_items, in any order, and returns when all are done. `thread` is
  /// below num_threads(), and no two calls have the same at once. The work must not throw.
  template <typename Work>
  void run(int64_t num_items, const Work& work) {
    run_erased({&work, num_items, [](const void* context, int64_t item, int thread) {
                  (*static_cast<const Work*>(context))(item, thread);
                }});
  }

 private:
  struct Job {
    const void* work;
    int64_t num_items;
    void (*call)(const void* work, int64_t item, int thread);
  };

  void run_erased(const Job& job);
  void take_items(const Job& job, int thread);
  void serve(int thread);

  std::mutex turn_;  // held by whoever runs a job
  std::mutex mutex_;
  std::condition_variable changed_;
  Job job_{};
  std::atomic<int64_t> next_item_ = 0;
  uint64_t num_jobs_ = 0;
  int num_serving_ = 0;
  bool is_open_ = false;  // whether the job still takes workers
  bool is_closed_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace kv
