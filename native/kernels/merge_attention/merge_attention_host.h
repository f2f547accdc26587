#pragma once
#include <memory>

#include "kernels/host/host_threads.h"
#include "kernels/merge_attention/merge_attention.h"

namespace kv {

/// One merge on all threads of the host: pieces of the rows, each element type in a loop of its own that the compiler
/// makes vectors of.
class MergeAttentionHost {
 public:
  explicit MergeAttentionHost(const MergeAttentionParams& params);

  void run() noexcept;
  const std::shared_ptr<HostThreads>& threads() const noexcept { return threads_; }

 private:
  void merge_row(int64_t row, float* sums) const;

  MergeAttentionParams p_;
  std::shared_ptr<HostThreads> threads_;
  std::unique_ptr<float[]> sums_;  // [threads][width]
};

}  // namespace kv
