#include "kernels/decode_attention/decode_attention_cuda.h"

#include <algorithm>

#include "kernels/decode_attention/decode_attention_tiles.h"
#include "memory/error.h"

namespace kv {
namespace {

struct Variant {
  Dtype dtype;
  int32_t key_width;
  int32_t value_width;
  int32_t rows;
  const char* name;
  int (*shared_bytes)(int compute_capability);
  int blocks_at_once;
  int32_t tile_tokens;
};

#define KV_MMA(dtype, key, value, groups)                             \
  {                                                                   \
      Dtype::dtype,                                                   \
      key,                                                            \
      value,                                                          \
      8 * groups,                                                     \
      "decode_attention_mma_" #dtype "_" #key "_" #value "_" #groups, \
      DecodeMemory<key, value>::shared_bytes,                         \
      DecodeMemory<key, value>::blocks_at_once(),                     \
      DecodeMemory<key, value>::kTokens * kDecodeWarps,               \
  }
#define KV_MMA_WIDTHS(dtype)                                                                                          \
  KV_MMA(dtype, 64, 64, 1), KV_MMA(dtype, 64, 64, 2), KV_MMA(dtype, 96, 96, 1), KV_MMA(dtype, 96, 96, 2),             \
      KV_MMA(dtype, 128, 128, 1), KV_MMA(dtype, 128, 128, 2), KV_MMA(dtype, 192, 128, 1), KV_MMA(dtype, 192, 128, 2), \
      KV_MMA(dtype, 256, 256, 1)

// The narrowest first, of these the one of fewest rows: arguments take the first that holds them, or the last of the
// first width that does.
constexpr Variant kMmaVariants[] = {KV_MMA_WIDTHS(fp16), KV_MMA_WIDTHS(bf16)};
#undef KV_MMA_WIDTHS
#undef KV_MMA

constexpr int32_t kWidest = 256;
constexpr int64_t kMostPartialBytes = int64_t{256} << 20;

int32_t rows_of(const DecodeAttentionParams& params) {
  return params.query_length * params.query_heads_per_kv_head();
}

const Variant* mma_variant(const DecodeAttentionParams& params) {
  const Variant* found = nullptr;
  for (const Variant& each : kMmaVariants) {
    const bool holds = params.key_dim <= each.key_width && params.value_dim <= each.value_width;
    if (each.dtype != params.cache_dtype || !holds) continue;
    if (found != nullptr && found->key_width != each.key_width) return found;
    found = &each;
    if (rows_of(params) <= each.rows) return found;
  }
  return found;
}

bool is_aligned(const void* address) {
  return reinterpret_cast<uintptr_t>(address) % 16 == 0;
}

bool is_aligned(const KvPlane& plane) {
  const int64_t strides[] = {plane.block_stride_bytes, plane.token_stride_bytes, plane.head_stride_bytes};
  return is_aligned(plane.base) && plane.head_bytes % 16 == 0 &&
         std::all_of(std::begin(strides), std::end(strides), [](int64_t stride) { return stride % 16 == 0; });
}

/// A kernel that takes items, and how many of its thread blocks a multiprocessor has at once.
struct ItemKernel {
  const char* name;
  int32_t rows;
  unsigned num_threads;
  unsigned shared_bytes;
  int blocks_at_once;
  int32_t tile_tokens;
};

const char* plain_name(const DecodeAttentionParams& params) {
  const bool is_narrow = params.key_dim <= 128 && params.value_dim <= 128;
  switch (params.cache_dtype) {
    case Dtype::fp16:
      return is_narrow ? "decode_attention_plain_fp16_128" : "decode_attention_plain_fp16_256";
    case Dtype::bf16:
      return is_narrow ? "decode_attention_plain_bf16_128" : "decode_attention_plain_bf16_256";
    default:
      return is_narrow ? "decode_attention_plain_fp32_128" : "decode_attention_plain_fp32_256";
  }
}

ItemKernel item_kernel(DecodeKernel kernel, const DecodeAttentionParams& params, int compute_capability) {
  if (kernel == DecodeKernel::plain)
    return {plain_name(params), kDecodePlainRows, kDecodeThreads, 0, 2, kDecodePlainTileTokens};
  const Variant& variant = *mma_variant(params);
  const auto shared_bytes = static_cast<unsigned>(variant.shared_bytes(compute_capability));
  return {variant.name, variant.rows, kDecodeMmaThreads, shared_bytes, variant.blocks_at_once, variant.tile_tokens};
}

/// The most tokens of a sequence that its query tokens see, whatever its length.
int64_t most_tokens_of(const DecodeAttentionParams& params) {
  const int64_t capacity = params.capacity();
  const int64_t longest =
      params.sequence_lengths == nullptr ? std::min<int64_t>(params.sequence_length, capacity) : capacity;
  const int64_t window = int64_t{params.window_tokens} + params.query_length - 1;
  return params.window_tokens == 0 ? longest : std::min(longest, window);
}

/// How a launch is cut up, and what it needs for that.
struct LaunchPlan {
  int32_t num_sequences;  // of a launch at most
  int64_t num_lanes;
  int64_t num_blocks_of_lane;
  int64_t num_partials;  // rows of partial results
};

LaunchPlan plan_launch(const ItemKernel& kernel, const DecodeAttentionParams& params, int num_multiprocessors) {
  const int64_t passes = (rows_of(params) + kernel.rows - 1) / kernel.rows;
  const int64_t lanes = params.view.num_kv_heads * passes;
  const int64_t tokens = most_tokens_of(params);
  const int64_t at_once = std::max<int64_t>(num_multiprocessors * kernel.blocks_at_once / lanes, 1);
  const int32_t sequences = std::min(kMostSequences, params.batch);
  if (!params.is_batch_invariant) {
    const int64_t tiles = sequences * ((tokens + kernel.tile_tokens - 1) / kernel.tile_tokens + 1);
    const int64_t blocks = std::clamp<int64_t>(tiles / kLeastTilesOfRange, 1, at_once);
    return {sequences, lanes, blocks, (blocks + sequences) * lanes * kernel.rows};
  }
  // A window can begin in the middle of a chunk.
  const int64_t shortest = int64_t{1} << kShortestChunkShift;
  const int64_t chunks = std::clamp<int64_t>((tokens + shortest - 1) / shortest + 1, 1, kMostChunks);
  // A piece's place is as many sequences further on as there are before it.
  const int64_t partials_of_sequence = (chunks + 1) * lanes * kernel.rows;
  const int64_t partial_bytes = (partial_width_of(params.value_dim) + 2) * static_cast<int64_t>(sizeof(float));
  const int64_t fitting = std::max<int64_t>(kMostPartialBytes / (partials_of_sequence * partial_bytes), 1);
  const auto at_most = static_cast<int32_t>(std::min<int64_t>(fitting, sequences));
  return {at_most, lanes, std::min(at_once, at_most * chunks), at_most * partials_of_sequence};
}

/// What a kernel gets beside memory and the sequences of its launch.
DecodeKernelParams kernel_params(const DecodeAttentionParams& params, const LaunchPlan& plan) {
  DecodeKernelParams all{};
  all.attention = params;
  all.split = params.is_batch_invariant ? DecodeSplit::invariant : DecodeSplit::even;
  all.num_lanes = static_cast<int32_t>(plan.num_lanes);
  all.query_heads_per_kv_head = params.query_heads_per_kv_head();
  all.num_rows = rows_of(params);
  all.capacity = static_cast<int32_t>(std::min<int64_t>(params.capacity(), INT32_MAX));
  return all;
}

}  // namespace

bool can_run(DecodeKernel kernel, const DecodeAttentionParams& params, int compute_capability) {
  if (kernel == DecodeKernel::plain) return params.key_dim <= kWidest && params.value_dim <= kWidest;
  const Variant* variant = mma_variant(params);
  const bool fits =
      variant != nullptr && variant->shared_bytes(compute_capability) + DecodeMemory<64, 64>::kElsewhereBytes <=
                                most_shared_bytes(compute_capability);
  return fits && params.query_dtype == params.cache_dtype && compute_capability >= 80 && is_aligned(params.view.keys) &&
         is_aligned(params.view.values) && is_aligned(params.query) && params.view.num_blocks <= INT32_MAX;
}

void launch_decode_attention(DecodeKernel kernel, const DecodeAttentionParams& params, Stream& stream) {
  const DeviceProperties& device = stream.properties();
  const ItemKernel item = item_kernel(kernel, params, device.compute_capability);
  const LaunchPlan plan = plan_launch(item, params, device.num_multiprocessors);
  const int64_t outputs = plan.num_partials * partial_width_of(params.value_dim);
  DecodeKernelParams all = kernel_params(params, plan);
  all.partial_outputs =
      static_cast<float*>(stream.workspace(static_cast<size_t>(outputs + 2 * plan.num_partials) * sizeof(float)));
  all.partial_sums = all.partial_outputs + outputs;
  const int64_t counters = 1 + plan.num_sequences * plan.num_lanes;
  all.num_handed_out = static_cast<uint32_t*>(stream.counters(static_cast<size_t>(counters) * sizeof(uint32_t)));
  all.num_arrived = all.num_handed_out + 1;
  for (; all.first_sequence < params.batch; all.first_sequence += plan.num_sequences) {
    all.num_sequences = std::min(plan.num_sequences, params.batch - all.first_sequence);
    stream.launch({.name = item.name,
                   .num_thread_blocks = {static_cast<unsigned>(plan.num_blocks_of_lane * plan.num_lanes), 1, 1},
                   .num_threads = item.num_threads,
                   .params = &all,
                   .params_bytes = sizeof all,
                   .on_host = nullptr,
                   .shared_bytes = item.shared_bytes,
                   .waits_itself = true});
  }
}

void run_decode_attention_cuda(const DecodeAttentionParams& params, Stream& stream) {
  const int compute_capability = stream.properties().compute_capability;
  for (const DecodeKernel kernel : {DecodeKernel::mma, DecodeKernel::plain}) {
    if (can_run(kernel, params, compute_capability)) return launch_decode_attention(kernel, params, stream);
  }
  throw invalid_argument("view", "has heads wider than 256, for which no GPU has a kernel; use the device \"host\"");
}

}  // namespace kv
