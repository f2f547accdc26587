#include "kernels/prefill_attention/prefill_attention_cuda.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "kernels/prefill_attention/prefill_attention_wgmma.h"
#include "memory/cuda_driver.h"

namespace kv {
namespace {

struct Variant {
  Dtype dtype;
  int32_t key_width;
  int32_t value_width;
  const char* name;
  unsigned shared_bytes;
};

/// As MmaPrefill lays it out: 64 rows of queries, keys and values each, of whole 128-byte pieces, and two tiles'
/// places.
constexpr unsigned mma_shared_bytes(unsigned key_width, unsigned value_width) {
  const auto pitch = [](unsigned width) { return (width + 63) / 64 * 128; };
  return 64 * (2 * pitch(key_width) + pitch(value_width)) + 2 * 64 * 8;
}

template <int kKeyWidth, int kValueWidth>
constexpr unsigned kWarpGroupBytes = WarpGroupMemory<kKeyWidth, kValueWidth, warp_group_tokens(kKeyWidth)>::kBytes;

#define KV_MMA(dtype, key, value) \
  {Dtype::dtype, key, value, "prefill_attention_mma_" #dtype "_" #key "_" #value, mma_shared_bytes(key, value)}
#define KV_WGMMA(dtype, key, value) \
  {Dtype::dtype, key, value, "prefill_attention_wgmma_" #dtype "_" #key "_" #value, kWarpGroupBytes<key, value>}

// The narrowest first: a width takes the first that holds it.
constexpr Variant kMmaVariants[] = {
    KV_MMA(fp16, 64, 64), KV_MMA(fp16, 96, 96), KV_MMA(fp16, 128, 128), KV_MMA(fp16, 192, 128), KV_MMA(fp16, 256, 256),
    KV_MMA(bf16, 64, 64), KV_MMA(bf16, 96, 96), KV_MMA(bf16, 128, 128), KV_MMA(bf16, 192, 128), KV_MMA(bf16, 256, 256),
};
constexpr Variant kWarpGroupVariants[] = {
    KV_WGMMA(fp16, 64, 64), KV_WGMMA(fp16, 128, 128), KV_WGMMA(fp16, 192, 128), KV_WGMMA(fp16, 256, 256),
    KV_WGMMA(bf16, 64, 64), KV_WGMMA(bf16, 128, 128), KV_WGMMA(bf16, 192, 128), KV_WGMMA(bf16, 256, 256),
};
#undef KV_MMA
#undef KV_WGMMA

constexpr int32_t kPlainThreads = 128;
constexpr int32_t kMmaLaunchThreads = 128;
constexpr int32_t kWidest = 256;

const Variant* mma_variant(const PrefillAttentionParams& params) {
  for (const Variant& each : kMmaVariants) {
    const bool fits = params.key_dim <= each.key_width && params.value_dim <= each.value_width;
    if (each.dtype == params.cache_dtype && fits) return &each;
  }
  return nullptr;
}

const Variant* warp_group_variant(const PrefillAttentionParams& params) {
  for (const Variant& each : kWarpGroupVariants) {
    const bool fits = params.key_dim == each.key_width && params.value_dim == each.value_width;
    if (each.dtype == params.cache_dtype && fits) return &each;
  }
  return nullptr;
}

bool is_aligned(const void* address) {
  return reinterpret_cast<uintptr_t>(address) % 16 == 0;
}

bool is_aligned(const KvPlane& plane) {
  const int64_t strides[] = {plane.block_stride_bytes, plane.token_stride_bytes, plane.head_stride_bytes};
  return is_aligned(plane.base) && plane.head_bytes % 16 == 0 &&
         std::all_of(std::begin(strides), std::end(strides), [](int64_t stride) { return stride % 16 == 0; });
}

/// The copy engine's limits.
bool has_box_strides(const KvPlane& plane) {
  const int64_t strides[] = {plane.block_stride_bytes, plane.token_stride_bytes, plane.head_stride_bytes};
  return std::all_of(std::begin(strides), std::end(strides),
                     [](int64_t stride) { return stride >= 0 && stride < int64_t{1} << 40; });
}

/// Tokens that the copy engine brings at once: of one block, and a part of every tile.
int32_t piece_tokens(const PrefillAttentionParams& params) {
  const int32_t tile_tokens = warp_group_tokens(params.key_dim);
  if (params.block_tables == nullptr) return tile_tokens;
  return std::gcd(params.view.tokens_per_block, tile_tokens);
}

/// The section's heads share as few KV heads as give the GPU enough thread blocks.
int32_t heads_per_section(const PrefillAttentionParams& params, int64_t num_tiles) {
  constexpr int64_t kEnoughThreadBlocks = 512;
  const int32_t shared = params.query_heads_per_kv_head();
  int32_t kv_heads = 1;
  while (kv_heads < params.view.num_kv_heads &&
         (num_tiles * shared * kv_heads < kEnoughThreadBlocks || params.view.num_kv_heads % kv_heads != 0)) {
    ++kv_heads;
  }
  return kv_heads * shared;
}

PrefillKernelParams kernel_params(const PrefillAttentionParams& params, int32_t rows_per_tile) {
  // A tile is cut short at the end of every sequence.
  const int64_t num_tiles =
      (int64_t{params.num_query_tokens} + int64_t{params.batch} * (rows_per_tile - 1)) / rows_per_tile;
  return {params, static_cast<int32_t>(num_tiles), heads_per_section(params, num_tiles)};
}

unsigned num_thread_blocks(const PrefillKernelParams& params) {
  return static_cast<unsigned>(int64_t{params.num_tiles} * params.attention.num_query_heads);
}

template <typename Params>
void launch(const char* name, const Params& params, unsigned thread_blocks, int32_t threads, unsigned shared_bytes,
            Stream& stream) {
  stream.launch({.name = name,
                 .num_thread_blocks = {thread_blocks, 1, 1},
                 .num_threads = static_cast<unsigned>(threads),
                 .params = &params,
                 .params_bytes = sizeof params,
                 .on_host = nullptr,
                 .shared_bytes = shared_bytes});
}

/// Describes an array of two-byte elements to the copy engine; axes from the innermost one on.
template <int kAxes>
TensorMap tensor_map(const std::byte* base, const uint64_t (&sizes)[kAxes], const uint64_t (&strides)[kAxes - 1],
                     const uint32_t (&box)[kAxes]) {
  constexpr int kTwoBytes = 1;
  constexpr int kSwizzle128 = 3;
  constexpr int kPromoteTo256 = 3;
  uint32_t steps[kAxes];
  std::fill(std::begin(steps), std::end(steps), 1u);
  TensorMap map;
  const auto& driver = cuda::driver();
  driver.check(driver.TensorMapEncodeTiled(&map, kTwoBytes, kAxes, const_cast<std::byte*>(base), sizes, strides, box,
                                           steps, 0, kSwizzle128, kPromoteTo256, 0),
               "cuTensorMapEncodeTiled");
  return map;
}

TensorMap plane_map(const PrefillAttentionParams& params, const KvPlane& plane, int32_t width) {
  // Where an axis has one element its stride may be zero, which the driver refuses.
  const auto stride = [](int64_t bytes) { return static_cast<uint64_t>(std::max<int64_t>(bytes, 16)); };
  const uint64_t sizes[] = {static_cast<uint64_t>(width), static_cast<uint64_t>(params.view.tokens_per_block),
                            static_cast<uint64_t>(params.view.num_kv_heads),
                            static_cast<uint64_t>(params.view.num_blocks)};
  const uint64_t strides[] = {stride(plane.token_stride_bytes), stride(plane.head_stride_bytes),
                              stride(plane.block_stride_bytes)};
  return tensor_map<4>(plane.base, sizes, strides, {64, static_cast<uint32_t>(piece_tokens(params)), 1, 1});
}

TensorMap query_map(const PrefillAttentionParams& params) {
  const uint64_t heads = static_cast<uint64_t>(params.num_query_heads);
  const uint64_t width = static_cast<uint64_t>(params.key_dim);
  return tensor_map<3>(params.query, {width, heads, static_cast<uint64_t>(params.num_query_tokens)},
                       {width * 2, width * heads * 2}, {64, 1, kWarpGroupRows});
}

}  // namespace

bool can_run(PrefillKernel kernel, const PrefillAttentionParams& params, int compute_capability) {
  if (kernel == PrefillKernel::plain) return params.value_dim <= kWidest;
  const bool is_half = params.cache_dtype != Dtype::fp32 && params.query_dtype == params.cache_dtype &&
                       params.output_dtype == params.cache_dtype;
  const bool is_all_aligned = is_aligned(params.view.keys) && is_aligned(params.view.values) &&
                              is_aligned(params.query) && is_aligned(params.output);
  // The tensor kernels find the largest score before it is scaled.
  const bool is_usual = is_half && is_all_aligned && params.key_dim % 8 == 0 && params.value_dim % 8 == 0 &&
                        params.softmax_scale > 0 && params.view.num_blocks <= INT32_MAX;
  if (kernel == PrefillKernel::mma) return is_usual && compute_capability >= 80 && mma_variant(params) != nullptr;
  return is_usual && compute_capability == 90 && warp_group_variant(params) != nullptr &&
         has_box_strides(params.view.keys) && has_box_strides(params.view.values) && piece_tokens(params) >= 8;
}

void launch_prefill_attention(PrefillKernel kernel, const PrefillAttentionParams& params, Stream& stream) {
  if (kernel == PrefillKernel::plain) {
    const PrefillKernelParams all = kernel_params(params, kPlainRows);
    launch("prefill_attention_plain", all, num_thread_blocks(all), kPlainThreads, 0, stream);
  } else if (kernel == PrefillKernel::mma) {
    const Variant& variant = *mma_variant(params);
    const PrefillKernelParams all = kernel_params(params, kMmaRows);
    launch(variant.name, all, num_thread_blocks(all), kMmaLaunchThreads, variant.shared_bytes, stream);
  } else {
    const Variant& variant = *warp_group_variant(params);
    const PrefillKernelParams tiles = kernel_params(params, kWarpGroupRows);
    auto* num_drawn = static_cast<int32_t*>(stream.workspace(sizeof(int32_t)));
    stream.fill(num_drawn, 0, sizeof(int32_t));
    const WarpGroupKernelParams all{.kernel = tiles,
                                    .query_map = query_map(params),
                                    .key_map = plane_map(params, params.view.keys, params.key_dim),
                                    .value_map = plane_map(params, params.view.values, params.value_dim),
                                    .num_drawn = num_drawn,
                                    .num_items = static_cast<int32_t>(num_thread_blocks(tiles)),
                                    .piece_tokens = piece_tokens(params)};
    const int32_t at_once = std::max(stream.properties().num_multiprocessors, 1);
    const unsigned thread_blocks = static_cast<unsigned>(std::min(all.num_items, at_once));
    launch(variant.name, all, thread_blocks, kWarpGroupThreads, variant.shared_bytes, stream);
  }
}

void run_prefill_attention_cuda(const PrefillAttentionParams& params, Stream& stream) {
  if (params.batch == 0 || params.num_query_tokens == 0) return;
  const int compute_capability = stream.properties().compute_capability;
  for (const PrefillKernel kernel : {PrefillKernel::wgmma, PrefillKernel::mma}) {
    if (can_run(kernel, params, compute_capability)) return launch_prefill_attention(kernel, params, stream);
  }
  launch_prefill_attention(PrefillKernel::plain, params, stream);
}

}  // namespace kv
