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

/// The most chunks that any sequence can have, whatever its length.
int32_t max_chunks_of(const DecodeAttentionParams& params) {
  const int64_t capacity = params.capacity();
  const int64_t length =
      params.sequence_lengths == nullptr ? std::min<int64_t>(params.sequence_length, capacity) : capacity;
  const int64_t shortest = int64_t{1} << kShortestChunkShift;
  int64_t chunks = std::min<int64_t>(kMostChunks, (length + shortest - 1) / shortest);
  if (params.window_tokens != 0) {
    const int64_t seen = int64_t{params.window_tokens} + params.query_length - 1;
    chunks = std::min(chunks, seen / shortest + 2);
  }
  return static_cast<int32_t>(std::max<int64_t>(chunks, 1));
}

/// A kernel that takes items, and how many of it a multiprocessor has at once.
struct ItemKernel {
  const char* name;
  int32_t rows;
  unsigned shared_bytes;
  int blocks_at_once;
};

ItemKernel item_kernel(DecodeKernel kernel, const DecodeAttentionParams& params, int compute_capability) {
  if (kernel == DecodeKernel::mma) {
    const Variant& variant = *mma_variant(params);
    const int shared_bytes = variant.shared_bytes(compute_capability);
    return {variant.name, variant.rows, static_cast<unsigned>(shared_bytes), variant.blocks_at_once};
  }
  const bool is_narrow = params.key_dim <= 128 && params.value_dim <= 128;
  switch (params.cache_dtype) {
    case Dtype::fp16:
      return {is_narrow ? "decode_attention_plain_fp16_128" : "decode_attention_plain_fp16_256", kDecodePlainRows, 0,
              2};
    case Dtype::bf16:
      return {is_narrow ? "decode_attention_plain_bf16_128" : "decode_attention_plain_bf16_256", kDecodePlainRows, 0,
              2};
    default:
      return {is_narrow ? "decode_attention_plain_fp32_128" : "decode_attention_plain_fp32_256", kDecodePlainRows, 0,
              2};
  }
}

/// How often a kernel reads the keys and values, some rows each time.
int64_t passes_of(const ItemKernel& kernel, const DecodeAttentionParams& params) {
  return (rows_of(params) + kernel.rows - 1) / kernel.rows;
}

/// Of the counters of a launch: the one of items, and one for each place where chunks meet.
size_t counters_bytes(const ItemKernel& kernel, const DecodeAttentionParams& params, int32_t num_sequences) {
  const int64_t counters = 1 + num_sequences * params.view.num_kv_heads * passes_of(kernel, params);
  return (static_cast<size_t>(counters) * sizeof(uint32_t) + 255) / 256 * 256;
}

void launch_sequences(const ItemKernel& kernel, const DecodeKernelParams& all, Stream& stream) {
  const int64_t heads = all.attention.view.num_kv_heads * passes_of(kernel, all.attention);
  const int64_t most_items = int64_t{all.num_sequences} * all.max_chunks * heads;
  const int64_t at_once = int64_t{std::max(stream.properties().num_multiprocessors, 1)} * kernel.blocks_at_once;
  stream.fill(all.num_handed_out, 0, counters_bytes(kernel, all.attention, all.num_sequences));
  stream.launch({.name = kernel.name,
                 .num_thread_blocks = {static_cast<unsigned>(std::min(most_items, at_once)), 1, 1},
                 .num_threads = kDecodeThreads,
                 .params = &all,
                 .params_bytes = sizeof all,
                 .on_host = nullptr,
                 .shared_bytes = kernel.shared_bytes});
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
  const int32_t max_chunks = max_chunks_of(params);
  const int64_t rows_per_sequence = params.row_of(1, 0, 0);
  const int64_t sums_bytes = rows_per_sequence * max_chunks * 2 * static_cast<int64_t>(sizeof(float));
  const int64_t outputs_bytes = sums_bytes / 2 * partial_width_of(params.value_dim);
  const bool has_partials = max_chunks > 1;
  const int64_t fitting =
      has_partials ? std::max<int64_t>(kMostPartialBytes / (sums_bytes + outputs_bytes), 1) : kMostSequences;
  const int32_t at_once = static_cast<int32_t>(std::min<int64_t>({fitting, kMostSequences, params.batch}));
  const ItemKernel item = item_kernel(kernel, params, stream.properties().compute_capability);
  const size_t counters = counters_bytes(item, params, at_once);
  const size_t partials = has_partials ? static_cast<size_t>((sums_bytes + outputs_bytes) * at_once) : 0;
  auto* memory = static_cast<std::byte*>(stream.workspace(counters + partials));
  DecodeKernelParams all{.attention = params,
                         .partial_outputs = reinterpret_cast<float*>(memory + counters),
                         .partial_sums = reinterpret_cast<float*>(memory + counters + outputs_bytes * at_once),
                         .num_handed_out = reinterpret_cast<uint32_t*>(memory),
                         .num_arrived = reinterpret_cast<uint32_t*>(memory) + 1,
                         .first_sequence = 0,
                         .num_sequences = at_once,
                         .max_chunks = max_chunks};
  for (; all.first_sequence < params.batch; all.first_sequence += at_once) {
    all.num_sequences = std::min(at_once, params.batch - all.first_sequence);
    launch_sequences(item, all, stream);
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
