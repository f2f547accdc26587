#pragma once
#include <memory>

#include "kernels/append_rotary/append_rotary.h"
#include "kernels/host/host_threads.h"

namespace kv {

/// Append with rotary embedding on all threads of the host. A token's cosines and sines are worked out once for all its
/// heads, and each element type has loops of its own that the compiler makes vectors of.
class AppendRotaryHost {
 public:
  explicit AppendRotaryHost(const AppendRotaryParams& params);

  void run() noexcept;
  const std::shared_ptr<HostThreads>& threads() const noexcept { return threads_; }

 private:
  void append_token(int64_t token, float* cosines) const;

  AppendRotaryParams p_;
  std::shared_ptr<HostThreads> threads_;
  std::unique_ptr<float[]> rotations_;  // [threads][2][width / 2]: cosines and sines of one token
};

}  // namespace kv
