#include "kernels/host/host_threads.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

namespace kv {
namespace {

// Enough for two to three times the rate of one.
constexpr int kMostForCopies = 6;

int wanted_threads() {
  const char* given = std::getenv("KV_HOST_THREADS");
  const int wanted = given == nullptr ? 0 : std::atoi(given);
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(wanted > 0 ? wanted : cores, 1, 1024);
}

/// Threads that live as long as somebody uses them.
class Shared {
 public:
  std::shared_ptr<HostThreads> get(int num_threads) {
    const std::scoped_lock lock(mutex_);
    std::shared_ptr<HostThreads> threads = existing_.lock();
    if (threads == nullptr) existing_ = threads = std::make_shared<HostThreads>(num_threads);
    return threads;
  }

 private:
  std::mutex mutex_;
  std::weak_ptr<HostThreads> existing_;
};

}  // namespace

std::shared_ptr<HostThreads> HostThreads::shared() {
  static Shared threads;
  return threads.get(wanted_threads());
}

std::shared_ptr<HostThreads> HostThreads::shared_for_copies() {
  static Shared threads;
  return threads.get(std::min(wanted_threads(), kMostForCopies));
}

HostThreads::HostThreads(int num_threads) {
  workers_.reserve(static_cast<size_t>(num_threads - 1));
  for (int thread = 1; thread < num_threads; ++thread) {
    try {
      workers_.emplace_back([this, thread] { serve(thread); });
    } catch (const std::system_error&) {
      return;  // The system gives no more threads; fewer do the same work.
    }
  }
}

HostThreads::~HostThreads() {
  {
    const std::scoped_lock lock(mutex_);
    is_closed_ = true;
  }
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void HostThreads::run_erased(const Job& job) {
  const std::scoped_lock turn(turn_);
  const bool is_shared = job.num_items > 1 && !workers_.empty();
  next_item_ = 0;
  if (is_shared) {
    {
      const std::scoped_lock lock(mutex_);
      job_ = job;
      is_open_ = true;
      ++num_jobs_;
    }
    changed_.notify_all();
  }
  take_items(job, 0);
  if (!is_shared) return;
  std::unique_lock lock(mutex_);
  is_open_ = false;
  changed_.wait(lock, [&] { return num_serving_ == 0; });
}

void HostThreads::take_items(const Job& job, int thread) {
  for (int64_t item = next_item_++; item < job.num_items; item = next_item_++) job.call(job.work, item, thread);
}

void HostThreads::serve(int thread) {
  uint64_t num_seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return is_closed_ || (is_open_ && num_jobs_ != num_seen); });
    if (is_closed_) return;
    num_seen = num_jobs_;
    const Job job = job_;
    ++num_serving_;
    lock.unlock();
    take_items(job, thread);
    lock.lock();
    if (--num_serving_ == 0) changed_.notify_all();
  }
}

}  // namespace kv
