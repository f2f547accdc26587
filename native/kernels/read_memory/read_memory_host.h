#pragma once
#include <atomic>
#include <memory>

#include "kernels/host/host_threads.h"
#include "kernels/read_memory/read_memory.h"

namespace kv {

/// Reading by all cores, a mebibyte at a time.
class ReadMemoryHost {
 public:
  explicit ReadMemoryHost(const ReadMemoryParams& params) : p_(params), threads_(HostThreads::shared()) {}
  void run() noexcept;
  const std::shared_ptr<HostThreads>& threads() const noexcept { return threads_; }

 private:
  ReadMemoryParams p_;
  std::shared_ptr<HostThreads> threads_;
};

}  // namespace kv
