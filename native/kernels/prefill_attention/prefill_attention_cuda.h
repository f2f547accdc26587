#pragma once
#include "kernels/prefill_attention/prefill_attention.h"

namespace kv {

/// The kernels for GPUs, each faster than the one before, for fewer cases.
enum class PrefillKernel {
  plain,  ///< all
  mma,    ///< fp16 and bf16 from sm_80 on
  wgmma   ///< the same on sm_90, widths of 64, 128, 192 with 128, and 256
};

/// Whether a GPU of this compute capability can run it.
bool can_run(PrefillKernel kernel, const PrefillAttentionParams& params, int compute_capability);

/// Queues one of them, that can run.
void launch_prefill_attention(PrefillKernel kernel, const PrefillAttentionParams& params, Stream& stream);

}  // namespace kv
